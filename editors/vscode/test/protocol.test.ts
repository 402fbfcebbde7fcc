import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from 'vscode-languageserver-protocol/node';
import type { EventParams, RunCompleteParams, RunResult } from '../src/protocol.ts';
import { Session } from '../src/session.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PYTHON = process.env['LSP_AGENT_TEST_PYTHON'] ?? join(ROOT, '.venv/bin/python');

test('src/protocol.ts is what the schema says', () => {
  const script = fileURLToPath(new URL('../scripts/generate.ts', import.meta.url));
  const done = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
});

const skip = existsSync(PYTHON) ? false : `no interpreter at ${PYTHON}`;

test('a run of the real server folds to a finished conversation', { skip, timeout: 60_000 }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'lsp-agent-test-'));
  const script = join(home, 'script.toml');
  writeFileSync(script, '[[turn]]\ndo = [{ think = "Hm." }, { text = "Hello **you** 😀", deltas = 4 }]\n');
  const config = join(home, 'config.toml');
  const lines = ['[models]', 'large = "play/script"', '[providers.play]', 'type = "scripted"', `script = "${script}"`];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const env = { ...process.env, LSP_AGENT_CONFIG: config, LSP_AGENT_DATA_DIR: join(home, 'state') };
  const server = spawn(PYTHON, ['-m', 'lsp_agent', 'serve'], { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const wire = createMessageConnection(new StreamMessageReader(server.stdout), new StreamMessageWriter(server.stdin));
  const events: EventParams[] = [];
  const completed = new Promise<RunCompleteParams>((resolve) => {
    wire.onNotification('agent/event', (event: EventParams) => {
      events.push(event);
    });
    wire.onNotification('agent/runComplete', resolve);
  });
  wire.listen();
  try {
    await wire.sendRequest('initialize', {
      processId: process.pid,
      capabilities: { experimental: { agent: { protocolVersions: [1], events: { enabled: true } } } },
      workspaceFolders: [{ uri: pathToFileURL(home).href, name: 'home' }],
    });
    await wire.sendNotification('initialized', {});
    const result: RunResult = await wire.sendRequest('agent/run', { runId: 'r1', prompt: 'hello' });
    const complete = await completed;
    const session = new Session(result.sessionId);
    for (const event of events) {
      session.apply(event);
    }
    session.complete(complete);
    const [user, answer] = session.model.messages;
    assert.equal(user?.text, 'hello');
    assert.equal(answer?.text, 'Hello **you** 😀');
    assert.equal(answer?.thought, 'Hm.');
    assert.equal(complete.stopReason, 'end_turn');
    await wire.sendRequest('shutdown', {});
    await wire.sendNotification('exit', {});
  } finally {
    wire.dispose();
    server.kill();
  }
});
