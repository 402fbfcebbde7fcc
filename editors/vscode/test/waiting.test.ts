import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { WaitingPrompts } from '../src/waiting.ts';

test('a prompt that waits is known as a whole, in the next window, too', () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'waiting-')), 'storage');
  const long = `${'a long prompt '.repeat(20)}\nof two lines`;
  new WaitingPrompts(folder).remember('m1', long);
  const waiting = new WaitingPrompts(folder);
  const preview = `${long.slice(0, 79)}…`;
  assert.equal(waiting.text({ messageId: 'm1', preview }), long);
  assert.equal(waiting.text({ messageId: 'm2', preview: 'a short one' }), 'a short one');
  assert.equal(waiting.text({ messageId: 'm2', preview }), undefined);
  for (let count = 0; count < 150; count += 1) {
    waiting.remember(`n${count}`, 'x');
  }
  assert.equal((JSON.parse(readFileSync(join(folder, 'waiting.json'), 'utf8')) as unknown[]).length, 100);
  writeFileSync(join(folder, 'waiting.json'), '{"not": "ours"');
  assert.equal(new WaitingPrompts(folder).text({ messageId: 'n1', preview: 'shown' }), 'shown');
});
