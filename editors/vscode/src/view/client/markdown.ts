/** Markdown that is still being written: blocks that are complete are made once, only the last one is made again. */
import hljs from 'highlight.js/lib/common';
import markdownIt from 'markdown-it';
import { settledLength } from '../../blocks.ts';
import { el, send } from './dom.ts';

/** Code that is longer stays plain while it is written. */
const HIGHLIGHTED_CHARS = 20_000;

const parser = markdownIt({ html: false, linkify: true, highlight: colour });

function colour(code: string, language: string): string {
  if (code.length > HIGHLIGHTED_CHARS || !hljs.getLanguage(language)) {
    return '';
  }
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}

export class MarkdownView {
  readonly element = el('div', { class: 'markdown' });
  readonly #tail = el('div', { class: 'tail' });
  #shown = '';
  #settled = 0;

  constructor() {
    this.element.append(this.#tail);
  }

  /** Show `text`. Cheap when it begins with what is shown already. */
  show(text: string, isFinished: boolean): void {
    if (text === this.#shown && !isFinished) {
      return;
    }
    if (!text.startsWith(this.#shown.slice(0, this.#settled))) {
      this.#settled = 0;
      this.element.replaceChildren(this.#tail);
    }
    this.#shown = text;
    const until = isFinished ? text.length : settledLength(text, this.#settled);
    if (until > this.#settled) {
      this.#tail.before(block(text.slice(this.#settled, until)));
      this.#settled = until;
    }
    this.#tail.replaceChildren(...(text.length > until ? [block(text.slice(until))] : []));
  }
}

/** Rendered from markdown without HTML: the parser escapes everything the model wrote. */
function block(text: string): HTMLElement {
  const element = el('div', { class: 'block' });
  element.innerHTML = parser.render(text);
  for (const code of element.querySelectorAll('pre')) {
    const button = el('button', { class: 'copy', type: 'button', title: 'Copy' }, 'Copy');
    button.addEventListener('click', () => send({ type: 'copy', text: code.querySelector('code')?.textContent ?? '' }));
    code.append(button);
  }
  return element;
}
