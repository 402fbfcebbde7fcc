import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { askEditor } from '../../src/editorlsp.ts';
import { ask, EXTENSION, edited, parts, whenIdle } from './desk.ts';
import { test, until } from './harness.ts';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly walkthroughs: readonly { readonly steps: readonly { readonly description: string }[] }[];
    readonly configuration: {
      readonly properties: Record<string, { description?: string; markdownDescription?: string }>;
    };
  };
}

function manifest(): Manifest {
  const extension = vscode.extensions.getExtension(EXTENSION);
  assert.ok(extension);
  return extension.packageJSON as Manifest;
}

test('every contributed command exists, and every command of ours is contributed', async () => {
  await parts();
  const { contributes } = manifest();
  const contributed = contributes.commands.map(({ command }) => command);
  const registered = (await vscode.commands.getCommands(true)).filter((name) =>
    /^lspAgent\.[a-z]+(\.[a-z]+)?$/i.test(name),
  );
  const ofViews = /^lspAgent\.(chat|status)\b|\.(focus|open|removeView|resetViewLocation|toggleVisibility)$/;
  assert.deepEqual(
    contributed.filter((name) => !registered.includes(name)),
    [],
  );
  assert.deepEqual(
    registered.filter((name) => !contributed.includes(name) && !ofViews.test(name)),
    [],
  );
});

test('the walkthrough leads to commands that exist, and every setting is described', async () => {
  const { contributes } = manifest();
  const known = await vscode.commands.getCommands(true);
  const steps = contributes.walkthroughs.flatMap((walkthrough) => walkthrough.steps);
  const linked = steps.flatMap(({ description }) =>
    [...description.matchAll(/\(command:([\w.]+)/g)].map(([, name]) => name),
  );
  assert.ok(linked.length >= 5);
  assert.deepEqual(
    linked.filter((name) => !known.includes(name ?? '')),
    [],
  );
  for (const [name, { description, markdownDescription }] of Object.entries(contributes.configuration.properties)) {
    assert.ok((description ?? markdownDescription ?? '').length > 20, name);
  }
});

test('the server and the editor agree on version 1', async () => {
  const { server } = await parts();
  const agent = server.client?.initializeResult?.capabilities.experimental as { agent?: { protocolVersion?: number } };
  assert.equal(agent.agent?.protocolVersion, 1);
  assert.equal(server.client?.initializeResult?.capabilities.positionEncoding, 'utf-16');
});

test('problems of another server are offered to be fixed, and go along', async () => {
  const { attachments, conversations } = await parts();
  const editor = await edited('broken.py', 'x = undefined_name\n');
  const range = new vscode.Range(0, 4, 0, 18);
  const problem = new vscode.Diagnostic(range, 'undefined_name is not defined', vscode.DiagnosticSeverity.Error);
  problem.source = 'other-server';
  const collection = vscode.languages.createDiagnosticCollection('other');
  try {
    collection.set(editor.document.uri, [problem]);
    const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      editor.document.uri,
      range,
    );
    const titles = actions.map(({ title }) => title);
    assert.ok(titles.includes('Agent: fix this problem'), titles.join());
    assert.ok(titles.includes('Agent: explain'), titles.join());
    await conversations.show(undefined);
    await vscode.commands.executeCommand('lspAgent.fix', editor.document.uri, range);
    const session = await until(() => conversations.active, 'a session was made');
    await whenIdle(session);
    const asked = session.model.messages[0];
    assert.match(asked?.text ?? '', /line 1: undefined_name is not defined/);
    assert.ok(asked?.attachments.some((each) => JSON.stringify(each).includes('diagnostics')));
    assert.deepEqual(
      attachments.chips().filter(({ automatic }) => !automatic),
      [],
    );
  } finally {
    collection.dispose();
  }
});

test('questions of the server are answered by the other language servers of the editor', async () => {
  const { server } = await parts();
  const editor = await edited('defined.py', 'def here():\n    pass\n\nhere()\n');
  const { uri } = editor.document;
  const provider = vscode.languages.registerDefinitionProvider('python', {
    provideDefinition: (document) => new vscode.Location(document.uri, new vscode.Range(0, 4, 0, 8)),
  });
  try {
    assert.ok(server.client);
    const params = { textDocument: { uri: uri.toString() }, position: { line: 3, character: 1 } };
    const { results } = await askEditor(server.client, { method: 'textDocument/definition', params, timeoutMs: 5000 });
    assert.match(JSON.stringify(results), /"line":0,"character":4/);
  } finally {
    provider.dispose();
  }
});

test('what is mentioned is completed by the server and goes along', async () => {
  const { server, conversations } = await parts();
  await edited('mentioned.py', 'def a_rare_name():\n    pass\n');
  const { items } = await server.call('agent/mention/complete', { text: 'see @ment', offset: 9 });
  assert.ok(
    items.some(({ label }) => label === 'mentioned.py'),
    JSON.stringify(items),
  );
  const symbols = await server.call('agent/mention/complete', { text: '@#rare', offset: 6 });
  assert.equal(symbols.items[0]?.label, '@#a_rare_name');
  const session = await ask('hello');
  await whenIdle(session);
  assert.equal(conversations.active, session);
});

test('trust is asked for by folder, given and taken back', async () => {
  const { server, trust } = await parts();
  const root = vscode.workspace.workspaceFolders?.[0]?.uri.toString() ?? '';
  assert.equal((await server.call('agent/trust/get', { root })).trusted, false);
  assert.equal((await server.call('agent/trust/set', { root, trusted: true })).trusted, true);
  assert.equal((await server.call('agent/trust/get', { root })).trusted, true);
  assert.equal((await server.call('agent/trust/set', { root, trusted: false })).trusted, false);
  assert.match(trust.status, /^Folder trusted|not obeyed/);
});
