/**
 * Which session a workspace had open, in a file of the extension's own storage.
 *
 * Not in `workspaceState`: in a browser that is written seconds later, so a quick reload would forget it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Remembered {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The session id, if there is one. */
  read(): string | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      const id = (value as { activeSession?: unknown } | null)?.activeSession;
      return typeof id === 'string' ? id : undefined;
    } catch {
      return undefined; // nothing was written yet, or by something else
    }
  }

  write(activeSession: string | undefined): void {
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(this.#file, JSON.stringify({ activeSession }));
  }

  get #file(): string {
    return join(this.#folder, 'session.json');
  }
}
