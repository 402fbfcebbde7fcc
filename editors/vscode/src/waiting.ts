/**
 * The whole text of prompts that wait. The server tells the beginning of each, on one line: enough to show, not to edit.
 *
 * In a file of the extension's own storage, for the window that comes after a reload. Only the last ones are kept.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QueueItem } from './protocol.ts';

const KEPT = 100;
const PREVIEW_CHARS = 80;

export class WaitingPrompts {
  readonly #folder: string;
  #texts: Map<string, string> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  remember(messageId: string, prompt: string): void {
    const texts = this.#known();
    texts.delete(messageId);
    texts.set(messageId, prompt);
    for (const oldest of [...texts.keys()].slice(0, Math.max(0, texts.size - KEPT))) {
      texts.delete(oldest);
    }
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(this.#file, JSON.stringify([...texts]), { mode: 0o600 });
  }

  /** The prompt as it was sent; undefined when it came from elsewhere and is longer than what is shown of it. */
  text({ messageId, preview }: Pick<QueueItem, 'messageId' | 'preview'>): string | undefined {
    const isCut = preview.length >= PREVIEW_CHARS && preview.endsWith('…');
    return this.#known().get(messageId) ?? (isCut ? undefined : preview);
  }

  #known(): Map<string, string> {
    this.#texts ??= this.#read();
    return this.#texts;
  }

  #read(): Map<string, string> {
    try {
      const rows: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      const isPair = (row: unknown): row is [string, string] =>
        Array.isArray(row) && typeof row[0] === 'string' && typeof row[1] === 'string';
      return new Map(Array.isArray(rows) ? rows.filter(isPair) : []);
    } catch {
      return new Map(); // nothing was written yet, or by something else
    }
  }

  get #file(): string {
    return join(this.#folder, 'waiting.json');
  }
}
