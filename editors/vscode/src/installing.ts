/** Installing the server into an environment of its own. Knows no `vscode`: a Python, a package, a folder. */
import { randomBytes } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { alone } from './claiming.ts';
import {
  type Bundle,
  type OwnServer,
  ownServers,
  programIn,
  pythonIn,
  removeOwn,
  sweep,
  writeMark,
} from './installed.ts';
import type { Interpreter } from './interpreters.ts';
import { Cancelled, type Ended, runToEnd } from './processes.ts';

const VENV_MS = 300_000;
const PIP_MS = 1_800_000;
const CHECK_MS = 60_000;
const CLAIMS = 'claims';
const MB = 1024 * 1024;
/** Of 49 packages, as measured on Linux with Python 3.11. */
export const DOWNLOAD_MB = 35;
export const INSTALLED_MB = 200;
const NEEDED_MB = 300;
/** What would send the packages elsewhere, or make Python look elsewhere. */
const MISLEADING = ['PIP_USER', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_REQUIREMENT', 'PYTHONHOME', 'PYTHONPATH'];
const LAST_LINES = 6;
/** How pip and what it is made of name a network that is not there. */
const OFFLINE = new RegExp(
  [
    'NewConnectionError|NameResolutionError|ProxyError|ConnectTimeout|ReadTimeout|SSLError|CERTIFICATE_VERIFY',
    'Max retries|name resolution|Connection (refused|reset|aborted)|Network is unreachable',
  ].join('|'),
);

export interface Plan {
  /** The folder of all servers installed by the extension. */
  readonly root: string;
  readonly bundle: Bundle;
  readonly python: Interpreter;
  /** The protocol the bundled server and this extension speak. */
  readonly protocol: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** The step that begins, for people. */
  readonly tell: (step: string) => void;
  /** Every line the programs print, for the log. */
  readonly log: (line: string) => void;
}

export type Trouble = 'python' | 'venv' | 'network' | 'room' | 'failed';

/** Why there is no server now, in words for people, with the way out. `detail`: the last lines of the program. */
export class InstallError extends Error {
  readonly trouble: Trouble;
  readonly detail: string;

  constructor(trouble: Trouble, message: string, detail = '') {
    super(message);
    this.trouble = trouble;
    this.detail = detail;
  }
}

/** The first of these that will do. Throws `InstallError` when there is none, and names what was found. */
export function suitable(found: readonly Interpreter[]): Interpreter {
  const able = found.find(({ isNewEnough, hasVenv }) => isNewEnough && hasVenv);
  if (able) {
    return able;
  }
  const almost = found.find(({ isNewEnough }) => isNewEnough);
  if (almost) {
    throw withoutVenv(almost);
  }
  const names = found.map(({ command, version }) => `${command} is ${version}`);
  throw new InstallError(
    'python',
    `Python 3.11 or later is needed, and was not found (${names.join(', ') || 'there is no Python on the PATH'}). ` +
      'Install one, or choose one that is elsewhere.',
  );
}

/** Make the environment, or use the one there is. Rejects with `Cancelled`, `InstallError`; then nothing is left. */
export async function install(plan: Plan): Promise<OwnServer> {
  const { root, bundle, signal, tell } = plan;
  const work = async (): Promise<OwnServer> => {
    const there = (await ownServers(root)).find(({ id }) => id === bundle.id);
    // a name that was never used: what a window that was killed has started may still write into its own
    return there ?? make(plan, join(root, `${bundle.id}-${randomBytes(3).toString('hex')}`));
  };
  const waits = (): void => tell('another window is installing it…');
  return alone(join(root, CLAIMS), work, signal, waits);
}

async function make(plan: Plan, folder: string): Promise<OwnServer> {
  const { root, bundle, protocol, tell } = plan;
  tell('making room…');
  await sweep(root, [CLAIMS]);
  await checkRoom(root);
  try {
    tell('making an environment…');
    await makeEnvironment(plan, folder);
    await fillEnvironment(plan, folder);
    tell('trying it…');
    await checkProgram(plan, folder);
    return await writeMark(folder, bundle, protocol);
  } catch (error) {
    await removeOwn(folder);
    throw isFull(error) ? withoutRoom(root) : error;
  }
}

async function makeEnvironment(plan: Plan, folder: string): Promise<void> {
  const { code, output } = await run(plan, plan.python.command, ['-I', '-m', 'venv', folder], VENV_MS);
  if (/ensurepip is not available|No module named '?(venv|ensurepip)/.test(output)) {
    throw withoutVenv(plan.python);
  }
  if (code !== 0) {
    throw failure('The environment could not be made', output, plan.root);
  }
}

/** With the versions that were tested; where those do not exist for this Python, with any that fit. */
async function fillEnvironment(plan: Plan, folder: string): Promise<void> {
  const { wheel, constraints } = plan.bundle;
  const tested = await pip(plan, folder, constraints ? ['--constraint', constraints, wheel] : [wheel]);
  const lacks = /No matching distribution|ResolutionImpossible|Failed (building|to build)/.test(tested.output);
  const isLast = tested.code === 0 || !constraints || !lacks || isOffline(tested.output);
  const ended = isLast ? tested : await pip(plan, folder, [wheel]);
  if (ended.code !== 0) {
    throw failure('The packages of the server could not be installed', ended.output, plan.root);
  }
}

function pip(plan: Plan, folder: string, what: readonly string[]): Promise<Ended> {
  plan.tell('fetching packages…');
  const options = ['--no-input', '--disable-pip-version-check', '--no-user', '--prefer-binary', '--retries', '2'];
  const args = ['-I', '-m', 'pip', 'install', ...options, '--progress-bar', 'off', ...what];
  return run(plan, pythonIn(folder), args, PIP_MS, (line) => {
    const [, name, size] = /^\s*Downloading (?:\S*\/)?([A-Za-z0-9_.]+)-\S+ \(([^)]+)\)/.exec(line) ?? [];
    if (name) {
      plan.tell(`fetching ${name} (${size})`);
    } else if (line.startsWith('Installing collected packages')) {
      plan.tell('unpacking…');
    }
  });
}

async function checkProgram(plan: Plan, folder: string): Promise<void> {
  const { code, output } = await run(plan, programIn(folder), ['--version'], CHECK_MS);
  if (code !== 0 || !output.includes(plan.bundle.version)) {
    throw failure('The installed server does not start', output, plan.root);
  }
}

async function run(
  plan: Plan,
  command: string,
  args: readonly string[],
  deadlineMs: number,
  line?: (text: string) => void,
): Promise<Ended> {
  const environment = Object.fromEntries(
    Object.entries(plan.environment).filter(([name]) => !MISLEADING.includes(name.toUpperCase())),
  );
  plan.log(`> ${command} ${args.join(' ')}`);
  const heard = (text: string): void => {
    plan.log(text);
    line?.(text);
  };
  // a folder of ours: nothing of the workspace can be taken for a module
  return runToEnd({ command, args, cwd: plan.root, environment, deadlineMs, signal: plan.signal, line: heard });
}

async function checkRoom(root: string): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize < NEEDED_MB * MB) {
    throw withoutRoom(root);
  }
}

function failure(what: string, output: string, root: string): InstallError {
  const last = output.trim().split(/\r?\n/).slice(-LAST_LINES).join('\n');
  if (isFull(output)) {
    return withoutRoom(root);
  }
  if (isOffline(output)) {
    return new InstallError(
      'network',
      'The packages of the server could not be fetched: pip did not reach its index. Check the network, the proxy ' +
        '(HTTPS_PROXY) and the configuration of pip, and try again.',
      last,
    );
  }
  return new InstallError('failed', `${what}: ${last.split('\n').at(-1) || 'the program said nothing'}`, last);
}

function withoutVenv({ command, version }: Interpreter): InstallError {
  const [major, minor] = version.split('.');
  return new InstallError(
    'venv',
    `${command} (${version}) cannot make environments: its module venv is incomplete. On Debian and Ubuntu: ` +
      `sudo apt install python${major}.${minor}-venv. Or choose another Python.`,
  );
}

function withoutRoom(root: string): InstallError {
  return new InstallError('room', `There is no room for the server (${NEEDED_MB} MB are needed) in ${root}.`);
}

function isFull(said: unknown): boolean {
  return !(said instanceof Cancelled) && /No space left on device|ENOSPC|\[Errno 28\]|Disk quota/.test(String(said));
}

function isOffline(output: string): boolean {
  return OFFLINE.test(output);
}
