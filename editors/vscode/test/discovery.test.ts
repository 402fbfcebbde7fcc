import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { findServer, type Hints } from '../src/discovery.ts';
import { type Bundle, programIn, pythonIn, writeMark } from '../src/installed.ts';
import { folder, script } from './wheels.ts';

const HAS_IT = 'exit 0';
const LACKS_IT = 'exit 1';

function bundled(id: string): Bundle {
  return { wheel: '/nowhere', constraints: undefined, version: id.split('-')[0] ?? '', id };
}

/** An environment as an installation leaves it. */
async function installed(root: string, id: string, protocol = 1): Promise<string> {
  const where = join(root, id);
  mkdirSync(dirname(programIn(where)), { recursive: true });
  writeFileSync(programIn(where), '');
  symlinkSync(script(HAS_IT, 'python3.12'), pythonIn(where));
  await writeMark(where, bundled(id), protocol);
  return where;
}

function hints(wishes: Partial<Hints> & { readonly root?: string; readonly brings?: string } = {}): Hints {
  const { root = '/nowhere', brings, ...others } = wishes;
  return {
    ...{ command: [], python: '', chosenPython: undefined, environment: { PATH: '' } },
    own: { root, bundle: brings ? bundled(brings) : undefined, protocol: 1 },
    ...others,
  };
}

test('a program in the settings wins over everything', async () => {
  const root = folder();
  await installed(root, '1-a');
  const found = await findServer(hints({ root, brings: '1-a', command: ['mine', 'serve'], python: script(HAS_IT) }));
  assert.deepEqual(found, { command: 'mine', args: ['serve'], origin: 'setting lspAgent.server.command' });
});

test('a Python in the settings that has the package wins, and takes no package from the working directory', async () => {
  const root = folder();
  const python = script(HAS_IT);
  await installed(root, '1-a');
  const found = await findServer(hints({ root, brings: '1-a', python }));
  assert.equal(found?.command, python);
  assert.deepEqual(found?.args, ['-P', '-m', 'lsp_agent', 'serve']);
});

test('a Python in the settings without the package is what was installed with: no other program is taken', async () => {
  const root = folder();
  const path = dirname(script(HAS_IT, 'lsp-agent'));
  const wishes = { root, brings: '1-a', python: script(LACKS_IT), environment: { PATH: path } };
  assert.equal(await findServer(hints(wishes)), undefined);
  const where = await installed(root, '1-a');
  assert.equal((await findServer(hints(wishes)))?.command, programIn(where));
});

test('the server made for this extension comes before the PATH, and that before interpreters', async () => {
  const root = folder();
  const program = script(HAS_IT, 'lsp-agent');
  const chosenPython = script(HAS_IT);
  const onPath = { chosenPython, environment: { PATH: dirname(program) } };
  const where = await installed(root, '1-a');
  const own = await findServer(hints({ root, brings: '1-a', ...onPath }));
  assert.equal(own?.command, programIn(where));
  assert.equal(own?.isOutdated, false);
  assert.equal((await findServer(hints(onPath)))?.command, program);
  assert.equal((await findServer(hints({ chosenPython })))?.command, chosenPython);
});

test('an older one serves until the newer one is installed, as long as it speaks the protocol', async () => {
  const root = folder();
  const old = await installed(root, '1-a');
  const found = await findServer(hints({ root, brings: '2-b' }));
  assert.equal(found?.command, programIn(old));
  assert.equal(found?.isOutdated, true);
  const newer = await installed(root, '2-b');
  assert.equal((await findServer(hints({ root, brings: '2-b' })))?.command, programIn(newer));
  assert.equal((await findServer(hints({ root, brings: '1-a' })))?.command, programIn(old));
});

test('one of another protocol is not used', async () => {
  const root = folder();
  await installed(root, '1-a', 2);
  assert.equal(await findServer(hints({ root, brings: '2-b' })), undefined);
});

test('one whose Python has gone, or has become another one, is not used', async () => {
  const root = folder();
  const where = await installed(root, '1-a');
  rmSync(pythonIn(where));
  assert.equal(await findServer(hints({ root, brings: '1-a' })), undefined);
  symlinkSync(script(HAS_IT, 'python3.14'), pythonIn(where));
  assert.equal(await findServer(hints({ root, brings: '1-a' })), undefined);
});
