/**
 * A small process between windows and the server, so that a run outlives a reload of its window.
 *
 * It starts the server with a socket of its own, passes every connection through, and ends the server (by the end of its
 * input, which is a clean shutdown) when no window has been connected for a while. It knows nothing of the protocol.
 * Usage: keeper SOCKET GRACE_SECONDS COMMAND ARGUMENT…
 */
import { spawn } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';

const POLL_MS = 20;
const START_MS = 30_000;
const END_MS = 8_000;

const [socketPath = '', grace = '30', command = '', ...args] = process.argv.slice(2);
const inner = `${socketPath}.server`;
const windows = new Set<Socket>();
let idle: NodeJS.Timeout | undefined;
let ending = false;
/** Until a first window has come it is being waited for, however short the grace is. */
let hadWindow = false;

const server = spawn(command, [...args, '--socket', inner], { stdio: ['pipe', 'ignore', 'inherit'] });
server.on('error', () => leave(1));
server.on('exit', (code) => leave(code ?? 1));

const listener = createServer((window) => {
  windows.add(window);
  hadWindow = true;
  clearTimeout(idle);
  window.on('error', () => window.destroy());
  window.on('close', () => {
    windows.delete(window);
    waitForWindows();
  });
  join(window, Date.now() + START_MS);
});

rmSync(socketPath, { force: true });
listener.listen(socketPath, () => {
  chmodSync(socketPath, 0o600);
  writeFileSync(`${socketPath}.pid`, String(process.pid), { mode: 0o600 });
  waitForWindows();
});
process.on('SIGTERM', end);
process.on('SIGHUP', () => undefined);

/** Connect the window with the server, which may not listen yet: its socket is there a moment before it does. */
function join(window: Socket, deadline: number): void {
  if (window.destroyed || ending || Date.now() > deadline) {
    window.destroy();
    return;
  }
  const connection = createConnection(inner);
  const again = (): void => {
    setTimeout(() => join(window, deadline), POLL_MS);
  };
  connection.once('error', again);
  connection.once('connect', () => {
    connection.off('error', again);
    if (window.destroyed) {
      connection.destroy();
      return;
    }
    connection.on('error', () => window.destroy());
    connection.on('close', () => window.destroy());
    window.on('close', () => connection.destroy());
    window.pipe(connection);
    connection.pipe(window);
  });
}

function waitForWindows(): void {
  clearTimeout(idle);
  if (windows.size === 0) {
    const graceMs = Number(grace) * 1000;
    idle = setTimeout(end, hadWindow ? graceMs : Math.max(graceMs, START_MS));
  }
}

function end(): void {
  if (!ending) {
    ending = true;
    rmSync(socketPath, { force: true });
    server.stdin.end();
    setTimeout(() => server.kill('SIGKILL'), END_MS);
  }
}

function leave(code: number): void {
  for (const path of [socketPath, inner, `${socketPath}.pid`]) {
    rmSync(path, { force: true });
  }
  process.exit(code);
}
