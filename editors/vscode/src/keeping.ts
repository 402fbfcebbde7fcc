/** Starting, reaching and ending the keeper (see keeper.ts). Knows nothing of the protocol. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Program } from './discovery.ts';

const CONNECT_MS = 30_000;
const END_MS = 12_000;
const POLL_MS = 25;

export interface Keeping {
  readonly script: string;
  readonly program: Program;
  readonly graceS: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly folders: readonly string[];
  readonly logFile: string;
}

/** Unix sockets only: elsewhere the server ends with its window. */
export function canKeep(): boolean {
  return process.platform !== 'win32';
}

/** One server for one set of folders, program and state: a reloaded window finds the one it had. */
export function socketOf(keeping: Keeping): string {
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? tmpdir();
  const directory = join(runtime, `lsp-agent-${userInfo().uid}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { program, environment, folders } = keeping;
  const state = [environment['LSP_AGENT_CONFIG'], environment['LSP_AGENT_DATA_DIR'], environment['XDG_STATE_HOME']];
  const identity = JSON.stringify([program.command, program.args, [...folders].sort(), state]);
  return join(directory, `${createHash('sha256').update(identity).digest('hex').slice(0, 16)}.sock`);
}

/** A connection to the running server, or to one that is started now. */
export async function reach(keeping: Keeping): Promise<Socket> {
  const path = socketOf(keeping);
  const running = await connect(path);
  if (running) {
    return running;
  }
  start(keeping, path);
  const deadline = Date.now() + CONNECT_MS;
  while (Date.now() < deadline) {
    const socket = await connect(path);
    if (socket) {
      return socket;
    }
    await pause(POLL_MS);
  }
  throw new Error(`the server did not start; see ${keeping.logFile}`);
}

/** End the server and wait until it is gone. Without one: nothing. */
export async function endServer(keeping: Keeping): Promise<void> {
  const pidFile = `${socketOf(keeping)}.pid`;
  if (!existsSync(pidFile)) {
    return;
  }
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
  } catch {
    return; // it is gone already
  }
  const deadline = Date.now() + END_MS;
  while (existsSync(pidFile) && Date.now() < deadline) {
    await pause(POLL_MS);
  }
}

function start(keeping: Keeping, path: string): void {
  const output = openSync(keeping.logFile, 'a', 0o600);
  const { program } = keeping;
  const child = spawn(
    process.execPath,
    [keeping.script, path, String(keeping.graceS), program.command, ...program.args],
    { detached: true, stdio: ['ignore', output, output], env: { ...keeping.environment, ELECTRON_RUN_AS_NODE: '1' } },
  );
  child.unref();
  closeSync(output);
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', () => resolve(undefined));
  });
}
