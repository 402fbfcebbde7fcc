/**
 * Which program is the server. What the user has set always wins; then comes the server this extension has installed,
 * which is made for it; then `lsp-agent` on the PATH, and an interpreter that has the package.
 */
import { type Bundle, chooseOwn, ownServers, programIn } from './installed.ts';
import { hasPackage, inPath } from './interpreters.ts';

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Where it was found, for the log and for people. */
  readonly origin: string;
  /** Installed by an earlier version of the extension: works, but the extension brings a newer one. */
  readonly isOutdated?: boolean;
}

export interface Own {
  /** The folder of servers installed by this extension. */
  readonly root: string;
  /** The server this extension brings along; undefined when it was packaged without. */
  readonly bundle: Bundle | undefined;
  /** The protocol this extension speaks. */
  readonly protocol: number;
}

export interface Hints {
  readonly command: readonly string[];
  readonly python: string;
  readonly own: Own;
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
    // without the package it is the Python to install with: nothing but such a server will do then
    return (await hasPackage(hints.python, hints.environment))
      ? byModule(hints.python, 'setting lspAgent.server.python')
      : ownProgram(hints.own);
  }
  return (await ownProgram(hints.own)) ?? (await foundProgram(hints));
}

async function ownProgram({ root, bundle, protocol }: Own): Promise<Program | undefined> {
  const chosen = chooseOwn(await ownServers(root), bundle, protocol);
  return (
    chosen && {
      command: programIn(chosen.folder),
      args: ['serve'],
      origin: `${chosen.version}, installed by this extension`,
      isOutdated: bundle !== undefined && chosen.id !== bundle.id,
    }
  );
}

async function foundProgram({ chosenPython, environment }: Hints): Promise<Program | undefined> {
  const onPath = await inPath('lsp-agent', environment);
  if (onPath) {
    return { command: onPath, args: ['serve'], origin: 'PATH' };
  }
  const interpreters: [string | undefined, string][] = [
    [chosenPython, 'the interpreter of the Python extension'],
    [await inPath('python3', environment), 'python3 on PATH'],
    [await inPath('python', environment), 'python on PATH'],
  ];
  for (const [python, origin] of interpreters) {
    if (python && (await hasPackage(python, environment))) {
      return byModule(python, origin);
    }
  }
  return undefined;
}

/** `-P`: a folder `lsp_agent` in the working directory is not the package. */
function byModule(python: string, origin: string): Program {
  return { command: python, args: ['-P', '-m', 'lsp_agent', 'serve'], origin };
}
