/** All sessions of the server, with search: lies over the conversation until it is closed. */
import type { SessionInfo } from '../../protocol.ts';
import { byId, el, icon, iconButton, send } from './dom.ts';

const TYPING_MS = 150;
const DAY_MS = 86_400_000;

export class SessionList {
  readonly #root = byId('sessions');
  readonly #search = el('input', { type: 'search', placeholder: 'Search sessions', 'aria-label': 'Search sessions' });
  readonly #list = el('ul', { role: 'list' });
  #timer = 0;

  constructor() {
    const head = el(
      'div',
      { class: 'sessions-head' },
      this.#search,
      iconButton('close', 'Close', () => this.close()),
    );
    this.#root.append(head, this.#list);
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => send({ type: 'sessions', query: this.#search.value.trim() }), TYPING_MS);
    });
    this.#root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        this.close();
      }
    });
  }

  get isOpen(): boolean {
    return !this.#root.hidden;
  }

  open(): void {
    this.#root.hidden = false;
    this.#search.value = '';
    this.#search.focus();
    send({ type: 'sessions', query: '' });
  }

  close(): void {
    this.#root.hidden = true;
    byId('prompt').focus();
  }

  show(query: string, sessions: readonly SessionInfo[], active: string | null): void {
    if (query !== this.#search.value.trim()) {
      return;
    }
    const rows = sessions.map((session) => this.#row(session, session.sessionId === active));
    this.#list.replaceChildren(...(rows.length > 0 ? rows : [el('li', { class: 'none' }, 'No session found.')]));
  }

  #row(session: SessionInfo, isActive: boolean): HTMLElement {
    const id = session.sessionId;
    const act = (name: string, label: string, action: 'rename' | 'fork' | 'export' | 'delete'): HTMLElement =>
      iconButton(name, label, () => send({ type: 'session', action, id }));
    const open = (): void => {
      send({ type: 'session', action: 'open', id });
      this.close();
    };
    const cost = session.costUsd > 0 ? ` · $${session.costUsd.toFixed(2)}` : '';
    const about = `${ago(session.updatedAt)} · ${session.messageCount} messages${cost}`;
    return el(
      'li',
      { class: isActive ? 'active' : '', 'data-id': id },
      el(
        'button',
        { type: 'button', class: 'session', click: open },
        icon(session.isBusy ? 'sync' : 'comment', session.isBusy ? 'codicon-modifier-spin' : ''),
        el(
          'span',
          { class: 'session-text' },
          el('span', {}, session.title || 'Untitled'),
          el('span', { class: 'faint' }, about),
        ),
      ),
      el(
        'span',
        { class: 'session-actions' },
        act('edit', 'Rename', 'rename'),
        act('repo-forked', 'Fork', 'fork'),
        act('export', 'Export', 'export'),
        act('trash', 'Delete', 'delete'),
      ),
    );
  }
}

function ago(time: string): string {
  const then = new Date(time);
  const isToday = Date.now() - then.getTime() < DAY_MS;
  return isToday ? then.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : then.toLocaleDateString();
}
