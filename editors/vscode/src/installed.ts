/**
 * The server this extension brings along, and those it has installed: `<storage>/server/<version>-<hash>-<number>/`.
 *
 * A folder counts as installed by the mark in it, which is written last: what was left half made is never taken for
 * whole.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

const MARK = 'installed.json';
const WHEEL = /^lsp_agent-([^-]+)-py3-none-any\.whl$/;
const CONSTRAINTS = 'constraints.txt';

export interface Bundle {
  readonly wheel: string;
  /** The versions the server was tested with, for pip; undefined: any that fit. */
  readonly constraints: string | undefined;
  readonly version: string;
  /** Version and contents: the name of the folder it is installed in begins with it. */
  readonly id: string;
}

export interface OwnServer {
  readonly folder: string;
  readonly id: string;
  readonly version: string;
  readonly protocol: number;
  /** The name of the interpreter behind the environment, like `python3.11`. */
  readonly interpreter: string;
  /** Milliseconds since 1970. */
  readonly installedAt: number;
}

/** What is in this folder of the extension; undefined when it was packaged without. */
export async function bundleIn(folder: string): Promise<Bundle | undefined> {
  const names = await readdir(folder).catch((): string[] => []);
  const name = names.find((each) => WHEEL.test(each));
  const version = WHEEL.exec(name ?? '')?.[1];
  if (!name || !version) {
    return undefined;
  }
  const wheel = join(folder, name);
  const hash = createHash('sha256')
    .update(await readFile(wheel))
    .digest('hex');
  const constraints = names.includes(CONSTRAINTS) ? join(folder, CONSTRAINTS) : undefined;
  return { wheel, constraints, version, id: `${version}-${hash.slice(0, 12)}` };
}

/** The whole ones that still work with their Python, newest first. */
export async function ownServers(root: string): Promise<OwnServer[]> {
  const names = await readdir(root).catch((): string[] => []);
  const found = await Promise.all(names.map((name) => readMark(join(root, name))));
  return found.filter((each) => each !== undefined).sort((a, b) => b.installedAt - a.installedAt);
}

/** What this extension brings; else, until that is installed, the newest that speaks the same protocol. */
export function chooseOwn(
  servers: readonly OwnServer[],
  bundle: Bundle | undefined,
  protocol: number,
): OwnServer | undefined {
  return servers.find(({ id }) => id === bundle?.id) ?? servers.find((each) => each.protocol === protocol);
}

/** The mark, written when everything else is there. */
export async function writeMark(folder: string, bundle: Bundle, protocol: number): Promise<OwnServer> {
  const { id, version } = bundle;
  const mark = { id, version, protocol, interpreter: await interpreterOf(folder), installedAt: Date.now() };
  await writeFile(join(folder, MARK), JSON.stringify(mark));
  return { folder, ...mark };
}

/** Remove an installed server; killed in the middle, what is left is not taken for one. */
export async function removeOwn(folder: string): Promise<void> {
  await rm(join(folder, MARK), { force: true });
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Take away what was left half made, and servers older than the newest whole one: another window may run that. */
export async function sweep(root: string, keep: readonly string[]): Promise<void> {
  await mkdir(root, { recursive: true });
  const newest = (await ownServers(root))[0]?.folder;
  for (const entry of await readdir(root, { withFileTypes: true })) {
    const path = join(root, entry.name);
    if (entry.isDirectory() && path !== newest && !keep.includes(entry.name)) {
      await removeOwn(path);
    }
  }
}

export function pythonIn(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}

export function programIn(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'lsp-agent.exe') : join(folder, 'bin', 'lsp-agent');
}

async function readMark(folder: string): Promise<OwnServer | undefined> {
  try {
    const { id, version, protocol, interpreter, installedAt } = JSON.parse(await readFile(join(folder, MARK), 'utf8'));
    await access(programIn(folder));
    // an update of the system may have taken its Python away, or put another one in its place
    const isSound = interpreter === (await interpreterOf(folder));
    return isSound ? { folder, id, version, protocol, interpreter, installedAt } : undefined;
  } catch {
    return undefined;
  }
}

async function interpreterOf(folder: string): Promise<string> {
  return basename(await realpath(pythonIn(folder)));
}
