import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as breath } from 'node:timers/promises';
import { alone } from '../src/claiming.ts';
import { Cancelled } from '../src/processes.ts';

const PATIENCE = { renewMs: 20, silentMs: 200 };
const NEVER = new AbortController().signal;

function folder(): string {
  return join(mkdtempSync(join(tmpdir(), 'claims-')), 'claims');
}

function claimed(by: number): string {
  const claims = folder();
  mkdirSync(claims);
  writeFileSync(join(claims, `${by}-abcdef.claim`), '');
  return claims;
}

test('of many that come at once one works at a time, and all have their turn', { timeout: 60_000 }, async () => {
  const claims = folder();
  let working = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    working += 1;
    assert.equal(working, 1);
    await breath();
    working -= 1;
    done += 1;
  };
  await Promise.all(Array.from({ length: 12 }, () => alone(claims, work, NEVER, () => undefined, PATIENCE)));
  assert.equal(done, 12);
  assert.deepEqual(readdirSync(claims), []);
});

test('the claim of a process that is gone does not count', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
  await once(child, 'exit');
  const claims = claimed(child.pid ?? 0);
  const waits = (): void => assert.fail('it waits');
  assert.equal(await alone(claims, async () => 'done', NEVER, waits, PATIENCE), 'done');
});

test('a claim nobody renews does not count after a while, though a process has its number', {
  timeout: 60_000,
}, async () => {
  const claims = claimed(process.pid);
  let waited = false;
  const waits = (): void => {
    waited = true;
  };
  assert.equal(await alone(claims, async () => 'done', NEVER, waits, PATIENCE), 'done');
  assert.ok(waited);
});

test('who waits can be cancelled, and the work of the other goes on', { timeout: 60_000 }, async () => {
  const claims = folder();
  mkdirSync(claims);
  const stop = new AbortController();
  let end = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  const working = alone(
    claims,
    () => held,
    NEVER,
    () => undefined,
    PATIENCE,
  );
  while (readdirSync(claims).length === 0) {
    await breath();
  }
  const waiting = alone(
    claims,
    async () => assert.fail('both work'),
    stop.signal,
    () => stop.abort(),
    PATIENCE,
  );
  await assert.rejects(waiting, Cancelled);
  assert.equal(readdirSync(claims).length, 1);
  end();
  await working;
});

test('a failure gives the place to the next one', { timeout: 60_000 }, async () => {
  const claims = folder();
  const fails = async (): Promise<void> => {
    throw new Error('no');
  };
  await assert.rejects(
    alone(claims, fails, NEVER, () => undefined, PATIENCE),
    /no/,
  );
  assert.equal(
    await alone(
      claims,
      async () => 'done',
      NEVER,
      () => undefined,
      PATIENCE,
    ),
    'done',
  );
});
