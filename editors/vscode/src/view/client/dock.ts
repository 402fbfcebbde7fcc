/** Between conversation and prompt: questions, the plan, the queue, notices. Redrawn as a whole: it is small. */
import type { PlanEntry } from '../../protocol.ts';
import { type Decisions, decisionsOf, type Notice, type ViewModel } from '../../viewmodel.ts';
import { FOLDER_TRUST, type ToView } from '../messages.ts';
import { byId, el, icon, iconButton, send } from './dom.ts';
import { permissionCard } from './permission.ts';
import { focusQuestion, questionCard } from './question.ts';
import { Queue } from './queue.ts';

const SHOWN_NOTICES = 3;
/** What the server says of rules it may not obey yet: one banner with ours, gone when the folder is trusted. */
const WAITS_FOR_TRUST = /until you trust this folder/i;
const DECIDE = { label: 'Look and decide', command: 'trustFolder' } as const;

interface Banner extends Pick<Extract<ToView, { type: 'banner' }>, 'text' | 'topic' | 'action'> {
  readonly level: string;
}

export class Dock {
  readonly #banners = el('div', { class: 'banners', role: 'status', 'aria-live': 'polite' });
  readonly #asked = el('div', { class: 'asked' });
  readonly #plan = el('details', { class: 'panel plan' });
  readonly #queue: Queue;
  #shownBanners: Banner[] = [];
  /** By request: a card that is half filled in stays as it is when another comes or goes. */
  #cards = new Map<string, HTMLElement>();

  /** `left`: gets what was typed into something that is there no longer. */
  constructor(left: (text: string) => void) {
    this.#queue = new Queue(left);
    byId('dock').append(this.#banners, this.#plan, this.#queue.element, this.#asked);
  }

  draw(model: ViewModel | undefined): void {
    this.#drawPlan(model?.plan ?? []);
    this.#queue.draw(model?.queue.items ?? []);
    this.#drawAsked(model ? decisionsOf(model) : { permissions: [], questions: [] });
  }

  notice({ level, message }: Notice): void {
    const trust = WAITS_FOR_TRUST.test(message) ? { topic: FOLDER_TRUST, action: DECIDE } : {};
    this.banner({ level, text: message, ...trust });
  }

  banner(banner: Banner): void {
    const others = this.#shownBanners.filter(
      ({ text, topic }) => text !== banner.text && (topic === undefined || topic !== banner.topic),
    );
    this.#shownBanners = (banner.text ? [...others, banner] : others).slice(-SHOWN_NOTICES);
    this.#drawBanners();
  }

  editQueued(messageId: string, text: string): void {
    this.#queue.edit(messageId, text);
  }

  /** Another session is shown: what is about the workspace stays. */
  clear(): void {
    this.#shownBanners = this.#shownBanners.filter(({ topic }) => topic !== undefined);
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
        return el(
          'div',
          { class: `banner ${banner.level}` },
          icon(sign),
          el('span', {}, banner.text, ' ', link),
          close,
        );
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
}

function isTyping(): boolean {
  const active = document.activeElement;
  return active instanceof HTMLTextAreaElement && active.value.trim() !== '';
}
