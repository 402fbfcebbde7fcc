import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settledLength } from '../src/blocks.ts';
import { findServer } from '../src/discovery.ts';
import { countLines, isUntouched, type Mark, shift, withoutHunks } from '../src/hunks.ts';
import { rank } from '../src/matching.ts';

test('markdown is cut behind blank lines that are inside nothing', () => {
  assert.equal(settledLength('one\n\ntwo', 0), 'one\n\n'.length);
  assert.equal(settledLength('still open', 0), 0);
  assert.equal(settledLength('```py\na\n\nb\n', 0), 0);
  assert.equal(settledLength('```py\na\n\nb\n```\n\nafter', 0), '```py\na\n\nb\n```\n\n'.length);
  assert.equal(settledLength('- a\n\n- b\n\n', 0), 0);
  assert.equal(settledLength('- a\n\n- b\n\nafter\n', 0), '- a\n\n- b\n\n'.length);
});

test('a cut never moves back, however the text arrives', () => {
  const text = 'a\n\n- x\n\n  y\n\n```\n\n```\n\nb\n\n> q\n\nc\n';
  let settled = 0;
  for (let end = 0; end <= text.length; end += 1) {
    const next = settledLength(text.slice(0, end), settled);
    assert.ok(next >= settled && next <= end);
    settled = next;
  }
});

function mark(line: number, newText: string): Mark {
  return {
    hunkId: 'h',
    uri: 'u',
    sessionId: 's1',
    toolCallId: null,
    oldText: '',
    newText,
    line,
    lines: countLines(newText),
  };
}

test('marks move with what is typed before them and stay for what is typed behind', () => {
  const here = mark(5, 'a\n');
  shift([here], { startLine: 1, endLine: 1, text: 'two\nmore\n' });
  assert.equal(here.line, 7);
  shift([here], { startLine: 20, endLine: 22, text: '' });
  assert.equal(here.line, 7);
  shift([here], { startLine: 0, endLine: 3, text: '' });
  assert.equal(here.line, 4);
});

test('a mark whose lines were changed is not offered any more', () => {
  const lines = ['x\n', 'a\n', 'y\n'];
  const textOf = (line: number, count: number): string => lines.slice(line, line + count).join('');
  assert.ok(isUntouched(mark(1, 'a\n'), textOf));
  assert.ok(!isUntouched(mark(1, 'b\n'), textOf));
});

test('the name of a file counts more than its folders', () => {
  const paths = ['src/main/other.py', 'src/a/main.py', 'docs/m/a/i/n.md', 'zzz'];
  assert.deepEqual(
    rank(paths, 'main', (path) => path),
    ['src/a/main.py', 'src/main/other.py', 'docs/m/a/i/n.md'],
  );
});

test('the command of the settings wins, and nothing is found where nothing is', async () => {
  const hints = {
    command: ['my-agent', 'serve'],
    python: '',
    own: { root: '/nowhere', bundle: undefined, protocol: 1 },
    chosenPython: undefined,
    environment: { PATH: '' },
  };
  assert.deepEqual(await findServer(hints), {
    command: 'my-agent',
    args: ['serve'],
    origin: 'setting lspAgent.server.command',
  });
  assert.equal(await findServer({ ...hints, command: [] }), undefined);
});

test('a text without its changes is the text before them', () => {
  const text = 'one\ntwo new\nthree\nfour new\nfive new\nsix';
  const hunks = [
    { oldText: 'two\n', from: 1, to: 2 },
    { oldText: '', from: 3, to: 5 },
  ];
  assert.equal(withoutHunks(text, hunks), 'one\ntwo\nthree\nsix');
  assert.equal(withoutHunks(text, []), text);
});
