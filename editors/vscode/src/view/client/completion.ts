/** The list that opens in the prompt: at `@` what can be mentioned, at `/` in the beginning the commands. */
import type { ChipIcon, Completed, ToView } from '../messages.ts';
import { el, icon, send } from './dom.ts';

/** What may be the beginning of something: the extension says what it replaces. */
const BEGUN = /(?:^|\s)@(?:"[^"]*|[^\s@]*)$|^\s*\/\S*$/;
export const ICONS: Readonly<Record<ChipIcon | 'command', string>> = {
  file: 'file',
  selection: 'list-selection',
  warning: 'warning',
  image: 'file-media',
  symbol: 'symbol-method',
  changes: 'diff',
  terminal: 'terminal',
  text: 'note',
  command: 'chevron-right',
};

export class Completion {
  readonly element = el('ul', {
    id: 'suggestions',
    class: 'completion',
    role: 'listbox',
    'aria-label': 'Suggestions',
    hidden: true,
  });
  readonly #input: HTMLTextAreaElement;
  #token = 0;
  #items: readonly Completed[] = [];
  #start = 0;
  #end = 0;
  #at = 0;

  constructor(input: HTMLTextAreaElement) {
    this.#input = input;
    input.setAttribute('aria-controls', this.element.id);
    input.setAttribute('aria-autocomplete', 'list');
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

  show({ token, items, start, end }: Extract<ToView, { type: 'completed' }>): void {
    if (token === this.#token && this.#isBegun()) {
      this.#items = items;
      this.#start = start;
      this.#end = end;
      this.#at = 0;
      this.#draw();
    }
  }

  close(): void {
    this.#token += 1;
    this.#hide();
  }

  #hide(): void {
    this.element.hidden = true;
    this.#input.removeAttribute('aria-activedescendant');
  }

  #ask(): void {
    this.#token += 1;
    if (this.#isBegun()) {
      send({ type: 'complete', token: this.#token, text: this.#input.value, offset: this.#input.selectionStart });
    } else {
      this.#hide();
    }
  }

  #isBegun(): boolean {
    return BEGUN.test(this.#input.value.slice(0, this.#input.selectionStart));
  }

  #choose(item: Completed | undefined): void {
    if (!item) {
      return;
    }
    const space = item.icon === 'command' ? '' : ' ';
    this.#input.setRangeText(item.text + space, this.#start, this.#end, 'end');
    if (item.attachment) {
      send({ type: 'attachItem', item });
    }
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
          { id: `suggestion-${index}`, role: 'option', 'aria-selected': String(chosen), class: chosen ? 'chosen' : '' },
          icon(ICONS[item.icon]),
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
    const chosen = this.element.children[this.#at];
    chosen?.scrollIntoView({ block: 'nearest' });
    if (chosen) {
      this.#input.setAttribute('aria-activedescendant', chosen.id);
    }
  }
}
