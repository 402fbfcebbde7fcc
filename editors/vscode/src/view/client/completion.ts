/** The list of files that opens at `@` in the prompt. */
import type { FileItem } from '../messages.ts';
import { el, icon, send } from './dom.ts';

const MENTION = /(^|\s)@([^\s@]*)$/;

export class Completion {
  readonly element = el('ul', { class: 'completion', role: 'listbox', 'aria-label': 'Files', hidden: true });
  readonly #input: HTMLTextAreaElement;
  #token = 0;
  #items: readonly FileItem[] = [];
  #at = 0;

  constructor(input: HTMLTextAreaElement) {
    this.#input = input;
    input.addEventListener('input', () => this.#ask());
    input.addEventListener('blur', () => this.close());
  }

  /** True when the key was for the list. */
  take(event: KeyboardEvent): boolean {
    if (this.element.hidden) {
      return false;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.#at = (this.#at + step + this.#items.length) % this.#items.length;
      this.#draw();
    } else if (event.key === 'Enter' || event.key === 'Tab') {
      this.#choose(this.#items[this.#at]);
    } else if (event.key === 'Escape') {
      this.close();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  show(token: number, items: readonly FileItem[]): void {
    if (token === this.#token && this.#mention() !== undefined) {
      this.#items = items;
      this.#at = 0;
      this.#draw();
    }
  }

  close(): void {
    this.#token += 1;
    this.element.hidden = true;
  }

  #ask(): void {
    const query = this.#mention();
    this.#token += 1;
    if (query === undefined) {
      this.element.hidden = true;
    } else {
      send({ type: 'files', token: this.#token, query });
    }
  }

  #mention(): string | undefined {
    return MENTION.exec(this.#input.value.slice(0, this.#input.selectionStart))?.[2];
  }

  #choose(item: FileItem | undefined): void {
    if (!item) {
      return;
    }
    const end = this.#input.selectionStart;
    const start = end - (this.#mention()?.length ?? 0) - 1;
    this.#input.setRangeText(`\`${item.detail}${item.label}\` `, start, end, 'end');
    send({ type: 'attach', uris: [item.uri] });
    this.close();
    this.#input.dispatchEvent(new Event('change'));
  }

  #draw(): void {
    this.element.hidden = this.#items.length === 0;
    this.element.replaceChildren(
      ...this.#items.map((item, index) => {
        const chosen = index === this.#at;
        const row = el(
          'li',
          { role: 'option', 'aria-selected': String(chosen), class: chosen ? 'chosen' : '' },
          icon('file'),
          el('span', {}, item.label),
          el('span', { class: 'faint' }, item.detail),
        );
        // mousedown, not click: the input must not lose its focus first
        row.addEventListener('mousedown', (event) => {
          event.preventDefault();
          this.#choose(item);
        });
        return row;
      }),
    );
    this.element.children[this.#at]?.scrollIntoView({ block: 'nearest' });
  }
}
