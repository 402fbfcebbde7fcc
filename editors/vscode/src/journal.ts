/** The server's account of hunks (PROTOCOL 6): what it says of a session, and the user's decisions. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import { type Placed, withoutHunks } from './hunks.ts';
import type { ChangedFile, ChangesResolveParams, Hunk } from './protocol.ts';

type Action = ChangesResolveParams['action'];
type Target = ChangesResolveParams['targets'][number];
type Lines = { readonly start: { readonly line: number }; readonly end: { readonly line: number } };

export interface Before {
  readonly uri: vscode.Uri;
  readonly text: string;
}

export class Journal {
  readonly #server: Server;
  /** What was undone last, for a redo. */
  #undone: { readonly sessionId: string; readonly targets: Target[] } | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** False: the server keeps no account, so the editor does without. */
  get isKept(): boolean {
    return this.#server.state === 'running' && this.#server.abilities.hunks;
  }

  async list(sessionId: string, filter: { runId?: string; state?: 'pending' } = {}): Promise<ChangedFile[]> {
    return (await this.#server.call('agent/changes/list', { sessionId, ...filter })).files;
  }

  /** Carry out a decision; what could not be done is told to the user. Returns how many hunks are as wanted. */
  async resolve(sessionId: string, action: Action, targets: Target[]): Promise<number> {
    const { done, conflicts } = await this.#server.call('agent/changes/resolve', { sessionId, action, targets });
    if ((action === 'reject' || action === 'undo') && done.length > 0) {
      this.#undone = { sessionId, targets: done.map((hunkId) => ({ hunkId })) };
    }
    if (conflicts.length > 0) {
      const reasons = [...new Set(conflicts.map(({ reason }) => reason))].join('; ');
      const count = conflicts.length === 1 ? 'One change was' : `${conflicts.length} changes were`;
      vscode.window.showWarningMessage(`${count} left as it is: ${reasons}`);
    }
    return done.length;
  }

  /** Bring back what was undone last. */
  async redo(): Promise<void> {
    const undone = this.#undone;
    if (!undone) {
      vscode.window.showInformationMessage('Nothing was undone.');
      return;
    }
    this.#undone = undefined;
    await this.resolve(undone.sessionId, 'redo', undone.targets);
  }

  /** Every changed file as it would be without the session's (or the run's) changes that are in it. */
  async before(sessionId: string, runId?: string): Promise<Before[]> {
    const files = await this.list(sessionId, runId === undefined ? {} : { runId });
    const found: Before[] = [];
    for (const { uri, kind, hunks } of files) {
      const placed = hunks.flatMap(placedOf);
      if (placed.length > 0) {
        const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri));
        const text = kind === 'create' && runId === undefined ? '' : withoutHunks(document.getText(), placed);
        found.push({ uri: document.uri, text });
      }
    }
    return found;
  }
}

/** Where the hunk is in the text of today, when it is there. */
export function linesOf(hunk: Hunk): Lines | undefined {
  return (hunk as unknown as { newRange?: Lines }).newRange;
}

function placedOf(hunk: Hunk): Placed[] {
  const lines = linesOf(hunk);
  return lines ? [{ oldText: hunk.oldText, from: lines.start.line, to: lines.end.line }] : [];
}
