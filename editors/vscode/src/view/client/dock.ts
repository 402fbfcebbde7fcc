/** Between conversation and prompt: questions, the plan, the queue, notices. Redrawn as a whole: it is small. */
import type { PlanEntry, QueueItem } from '../../protocol.ts';
import type { Notice, ViewModel } from '../../viewmodel.ts';
import { byId, el, icon, iconButton, send } from './dom.ts';
import { permissionCard } from './permission.ts';

const SHOWN_NOTICES = 3;

interface Banner {
  readonly level: string;
  readonly text: string;
}

export class Dock {
  readonly #banners = el('div', { class: 'banners', 'aria-live': 'polite' });
  readonly #permissions = el('div', { class: 'permissions' });
  readonly #plan = el('details', { class: 'panel plan' });
  readonly #queue = el('details', { class: 'panel queue', open: true });
  #shownBanners: Banner[] = [];
  #asked = '';

  constructor() {
    byId('dock').append(this.#banners, this.#plan, this.#queue, this.#permissions);
  }

  draw(model: ViewModel | undefined): void {
    this.#drawPlan(model?.plan ?? []);
    this.#drawQueue(model?.queue.items ?? []);
    const pending = model?.pending ?? [];
    const asked = pending.map(({ requestId }) => requestId).join();
    if (asked !== this.#asked) {
      const isNew = asked !== '' && !this.#asked;
      const hadFocus = this.#permissions.contains(document.activeElement);
      this.#asked = asked;
      this.#permissions.replaceChildren(...pending.map(permissionCard));
      if (asked !== '' && (hadFocus || (isNew && document.hasFocus() && !isTyping()))) {
        this.focusPermission();
      } else if (hadFocus) {
        byId('prompt').focus();
      }
    }
  }

  notice({ level, message }: Notice): void {
    this.banner({ level, text: message });
  }

  banner(banner: Banner): void {
    this.#shownBanners = [...this.#shownBanners.filter(({ text }) => text !== banner.text), banner].slice(
      -SHOWN_NOTICES,
    );
    this.#drawBanners();
  }

  clear(): void {
    this.#shownBanners = [];
    this.#drawBanners();
  }

  /** Put the focus on the oldest question's first answer. */
  focusPermission(): void {
    this.#permissions.querySelector<HTMLButtonElement>('button.answer')?.focus();
  }

  #drawBanners(): void {
    this.#banners.replaceChildren(
      ...this.#shownBanners.map((banner) => {
        const close = iconButton('close', 'Dismiss', () => {
          this.#shownBanners = this.#shownBanners.filter((other) => other !== banner);
          this.#drawBanners();
        });
        const sign = { error: 'error', warning: 'warning' }[banner.level] ?? 'info';
        return el('div', { class: `banner ${banner.level}` }, icon(sign), el('span', {}, banner.text), close);
      }),
    );
  }

  #drawPlan(entries: readonly PlanEntry[]): void {
    const done = entries.filter(({ status }) => status === 'completed').length;
    const current = entries.find(({ status }) => status === 'in_progress');
    this.#plan.hidden = entries.length === 0 || done === entries.length;
    const head = el(
      'summary',
      {},
      icon('checklist'),
      el('span', { class: 'grow' }, current ? (current.activeForm ?? current.content) : 'Plan'),
      el('span', { class: 'faint' }, `${done}/${entries.length}`),
    );
    const signs: Readonly<Record<string, string>> = { completed: 'pass-filled', in_progress: 'play-circle' };
    const rows = entries.map(({ content, status }) =>
      el('li', { class: status }, icon(signs[status] ?? 'circle-large'), content),
    );
    this.#plan.replaceChildren(head, el('ul', {}, ...rows));
  }

  #drawQueue(items: readonly QueueItem[]): void {
    this.#queue.hidden = items.length === 0;
    const count = items.length === 1 ? '1 prompt waits' : `${items.length} prompts wait`;
    const head = el('summary', {}, icon('list-ordered'), el('span', { class: 'grow' }, count));
    this.#queue.replaceChildren(head, el('ul', {}, ...items.map((item, index) => queueRow(item, index, items.length))));
  }
}

function queueRow(item: QueueItem, index: number, count: number): HTMLElement {
  const { messageId } = item;
  const text = el('span', { class: 'grow preview', title: item.preview }, item.preview);
  const row = el('li', { 'data-id': messageId }, icon(item.kind === 'fold' ? 'git-merge' : 'watch'), text);
  const edit = (): void => {
    const input = el('input', { type: 'text', class: 'grow', value: item.preview, 'aria-label': 'Edit the prompt' });
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && input.value.trim()) {
        send({ type: 'queue', op: 'edit', messageId, text: input.value });
      }
      if (event.key === 'Enter' || event.key === 'Escape') {
        input.replaceWith(text);
      }
    });
    text.replaceWith(input);
    input.focus();
  };
  if (index > 0) {
    row.append(
      iconButton('arrow-up', 'Earlier', () => send({ type: 'queue', op: 'move', messageId, index: index - 1 })),
    );
  }
  if (index < count - 1) {
    row.append(
      iconButton('arrow-down', 'Later', () => send({ type: 'queue', op: 'move', messageId, index: index + 1 })),
    );
  }
  row.append(
    iconButton('edit', 'Edit', edit),
    iconButton('run', 'Send now: stops what runs', () => send({ type: 'queue', op: 'sendNow', messageId })),
    iconButton('trash', 'Remove', () => send({ type: 'queue', op: 'remove', messageId })),
  );
  return row;
}

function isTyping(): boolean {
  const active = document.activeElement;
  return active instanceof HTMLTextAreaElement && active.value.trim() !== '';
}
