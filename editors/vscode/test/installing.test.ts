import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ownServers, programIn } from '../src/installed.ts';
import { InstallError, install, type Plan, suitable, type Trouble } from '../src/installing.ts';
import { interpreters } from '../src/interpreters.ts';
import { Cancelled } from '../src/processes.ts';
import { bundle, fakePython, folder, quickPython, realPython, script } from './wheels.ts';

const LIMIT = { timeout: 120_000 };
const OFFLINE = { PIP_CONFIG_FILE: '/dev/null', PIP_INDEX_URL: 'http://127.0.0.1:9/simple', PIP_FIND_LINKS: '' };

async function plan(
  wishes: Partial<Plan> = {},
): Promise<Plan & { readonly steps: string[]; readonly lines: string[] }> {
  const steps: string[] = [];
  const lines: string[] = [];
  return {
    ...{ root: join(folder(), 'server'), bundle: await bundle(), python: quickPython(), protocol: 1 },
    ...{ environment: { ...process.env, ...OFFLINE }, signal: new AbortController().signal },
    ...{ tell: (step: string) => steps.push(step), log: (line: string) => lines.push(line), steps, lines },
    ...wishes,
  };
}

async function fails(made: Plan, trouble: Trouble, words: RegExp): Promise<InstallError> {
  const error = await install(made).then(
    () => assert.fail('it is installed'),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof InstallError, String(error));
  assert.equal(error.trouble, trouble, error.message);
  assert.match(error.message, words);
  assert.deepEqual(leftIn(made.root), []);
  return error;
}

async function whole(root: string): Promise<string[]> {
  return (await ownServers(root)).map(({ id }) => id);
}

function leftIn(root: string): string[] {
  return readdirSync(root).filter((name) => name !== 'claims');
}

test('a wheel is installed by real Python and real pip, once', LIMIT, async () => {
  const made = await plan({ python: await realPython() });
  const own = await install(made);
  assert.ok(existsSync(programIn(own.folder)));
  assert.deepEqual(await ownServers(made.root), [own]);
  assert.ok(made.steps.includes('unpacking…'), made.steps.join());
  const again = await plan({ root: made.root, bundle: made.bundle });
  assert.deepEqual(await install(again), own);
  assert.deepEqual(again.steps, []);
});

test('of two windows one installs, and the other waits and has it, too', LIMIT, async () => {
  const one = await plan();
  const two = await plan({ root: one.root, bundle: one.bundle });
  const [first, second] = await Promise.all([install(one), install(two)]);
  assert.deepEqual(first, second);
  const environments = [...one.lines, ...two.lines].filter((line) => line.includes('-m venv'));
  assert.equal(environments.length, 1);
  assert.ok([...one.steps, ...two.steps].includes('another window is installing it…'));
});

test('what was left half made is not taken for whole, and is swept away', LIMIT, async () => {
  const made = await plan();
  const half = join(made.root, made.bundle.id);
  mkdirSync(join(half, 'bin'), { recursive: true });
  writeFileSync(join(half, 'bin', 'lsp-agent'), '');
  mkdirSync(join(made.root, '0.0.0-other'));
  assert.deepEqual(await ownServers(made.root), []);
  await install(made);
  assert.equal(leftIn(made.root).length, 1);
  assert.equal((await ownServers(made.root))[0]?.id, made.bundle.id);
});

test('an update keeps the one that may still run, and takes away the one before', LIMIT, async () => {
  const first = await plan();
  const { root } = first;
  await install(first);
  const [second, third] = [await bundle({ version: '0.0.2' }), await bundle({ version: '0.0.3' })];
  await install(await plan({ root, bundle: second }));
  assert.deepEqual(await whole(root), [second.id, first.bundle.id]);
  await install(await plan({ root, bundle: third }));
  assert.deepEqual(await whole(root), [third.id, second.id]);
  assert.equal(leftIn(root).length, 2);
});

test('cancelling ends everything that was started and leaves nothing', LIMIT, async () => {
  const pids = join(folder(), 'pids');
  const stop = new AbortController();
  const python = fakePython(`mkdir -p "$4"; sleep 600 & echo $$ $! > "${pids}.new"; mv "${pids}.new" "${pids}"; wait`);
  const made = await plan({ python, signal: stop.signal });
  const installing = install(made);
  installing.catch(() => undefined);
  while (!existsSync(pids)) {
    await pause(5);
  }
  assert.equal(leftIn(made.root).length, 1);
  stop.abort();
  await assert.rejects(installing, Cancelled);
  assert.deepEqual(leftIn(made.root), []);
  for (const pid of readFileSync(pids, 'utf8').trim().split(' ').map(Number)) {
    while (isRunning(pid)) {
      await pause(5);
    }
  }
});

test('without a network it says so, with the last lines of pip', LIMIT, async () => {
  const needs = 'Requires-Dist: not-a-package-of-anybody\n';
  const made = await plan({ python: await realPython(), bundle: await bundle({ needs }) });
  const { detail } = await fails(made, 'network', /did not reach its index.*proxy/);
  assert.match(detail, /not-a-package-of-anybody/);
});

test('versions that were tested but do not fit give way to any that do', LIMIT, async () => {
  const made = await plan({ python: await realPython(), bundle: await bundle({ constraints: 'lsp-agent==9\n' }) });
  await install(made);
  assert.equal(made.lines.filter((line) => line.includes('pip install')).length, 2);
});

test('a server that does not start is not kept', LIMIT, async () => {
  const code = 'raise SystemExit("it is broken")';
  await fails(
    await plan({ python: await realPython(), bundle: await bundle({ code }) }),
    'failed',
    /does not start: it is broken/,
  );
});

test('a full disk is named as such', LIMIT, async () => {
  const python = fakePython('mkdir -p "$4"; echo "OSError: [Errno 28] No space left on device" >&2; exit 1');
  await fails(await plan({ python }), 'room', /no room.*300 MB/);
});

test('an environment that Debian cannot make names the package that is missing', LIMIT, async () => {
  const python = fakePython('mkdir -p "$4"; echo "ensurepip is not available."; exit 1');
  await fails(await plan({ python }), 'venv', /apt install python3\.12-venv/);
});

test('Pythons are looked at in the order of the wishes, and those that do not run are left out', LIMIT, async () => {
  const where = folder();
  script('echo 3.13.2; echo True', 'python3.13', where);
  script('echo "pyenv: python3.12: command not found" >&2; exit 127', 'python3.12', where);
  script('echo 3.9.2; echo True', 'python3', where);
  const wished = script('echo 3.11.4; echo False', 'mine');
  const found = await interpreters({ python: wished, chosenPython: undefined, environment: { PATH: where } });
  assert.deepEqual(
    found.map(({ version, isNewEnough, hasVenv }) => [version, isNewEnough, hasVenv]),
    [
      ['3.11.4', true, false],
      ['3.13.2', true, true],
      ['3.9.2', false, true],
    ],
  );
  assert.equal(suitable(found).version, '3.13.2');
  assert.throws(() => suitable(found.slice(0, 1)), /mine \(3\.11\.4\) cannot make environments.*python3\.11-venv/);
  assert.throws(() => suitable(found.slice(2)), /3\.11 or later is needed.*python3 is 3\.9\.2/);
  assert.throws(() => suitable([]), /no Python on the PATH/);
});

test('the Python of this machine is one of those', LIMIT, async (context: TestContext) => {
  const python = await realPython();
  context.diagnostic(`${python.command} ${python.version}`);
  assert.equal(suitable([python]), python);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
