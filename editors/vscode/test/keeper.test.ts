import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const KEEPER = fileURLToPath(new URL('../src/keeper.ts', import.meta.url));

/** A server that answers in capitals, counts its windows, and ends with the end of its input. */
const FAKE = `
import { createServer } from 'node:net';
let count = 0;
createServer((window) => {
  count += 1;
  window.write(count + ':');
  window.on('data', (data) => window.write(String(data).toUpperCase()));
  window.on('error', () => undefined);
}).listen(process.argv[3]);
process.stdin.on('end', () => process.exit(0)).resume();
`;

function start(graceS: number): { readonly keeper: ChildProcess; readonly socket: string } {
  const home = mkdtempSync(join(tmpdir(), 'keeper-'));
  const fake = join(home, 'fake.mjs');
  writeFileSync(fake, FAKE);
  const socket = join(home, 'a.sock');
  const keeper = spawn(process.execPath, [KEEPER, socket, String(graceS), process.execPath, fake], { stdio: 'ignore' });
  return { keeper, socket };
}

async function connect(socket: string): Promise<Socket> {
  for (;;) {
    const connection = createConnection(socket);
    try {
      await once(connection, 'connect');
      return connection;
    } catch {
      await pause(10);
    }
  }
}

async function hear(connection: Socket, wanted: string): Promise<void> {
  let heard = '';
  for await (const piece of connection.iterator({ destroyOnReturn: false })) {
    heard += String(piece);
    if (heard === wanted) {
      return;
    }
  }
  assert.equal(heard, wanted);
}

test('a window that comes back finds the same server', { timeout: 60_000 }, async () => {
  const { keeper, socket } = start(10);
  const first = await connect(socket);
  first.write('a');
  await hear(first, '1:A');
  first.destroy();
  const second = await connect(socket);
  second.write('b');
  await hear(second, '2:B');
  keeper.kill('SIGTERM');
  assert.deepEqual((await once(keeper, 'exit'))[0], 0);
  assert.equal(existsSync(socket), false);
  assert.equal(existsSync(`${socket}.pid`), false);
});

test('without windows the server is ended after the grace', { timeout: 60_000 }, async () => {
  const { keeper, socket } = start(0.1);
  const window = await connect(socket);
  await hear(window, '1:');
  const ended = once(keeper, 'exit');
  window.destroy();
  assert.equal((await ended)[0], 0);
  assert.equal(existsSync(socket), false);
});
