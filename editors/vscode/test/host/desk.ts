/** What the tests inside the extension host work with: the parts of the extension, files, and the text of an editor. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { Parts } from '../../src/chat.ts';
import type { Session } from '../../src/session.ts';
import { until } from './harness.ts';

export const EXTENSION = 'lsp-agent.lsp-agent';

/** The parts, once the server runs. */
export async function parts(): Promise<Parts> {
  const extension = vscode.extensions.getExtension<Parts>(EXTENSION);
  assert.ok(extension, 'the extension is installed');
  const found = await extension.activate();
  await until(() => found.server.state === 'running', `the server runs: ${found.server.state} ${found.server.detail}`);
  return found;
}

export function folder(): string {
  const first = vscode.workspace.workspaceFolders?.[0];
  assert.ok(first, 'a folder is open');
  return first.uri.fsPath;
}

export function onDisk(uri: vscode.Uri): string {
  return readFileSync(uri.fsPath, 'utf8');
}

/** Open a new file of the workspace in an editor. */
export async function edited(name: string, text: string): Promise<vscode.TextEditor> {
  const path = join(folder(), name);
  writeFileSync(path, text);
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(path));
  return vscode.window.showTextDocument(document);
}

/** Type at the end of the document; it stays unsaved. */
export async function typeAtEnd({ document }: vscode.TextEditor, text: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.insert(document.uri, document.lineAt(document.lineCount - 1).range.end, text);
  assert.ok(await vscode.workspace.applyEdit(edit));
}

/** Ask in a session of its own. */
export async function ask(prompt: string): Promise<Session> {
  const { conversations } = await parts();
  await conversations.show(undefined);
  await conversations.send(prompt, 'queue');
  return until(() => conversations.active, 'there is a session');
}

export async function permit(session: Session, optionKind = 'allow_once'): Promise<void> {
  const { conversations } = await parts();
  const record = await until(() => session.model.pending[0], 'a permission is asked for');
  const option = record.options.find(({ kind }) => kind === optionKind);
  assert.ok(option, `there is ${optionKind}`);
  await conversations.permit(record.requestId, option.optionId);
}

export function whenIdle(session: Session): Promise<boolean> {
  return until(() => session.model.state === 'idle' && session.model.completes.length > 0, 'the run has ended');
}

export function answerOf(session: Session): string {
  return session.model.messages.filter(({ role }) => role === 'assistant').at(-1)?.text ?? '';
}

/** The scripted model's side of a `hold`. */
export function hold(name: string): { readonly reached: () => Promise<boolean>; readonly release: () => void } {
  const path = join(dirname(folder()), 'holds', name);
  return {
    reached: () => until(() => existsSync(`${path}.held`), `the script holds at ${name}`),
    release: () => writeFileSync(path, ''),
  };
}
