/** Files for `@` in the prompt, where the server offers none: open ones first, then the workspace's, best match first. */
import * as vscode from 'vscode';
import { rank } from './matching.ts';
import type { Completed } from './view/messages.ts';

const SCANNED = 4000;
const SHOWN = 20;
const FRESH_MS = 10_000;

export class Files {
  #known: readonly vscode.Uri[] = [];
  #readAt = 0;

  async find(query: string): Promise<Completed[]> {
    if (Date.now() - this.#readAt > FRESH_MS) {
      this.#known = await vscode.workspace.findFiles('**/*', undefined, SCANNED);
      this.#readAt = Date.now();
    }
    const open = vscode.workspace.textDocuments.map(({ uri }) => uri).filter(({ scheme }) => scheme === 'file');
    const all = new Map([...open, ...this.#known].map((uri) => [uri.toString(), vscode.workspace.asRelativePath(uri)]));
    return rank([...all], query, ([, path]) => path)
      .slice(0, SHOWN)
      .map(([uri, path]) => {
        const cut = path.lastIndexOf('/') + 1;
        return {
          label: path.slice(cut),
          detail: path.slice(0, cut),
          text: /\s/.test(path) ? `@"${path}"` : `@${path}`,
          icon: 'file',
          attachment: { type: 'buffer', uri },
        };
      });
  }
}
