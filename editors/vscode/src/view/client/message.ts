/** One message: prompt or answer, with folded thinking and its tool calls. */
import type { ChangedFile } from '../../protocol.ts';
import type { Message } from '../../viewmodel.ts';
import { el, icon, iconButton, send } from './dom.ts';
import { MarkdownView } from './markdown.ts';
import { ToolCard } from './toolcard.ts';

type Fields = { readonly [key: string]: unknown };

const ENDS: Readonly<Record<string, string>> = {
  canceled: 'Stopped',
  error: 'Failed',
  max_tokens: 'The answer was cut off: it reached the limit of its length',
  content_filter: 'The model refused to go on',
};

export class MessageView {
  readonly element: HTMLElement;
  readonly #message: Message;
  readonly #text = new MarkdownView();
  readonly #thought = el('details', { class: 'thought', hidden: true });
  readonly #thoughtText = el('div', { class: 'thought-text' });
  readonly #thoughtHead = el('summary');
  readonly #tools = el('div', { class: 'tools' });
  readonly #cards = new Map<string, ToolCard>();
  readonly #foot = el('div', { class: 'foot' });

  constructor(message: Message) {
    this.#message = message;
    this.element = el('article', { class: `message ${message.role}`, 'data-id': message.id });
    if (message.role === 'user') {
      this.#user();
      return;
    }
    this.#thought.append(this.#thoughtHead, this.#thoughtText);
    this.element.append(this.#thought, this.#text.element, this.#tools, this.#foot);
  }

  draw(files: readonly ChangedFile[]): void {
    const message = this.#message;
    if (message.role === 'user') {
      return;
    }
    const isFinished = message.finish !== undefined;
    this.#text.show(message.text, isFinished);
    this.element.dataset['chars'] = String(message.text.length);
    this.#thought.hidden = message.thought === '';
    const thinks = !isFinished && message.text === '' && message.tools.length === 0;
    this.#thoughtHead.replaceChildren(
      icon('lightbulb'),
      el('span', { class: thinks ? 'shimmer' : '' }, thinks ? 'Thinking…' : 'Thought'),
    );
    if (this.#thoughtText.textContent !== message.thought) {
      this.#thoughtText.textContent = message.thought;
    }
    for (const tool of message.tools) {
      let card = this.#cards.get(tool.id);
      if (!card) {
        card = new ToolCard();
        this.#cards.set(tool.id, card);
        this.#tools.append(card.element);
      }
      card.draw(tool, files);
    }
    this.#foot.replaceChildren(...this.#footOf());
  }

  #footOf(): Node[] {
    const finish = this.#message.finish;
    const said = finish ? ENDS[finish.reason] : undefined;
    if (!finish || !said) {
      return [];
    }
    const why = [finish.message, finish.details].filter(Boolean).join('\n');
    return [el('div', { class: `end ${finish.reason}`, role: 'status' }, icon('info'), why ? `${said}: ${why}` : said)];
  }

  #user(): void {
    const { text, attachments, id } = this.#message;
    const chips = (attachments as Fields[]).map((attachment) => {
      const uri = attachment['uri'];
      const lines = linesOf(attachment);
      const label = `${String(attachment['path'] ?? attachment['name'] ?? attachment['kind'] ?? attachment['type'])}${lines}`;
      const isImage = String(attachment['mimeType'] ?? '').startsWith('image/');
      const open = typeof uri === 'string' ? (): void => send({ type: 'openFile', uri }) : undefined;
      return el('button', { class: 'chip', type: 'button', click: open }, icon(isImage ? 'file-media' : 'file'), label);
    });
    this.element.append(
      el('div', { class: 'bubble' }, text),
      el('div', { class: 'chips' }, ...chips),
      el(
        'div',
        { class: 'actions' },
        iconButton('copy', 'Copy', () => send({ type: 'copy', text })),
        iconButton('repo-forked', 'Fork from here, and change the prompt', () => send({ type: 'fork', messageId: id })),
      ),
    );
  }
}

/** Lines as people count them; they are sent from zero on. */
function linesOf({ startLine, endLine }: Fields): string {
  if (typeof startLine !== 'number') {
    return '';
  }
  const last = typeof endLine === 'number' ? endLine : startLine;
  return last > startLine ? `:${startLine + 1}–${last + 1}` : `:${startLine + 1}`;
}
