/** A program run to its end: its lines as they come, a deadline, and a way to stop it with all it has started. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';

const KEPT_CHARS = 20_000;
const MERCY_MS = 3_000;

export interface Asked {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Every whole line of output and errors, without its end. */
  readonly line?: (text: string) => void;
}

export interface Ended {
  /** null when a signal ended it. */
  readonly code: number | null;
  /** The last 20,000 characters of output and errors, in the order they came. */
  readonly output: string;
}

/** Somebody did not want it any more. */
export class Cancelled extends Error {
  constructor() {
    super('cancelled');
  }
}

/** Run it. Rejects with `Cancelled`, when the deadline has passed, and when it cannot be started. */
export function runToEnd(asked: Asked): Promise<Ended> {
  const { command, args, cwd, environment, deadlineMs, signal, line } = asked;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Cancelled());
      return;
    }
    // a group of its own: pip starts others, and all of them have to go when it is cancelled
    const detached = process.platform !== 'win32';
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const child = spawn(command, [...args], { cwd, env: environment, detached, stdio, windowsHide: true });
    let output = '';
    let why: Error | undefined;
    const end = (error: Error): void => {
      why ??= error;
      killTree(child);
    };
    const cancel = (): void => end(new Cancelled());
    const timer = setTimeout(() => end(new Error(`${command} took longer than ${deadlineMs / 1000} s`)), deadlineMs);
    signal.addEventListener('abort', cancel, { once: true });
    const take = cutter((text) => line?.(text));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (piece: string) => {
        output = (output + piece).slice(-KEPT_CHARS);
        take(piece);
      });
    }
    const leave = (): void => killTree(child);
    process.once('exit', leave);
    const settle = (act: () => void): void => {
      process.removeListener('exit', leave);
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      act();
    };
    child.once('error', (error) => settle(() => reject(why ?? error)));
    child.once('close', (code) => settle(() => (why ? reject(why) : resolve({ code, output }))));
  });
}

/** Cuts pieces of text into lines. What has no end yet waits for it. */
function cutter(take: (line: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = (rest + piece).split(/\r?\n/);
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
}

function killTree(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) {
    return;
  }
  if (process.platform === 'win32') {
    execFile('taskkill', ['/pid', String(pid), '/T', '/F'], () => undefined);
    return;
  }
  const group = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch {
      // all of it has gone
    }
  };
  group('SIGTERM');
  const hard = setTimeout(() => group('SIGKILL'), MERCY_MS);
  child.once('close', () => {
    clearTimeout(hard);
    // what ignored the first signal and let go of the pipes
    group('SIGKILL');
  });
}
