/** The editor's own lists and input boxes, for what is chosen seldom. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import type { Conversations } from './conversations.ts';
import type { ChangedFile, PermissionRecord } from './protocol.ts';
import { nameOfMode } from './view/modes.ts';

const MODES = [
  { id: 'ask', detail: 'Asks before it changes a file or runs a command.' },
  { id: 'plan', detail: 'Reads and thinks; changes nothing.' },
  { id: 'accept-edits', detail: 'Edits files of the workspace without asking.' },
  { id: 'full-auto', detail: 'Asks for nothing. Must be allowed in your own configuration file.' },
] as const;
const EXCERPT_CHARS = 120;

export async function pickModel(conversations: Conversations): Promise<void> {
  const { modelId } = conversations.labels();
  const items = conversations.models.map((model) => ({
    label: model.name,
    description: model.id === modelId ? `${model.id} $(check)` : model.id,
    detail: [
      model.contextWindow ? `${Math.round(model.contextWindow / 1000)}k context` : '',
      model.inputUsdPerMtok ? `$${model.inputUsdPerMtok} in, $${model.outputUsdPerMtok} out per million tokens` : '',
      model.supportsImages ? 'images' : '',
    ]
      .filter(Boolean)
      .join(' · '),
    id: model.id,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Model of this session', matchOnDescription: true });
  if (chosen) {
    await conversations.configure('model.large', chosen.id);
  }
}

export async function pickMode(conversations: Conversations): Promise<void> {
  const { mode } = conversations.labels();
  const items = MODES.map(({ id, detail }) => ({
    id,
    label: nameOfMode(id),
    detail,
    ...(id === mode ? { description: '$(check)' } : {}),
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'What the agent may do in this session' });
  if (chosen) {
    await conversations.configure('mode', chosen.id);
  }
}

/** Answer what was asked first without the mouse or the chat; a question with a form is answered in the chat. */
export async function pickPermission(conversations: Conversations, form: () => Promise<void>): Promise<void> {
  const decisions = conversations.decisions();
  const asked = decisions.flatMap(({ permissions }) => permissions)[0];
  if (!asked) {
    if (decisions.some(({ questions }) => questions.length > 0)) {
      return form();
    }
    vscode.window.showInformationMessage('The agent is not asking for anything.');
    return;
  }
  const placeHolder = asked.description ?? `The agent wants to use ${asked.tool}`;
  const chosen = await vscode.window.showQuickPick(permissionItems(asked), { title: asked.title, placeHolder });
  if (chosen) {
    await conversations.permit(asked.requestId, chosen.id);
  }
}

/** The answers to a permission; the first one shows what it is about. */
export function permissionItems({ options, subject }: PermissionRecord): (vscode.QuickPickItem & { id: string })[] {
  const about = excerptOf(subject as { readonly [key: string]: unknown });
  return options.map(({ name, optionId }, index) => ({
    label: name,
    id: optionId,
    ...(index === 0 && about ? { detail: about } : {}),
  }));
}

function excerptOf(subject: { readonly [key: string]: unknown }): string {
  const hunks = (subject['changes'] as ChangedFile[] | undefined)?.flatMap((file) => file.hunks) ?? [];
  const lines = hunks.flatMap(({ oldText, newText }) => [...marked('−', oldText), ...marked('+', newText)]);
  const text = lines.join('  ') || String(subject['command'] ?? subject['url'] ?? subject['path'] ?? '');
  return text.length > EXCERPT_CHARS ? `${text.slice(0, EXCERPT_CHARS)}…` : text;
}

function marked(sign: string, text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter(Boolean).map((line) => `${sign} ${line}`);
}

export async function pickFiles(): Promise<readonly vscode.Uri[]> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const chosen = await vscode.window.showOpenDialog({
    canSelectMany: true,
    openLabel: 'Attach',
    ...(folder ? { defaultUri: folder } : {}),
  });
  return chosen ?? [];
}

export async function renameSession(server: Server, sessionId: string): Promise<void> {
  const { title } = await server.call('agent/session/get', { sessionId });
  const renamed = await vscode.window.showInputBox({ title: 'Rename the session', value: title });
  if (renamed) {
    await server.call('agent/session/rename', { sessionId, title: renamed });
  }
}

export async function exportSession(server: Server, sessionId: string): Promise<void> {
  const formats = [
    { label: 'Markdown', format: 'markdown' as const },
    { label: 'JSON', format: 'json' as const },
  ];
  const chosen = await vscode.window.showQuickPick(formats, { title: 'Export the session as' });
  if (chosen) {
    const { text } = await server.call('agent/session/export', { sessionId, format: chosen.format });
    const document = await vscode.workspace.openTextDocument({ content: text, language: chosen.format });
    await vscode.window.showTextDocument(document);
  }
}

/** True when it is gone. */
export async function deleteSession(server: Server, sessionId: string): Promise<boolean> {
  const { title } = await server.call('agent/session/get', { sessionId });
  const question = `Delete the session “${title || 'Untitled'}”?`;
  const answer = await vscode.window.showWarningMessage(question, { modal: true }, 'Delete');
  if (answer === 'Delete') {
    await server.call('agent/session/delete', { sessionId });
  }
  return answer === 'Delete';
}
