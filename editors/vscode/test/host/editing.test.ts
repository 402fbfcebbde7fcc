import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { ask, edited, hold, onDisk, parts, permit, typeAtEnd, whenIdle } from './desk.ts';
import { test, until } from './harness.ts';

const BEFORE = 'def add(a, b):\n    return a - b\n';

async function lensesOf(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    'vscode.executeCodeLensProvider',
    document.uri,
    100,
  );
  return found.filter(({ command }) => command?.command.startsWith('lspAgent.'));
}

/** A file whose `-` has become `+`, by an edit that was allowed. */
async function corrected(name: string): Promise<vscode.TextEditor> {
  const editor = await edited(name, BEFORE);
  const session = await ask('fix add');
  await permit(session);
  await whenIdle(session);
  await until(() => editor.document.getText().includes('a + b'), 'the edit is in the buffer');
  return editor;
}

test('an edit of the agent is one step of undo in an unsaved buffer, and the disk is not touched', async () => {
  const editor = await edited('unsaved.py', BEFORE);
  await typeAtEnd(editor, 'mine = 1\n');
  const session = await ask('fix add');
  await permit(session);
  await whenIdle(session);
  await until(
    () => editor.document.getText() === 'def add(a, b):\n    return a + b\nmine = 1\n',
    'both are in the buffer',
  );
  assert.ok(editor.document.isDirty);
  assert.equal(onDisk(editor.document.uri), BEFORE);
  await vscode.window.showTextDocument(editor.document);
  await vscode.commands.executeCommand('undo');
  await until(() => editor.document.getText() === `${BEFORE}mine = 1\n`, 'one undo took the edit back, and no more');
});

test('what is typed while a permission waits stays', async () => {
  const editor = await edited('meanwhile.py', BEFORE);
  const session = await ask('fix add');
  await until(() => session.model.pending[0], 'a permission is asked for');
  await typeAtEnd(editor, 'typed = "meanwhile"\n');
  await permit(session);
  await whenIdle(session);
  const text = editor.document.getText();
  assert.ok(text.includes('typed = "meanwhile"'), text);
  assert.ok(
    text.includes('a + b') ||
      session.model.messages.some(({ tools }) => tools.some(({ status }) => status === 'failed')),
  );
});

test('a hunk is kept by its lens', async () => {
  const { document } = await corrected('kept.py');
  const lenses = await until(
    async () => (await lensesOf(document)).length > 0 && (await lensesOf(document)),
    'there are lenses',
  );
  const keep = lenses.find(({ command }) => command?.title.includes('Keep'));
  await vscode.commands.executeCommand(keep?.command?.command ?? '', ...(keep?.command?.arguments ?? []));
  await until(async () => (await lensesOf(document)).length === 0, 'the lenses are gone');
  assert.ok(document.getText().includes('a + b'));
});

test('a hunk is undone by its command, and what was typed since stays', async () => {
  const editor = await corrected('undone.py');
  await until(async () => (await lensesOf(editor.document)).length > 0, 'there are lenses');
  await typeAtEnd(editor, 'since = 1\n');
  await vscode.window.showTextDocument(editor.document);
  await vscode.commands.executeCommand('lspAgent.hunk.undo');
  await until(() => editor.document.getText() === `${BEFORE}since = 1\n`, `undone: ${editor.document.getText()}`);
});

test('the last run is taken back and brought again', async () => {
  const { server } = await parts();
  assert.ok(server.abilities.hunks, 'the server keeps a journal');
  const { document } = await corrected('again.py');
  await vscode.commands.executeCommand('lspAgent.undoRun');
  await until(() => document.getText() === BEFORE, 'the run is taken back');
  await vscode.commands.executeCommand('lspAgent.redo');
  await until(() => document.getText().includes('a + b'), 'and brought again');
});

test('a checkpoint brings the files back', async () => {
  const { server, conversations } = await parts();
  assert.ok(server.abilities.checkpoints, 'the server has checkpoints');
  const { document } = await corrected('checkpoint.py');
  const sessionId = conversations.active?.model.sessionId ?? '';
  const { checkpoints } = await server.call('agent/checkpoint/list', { sessionId });
  const first = checkpoints.at(-1) ?? checkpoints[0];
  assert.ok(first, 'there is a checkpoint');
  const asked = { checkpointId: first.checkpointId, files: true, conversation: false };
  assert.deepEqual((await server.call('agent/checkpoint/restore', asked)).conflicts, []);
  await until(() => document.getText() === BEFORE, 'the file is as it was');
  const back = { checkpointId: first.checkpointId, files: false, conversation: true };
  await server.call('agent/checkpoint/restore', back);
  await until(() => conversations.active?.model.messages.length === 0, 'the conversation is as it was');
});

test('a command that runs is stopped, and the answer says so', async () => {
  const { conversations } = await parts();
  const session = await ask('wait for it');
  await hold('forever').reached();
  await conversations.stop();
  await whenIdle(session);
  assert.equal(session.model.completes.at(-1)?.stopReason, 'cancelled');
  assert.equal(session.model.messages.at(-1)?.finish?.reason, 'canceled');
});
