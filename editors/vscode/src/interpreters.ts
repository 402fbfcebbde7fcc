/** Which Pythons there are, and which of them can carry the server. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROBE_MS = 15_000;
/** What `requires-python` of the server says. */
const NEEDED: readonly [number, number] = [3, 11];
const NAMES = ['python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
const PROBE = [
  'import sys, importlib.util as u',
  'print("%d.%d.%d" % tuple(sys.version_info[:3]))',
  'print(all(u.find_spec(name) for name in ("venv", "ensurepip")))',
].join('\n');

export interface Interpreter {
  readonly command: string;
  /** Where it was found, for people. */
  readonly origin: string;
  /** Like `3.11.2`. */
  readonly version: string;
  readonly isNewEnough: boolean;
  /** Whether it can make environments: Debian and Ubuntu have that in a package of its own. */
  readonly hasVenv: boolean;
}

export interface Wishes {
  /** The setting `lspAgent.server.python`; empty: none. */
  readonly python: string;
  /** The interpreter chosen in the Python extension, if any. */
  readonly chosenPython: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
}

/** Look at every Python somebody might mean, the most wished for first. Those that do not run are left out. */
export async function interpreters({ python, chosenPython, environment }: Wishes): Promise<Interpreter[]> {
  const places: [string | undefined, string][] = [
    [python || undefined, 'setting lspAgent.server.python'],
    [chosenPython, 'the interpreter of the Python extension'],
  ];
  for (const name of process.platform === 'win32' ? [...NAMES, 'py'] : NAMES) {
    places.push([await inPath(name, environment), `${name} on PATH`]);
  }
  const seen = new Set<string>();
  const looked: Promise<Interpreter | undefined>[] = [];
  for (const [command, origin] of places) {
    if (command && !seen.has(command)) {
      seen.add(command);
      looked.push(look(command, origin, environment));
    }
  }
  return (await Promise.all(looked)).filter((each) => each !== undefined);
}

/** What one Python says of itself; undefined when it does not run. */
export async function look(
  command: string,
  origin: string,
  environment: NodeJS.ProcessEnv,
): Promise<Interpreter | undefined> {
  try {
    const { stdout } = await run(command, ['-I', '-c', PROBE], { env: environment, timeout: PROBE_MS });
    const [version = '', hasVenv] = stdout.trim().split(/\r?\n/);
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const isNewEnough = major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
    return { command, origin, version, isNewEnough, hasVenv: hasVenv === 'True' };
  } catch {
    return undefined;
  }
}

/** The first file of that name on the PATH that may be run. */
export async function inPath(name: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
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

/** Whether the package of the server is in this Python. */
export async function hasPackage(python: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const probe = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("lsp_agent") is None)';
  try {
    await run(python, ['-I', '-c', probe], { env: environment, timeout: PROBE_MS });
    return true;
  } catch {
    return false;
  }
}
