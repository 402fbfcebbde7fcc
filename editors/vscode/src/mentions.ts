/** What `@` and `/` in the prompt offer: asked of the server, which knows files, symbols, problems, changes, terminals. */
import { ResponseError } from 'vscode-languageclient/node';
import type { Server } from './client.ts';
import { Files } from './files.ts';
import type { MentionItem } from './protocol.ts';
import type { Completed } from './view/messages.ts';

const METHOD_NOT_FOUND = -32601;
const AT = /(?:^|\s)(@(?:"[^"]*|[^\s@]*))$/;

export interface Completion {
  readonly items: readonly Completed[];
  /** The part of the text an item replaces, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

const ICONS: Readonly<Record<string, Completed['icon']>> = {
  buffer: 'file',
  file: 'file',
  image: 'image',
  symbol: 'symbol',
  selection: 'selection',
  diagnostics: 'warning',
  changes: 'changes',
  terminal: 'terminal',
};

export class Mentions {
  readonly #server: Server;
  readonly #files = new Files();

  constructor(server: Server) {
    this.#server = server;
  }

  /** What fits at the offset. A server that knows no mentions leaves the editor's own files. */
  async complete(text: string, offset: number, sessionId: string | undefined): Promise<Completion> {
    try {
      const asked = { text, offset, ...(sessionId === undefined ? {} : { sessionId }) };
      const { items, start, end } = await this.#server.call('agent/mention/complete', asked);
      return { items: items.map(shown), start: start ?? offset, end: end ?? offset };
    } catch (error) {
      if (!(error instanceof ResponseError) || error.code !== METHOD_NOT_FOUND) {
        throw error;
      }
      return this.#own(text, offset);
    }
  }

  async #own(text: string, offset: number): Promise<Completion> {
    const begun = AT.exec(text.slice(0, offset))?.[1];
    const items = begun === undefined ? [] : await this.#files.find(begun.replace(/^@"?/, ''));
    return { items, start: offset - (begun?.length ?? 0), end: offset };
  }
}

function shown({ label, insertText, detail, attachment }: MentionItem): Completed {
  const icon = attachment ? (ICONS[String(attachment['type'])] ?? 'text') : 'command';
  const item = { label, text: insertText, icon, detail: detail ?? '' };
  return attachment ? { ...item, attachment } : item;
}
