/** Which program is the server: a setting, `lsp-agent` on PATH, or an interpreter that has the package. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROBE_MS = 15_000;

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Where it was found, for the log and for people. */
  readonly origin: string;
}

export interface Hints {
  readonly command: readonly string[];
  readonly python: string;
  /** The interpreter chosen in the Python extension, if any. */
  readonly chosenPython: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
}

/** The first program that answers; undefined when there is none. Later places are only looked at when needed. */
export async function findServer(hints: Hints): Promise<Program | undefined> {
  const [command, ...args] = hints.command;
  if (command) {
    return { command, args, origin: 'setting lspAgent.server.command' };
  }
  if (hints.python) {
    return byModule(hints.python, 'setting lspAgent.server.python');
  }
  const onPath = await inPath('lsp-agent', hints.environment);
  if (onPath) {
    return { command: onPath, args: ['serve'], origin: 'PATH' };
  }
  const interpreters: [string | undefined, string][] = [
    [hints.chosenPython, 'the interpreter of the Python extension'],
    [await inPath('python3', hints.environment), 'python3 on PATH'],
    [await inPath('python', hints.environment), 'python on PATH'],
  ];
  for (const [python, origin] of interpreters) {
    if (python && (await hasPackage(python, hints.environment))) {
      return byModule(python, origin);
    }
  }
  return undefined;
}

function byModule(python: string, origin: string): Program {
  return { command: python, args: ['-m', 'lsp_agent', 'serve'], origin };
}

async function inPath(name: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd'] : [''];
  for (const folder of (environment['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    for (const suffix of suffixes) {
      const candidate = join(folder, name + suffix);
      try {
        await access(candidate, constants.X_OK);
        return candidate;
      } catch {
        // not in this folder
      }
    }
  }
  return undefined;
}

async function hasPackage(python: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const probe = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("lsp_agent") is None)';
  try {
    await run(python, ['-I', '-c', probe], { env: environment, timeout: PROBE_MS });
    return true;
  } catch {
    return false;
  }
}
