/** The conversation: redraws only what changed, once a frame, and stays at the end unless the reader went up. */
import type { Effect, Session } from '../../session.ts';
import { byId, el, icon } from './dom.ts';
import { MessageView } from './message.ts';

const NEAR_PX = 60;

export class Transcript {
  readonly #root = byId('transcript');
  readonly #list = el('div', { class: 'messages' });
  readonly #empty = emptyPage();
  readonly #down = el(
    'button',
    { class: 'down', type: 'button', title: 'To the end', hidden: true },
    icon('arrow-down'),
  );
  #session: Session | undefined;
  #views = new Map<string, MessageView>();
  #dirty = new Set<string>();
  #frame = 0;
  #sticks = true;

  constructor() {
    this.#root.append(this.#empty, this.#list, this.#down);
    this.#root.addEventListener('scroll', () => {
      const rest = this.#root.scrollHeight - this.#root.scrollTop - this.#root.clientHeight;
      this.#sticks = rest < NEAR_PX;
      this.#down.hidden = this.#sticks;
    });
    this.#down.addEventListener('click', () => this.toEnd());
    new ResizeObserver(() => this.#follow()).observe(this.#root);
  }

  /** Show a session from its beginning, or the page for none. */
  show(session: Session | undefined): void {
    const isSame = session?.model.sessionId === this.#session?.model.sessionId;
    this.#session = session;
    this.#views = new Map();
    this.#list.replaceChildren();
    this.#dirty = new Set(session?.model.messages.map(({ id }) => id));
    this.#sticks = this.#sticks || !isSame;
    this.#draw();
  }

  touch(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if ('id' in effect) {
        this.#dirty.add(effect.id);
      } else if (effect.op === 'changes') {
        this.#withChanges();
      }
    }
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  toEnd(): void {
    this.#sticks = true;
    this.#follow();
  }

  /** A call that has just changed something shows it. */
  #withChanges(): void {
    const files = this.#session?.model.changes ?? [];
    const calls = new Set(files.flatMap(({ hunks }) => hunks.map(({ toolCallId }) => toolCallId)));
    for (const message of this.#session?.model.messages ?? []) {
      if (message.tools.some(({ id }) => calls.has(id))) {
        this.#dirty.add(message.id);
      }
    }
  }

  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const model = this.#session?.model;
    this.#empty.hidden = (model?.messages.length ?? 0) > 0;
    for (const message of model?.messages ?? []) {
      if (!this.#dirty.has(message.id)) {
        continue;
      }
      let view = this.#views.get(message.id);
      if (!view) {
        view = new MessageView(message);
        this.#views.set(message.id, view);
        this.#insert(view, message.id);
      }
      view.draw(model?.changes ?? []);
    }
    this.#dirty.clear();
    this.#follow();
  }

  /** In the order of the model: a message may come before others that are shown already. */
  #insert(view: MessageView, id: string): void {
    const messages = this.#session?.model.messages ?? [];
    const at = messages.findIndex((message) => message.id === id);
    const next = messages.slice(at + 1).find((message) => this.#views.has(message.id));
    const before = next ? (this.#views.get(next.id)?.element ?? null) : null;
    this.#list.insertBefore(view.element, before);
  }

  #follow(): void {
    if (this.#sticks) {
      this.#root.scrollTop = this.#root.scrollHeight;
    }
  }
}

function emptyPage(): HTMLElement {
  return el(
    'div',
    { class: 'empty' },
    el('h2', {}, 'What shall we do?'),
    el(
      'p',
      {},
      'The agent reads and edits what is open in the editor, unsaved changes included. Nothing is changed without your permission.',
    ),
    el(
      'ul',
      {},
      el('li', {}, el('kbd', {}, '@'), ' attaches a file'),
      el('li', {}, el('kbd', {}, 'Enter'), ' sends, ', el('kbd', {}, 'Shift+Enter'), ' makes a new line'),
      el('li', {}, el('kbd', {}, 'Ctrl+Alt+P'), ' goes to a question of the agent'),
    ),
  );
}
