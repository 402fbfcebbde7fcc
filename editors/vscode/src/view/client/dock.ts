/** Between conversation and prompt: questions, the plan, the queue, notices. Redrawn as a whole: it is small. */
import type { PlanEntry, QueueItem } from '../../protocol.ts';
import { type Decisions, decisionsOf, type Notice, type ViewModel } from '../../viewmodel.ts';
import type { ToView } from '../messages.ts';
import { byId, el, icon, iconButton, send } from './dom.ts';
import { permissionCard } from './permission.ts';
import { focusQuestion, questionCard } from './question.ts';

const SHOWN_NOTICES = 3;

interface Banner extends Pick<Extract<ToView, { type: 'banner' }>, 'text' | 'action'> {
  readonly level: string;
}

export class Dock {
  readonly #banners = el('div', { class: 'banners', 'aria-live': 'polite' });
  readonly #asked = el('div', { class: 'asked' });
  readonly #plan = el('details', { class: 'panel plan' });
  readonly #queue = el('details', { class: 'panel queue', open: true });
  #shownBanners: Banner[] = [];
  /** By request: a card that is half filled in stays as it is when another comes or goes. */
  #cards = new Map<string, HTMLElement>();

  constructor() {
    byId('dock').append(this.#banners, this.#plan, this.#queue, this.#asked);
  }

  draw(model: ViewModel | undefined): void {
    this.#drawPlan(model?.plan ?? []);
    this.#drawQueue(model?.queue.items ?? []);
    this.#drawAsked(model ? decisionsOf(model) : { permissions: [], questions: [] });
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

  /** Put the focus on the first answer of what was asked first. */
  focusAsked(): void {
    const card = this.#asked.firstElementChild;
    if (card?.matches('.question')) {
      focusQuestion(card);
    } else {
      card?.querySelector<HTMLButtonElement>('button.answer')?.focus();
    }
  }

  #drawAsked({ permissions, questions }: Decisions): void {
    const wanted = new Map<string, () => HTMLElement>([
      ...permissions.map((record) => [record.requestId, () => permissionCard(record)] as const),
      ...questions.map((record) => [record.requestId, () => questionCard(record)] as const),
    ]);
    const isSame = wanted.size === this.#cards.size && [...wanted.keys()].every((id) => this.#cards.has(id));
    if (isSame) {
      return;
    }
    const isNew = this.#cards.size === 0;
    const focused = document.activeElement;
    const hadFocus = this.#asked.contains(focused);
    this.#cards = new Map([...wanted].map(([id, make]) => [id, this.#cards.get(id) ?? make()]));
    for (const card of [...this.#asked.children].filter(
      (each) => ![...this.#cards.values()].includes(each as HTMLElement),
    )) {
      card.remove();
    }
    // append moves what is there already, and moving takes the focus away
    this.#asked.append(...[...this.#cards.values()].filter((card) => !card.isConnected));
    if (
      wanted.size > 0 &&
      ((hadFocus && !this.#asked.contains(focused)) || (isNew && document.hasFocus() && !isTyping()))
    ) {
      this.focusAsked();
    } else if (hadFocus && wanted.size === 0) {
      byId('prompt').focus();
    }
  }

  #drawBanners(): void {
    this.#banners.replaceChildren(
      ...this.#shownBanners.map((banner) => {
        const close = iconButton('close', 'Dismiss', () => {
          this.#shownBanners = this.#shownBanners.filter((other) => other !== banner);
          this.#drawBanners();
        });
        const sign = { error: 'error', warning: 'warning' }[banner.level] ?? 'info';
        const { action } = banner;
        const link = action
          ? el(
              'button',
              { class: 'link', type: 'button', click: () => send({ type: 'command', command: action.command }) },
              action.label,
            )
          : undefined;
        return el('div', { class: `banner ${banner.level}` }, icon(sign), el('span', {}, banner.text), link, close);
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
