/** The prompts that wait: moved, edited, sent at once, taken away. What is being edited outlives every redraw. */
import type { QueueItem } from '../../protocol.ts';
import { byId, el, icon, iconButton, send } from './dom.ts';

interface Edited {
  readonly messageId: string;
  readonly text: string;
  readonly input: HTMLTextAreaElement;
}

export class Queue {
  readonly element = el('details', { class: 'panel queue', open: true });
  #items: readonly QueueItem[] = [];
  #drawn = '';
  #edited: Edited | undefined;
  readonly #left: (text: string) => void;

  /** `left`: gets the text of a prompt that was being edited when its turn came. */
  constructor(left: (text: string) => void) {
    this.#left = left;
  }

  draw(items: readonly QueueItem[]): void {
    const state = JSON.stringify(items.map(({ messageId, preview, kind }) => [messageId, preview, kind]));
    if (state === this.#drawn) {
      return;
    }
    this.#drawn = state;
    this.#items = items;
    const edited = this.#edited;
    const isGone = !items.some(({ messageId }) => messageId === edited?.messageId);
    if (isGone) {
      this.#edited = undefined;
    }
    this.#redraw();
    if (isGone && edited && edited.input.value !== edited.text) {
      this.#left(edited.input.value);
    }
  }

  /** The whole text of a prompt has come, to be edited. */
  edit(messageId: string, text: string): void {
    if (!this.#items.some((item) => item.messageId === messageId)) {
      return;
    }
    const input = el('textarea', { class: 'grow', rows: '1', 'aria-label': 'Edit the prompt' });
    input.value = text;
    input.addEventListener('keydown', (event) => this.#key(event));
    input.addEventListener('input', () => fit(input));
    this.#edited = { messageId, text, input };
    this.#redraw();
    fit(input);
    input.focus();
  }

  #key(event: KeyboardEvent): void {
    const edited = this.#edited;
    if (!edited || event.isComposing) {
      return;
    }
    const isDone = event.key === 'Enter' && !event.shiftKey;
    if (isDone && edited.input.value.trim()) {
      send({ type: 'queue', op: 'edit', messageId: edited.messageId, text: edited.input.value });
    }
    if (isDone || event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      this.#edited = undefined;
      this.#redraw();
      this.#button(edited.messageId, 'Edit')?.focus();
    }
  }

  #redraw(): void {
    const focused = document.activeElement;
    const hadFocus = this.element.contains(focused);
    const row = focused?.closest('li')?.dataset['id'] ?? '';
    const label = focused?.getAttribute('aria-label') ?? '';
    const count = this.#items.length === 1 ? '1 prompt waits' : `${this.#items.length} prompts wait`;
    this.element.hidden = this.#items.length === 0;
    const head = el('summary', {}, icon('list-ordered'), el('span', { class: 'grow' }, count));
    const rows = this.#items.map((item, index) => this.#row(item, index));
    this.element.replaceChildren(head, el('ul', {}, ...rows));
    if (hadFocus && document.activeElement !== this.#edited?.input) {
      // a keyboard goes on where it was: in the text, at the same button, else in the prompt
      const next = this.#edited?.input ?? this.#button(row, label) ?? this.#button(row, 'Edit') ?? byId('prompt');
      next.focus();
    }
  }

  #button(messageId: string, label: string): HTMLElement | undefined {
    const buttons = this.element.querySelectorAll<HTMLElement>('li button');
    return [...buttons].find(
      (each) => each.closest('li')?.dataset['id'] === messageId && each.getAttribute('aria-label') === label,
    );
  }

  #row(item: QueueItem, index: number): HTMLElement {
    const { messageId, preview, kind } = item;
    if (messageId === this.#edited?.messageId) {
      return el('li', { 'data-id': messageId }, this.#edited.input);
    }
    const act = (name: string, label: string, op: 'move' | 'sendNow' | 'remove', to?: number): HTMLElement =>
      iconButton(name, label, () => send({ type: 'queue', op, messageId, ...(to === undefined ? {} : { index: to }) }));
    const sign = icon(kind === 'fold' ? 'git-merge' : 'watch');
    sign.title = kind === 'fold' ? 'Joins the running turn' : 'Waits its turn';
    return el(
      'li',
      { 'data-id': messageId },
      sign,
      el('span', { class: 'grow preview', title: preview }, preview),
      index > 0 && act('arrow-up', 'Earlier', 'move', index - 1),
      index < this.#items.length - 1 && act('arrow-down', 'Later', 'move', index + 1),
      iconButton('edit', 'Edit', () => send({ type: 'queueText', messageId })),
      act('run', 'Send now: stops what runs', 'sendNow'),
      act('trash', 'Remove', 'remove'),
    );
  }
}

function fit(input: HTMLTextAreaElement): void {
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight + 2}px`;
}
