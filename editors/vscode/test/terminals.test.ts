import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventParams } from '../src/protocol.ts';
import { Session } from '../src/session.ts';
import type { ViewModel } from '../src/viewmodel.ts';

const COMMAND = { toolCallId: 'c1', messageId: 'm1', name: 'bash', title: 'Run make', kind: 'execute' };

function event(seq: number, sessionUpdate: string, fields: object): EventParams {
  return { sessionId: 's1', runId: 'r1', seq, update: { sessionUpdate, ...fields } } as unknown as EventParams;
}

function said(text: string): EventParams {
  return event(2, 'terminal_output_chunk', { terminalId: '001', content: { type: 'text', text } });
}

function running(): Session {
  const session = new Session('s1');
  session.apply(event(1, 'tool_call_update', { ...COMMAND, status: 'in_progress' }));
  session.apply(event(2, 'terminal_update', { terminalId: '001', toolCallId: 'c1', status: 'running' }));
  return session;
}

test('what a command says while it runs is shown in its call, until the result takes its place', () => {
  const session = running();
  assert.deepEqual(session.apply(said('one\n')), [{ op: 'tool', id: 'm1', tool: 'c1' }]);
  session.apply(said('two\n'));
  assert.equal(session.tool('c1')?.output, 'one\ntwo\n');
  session.apply(event(3, 'terminal_update', { terminalId: '001', toolCallId: 'c1', status: 'completed', exitCode: 0 }));
  const content = [{ type: 'text', text: 'all of it' }];
  session.apply(event(4, 'tool_call_update', { ...COMMAND, status: 'completed', content }));
  assert.deepEqual(session.apply(said('late')), []);
  assert.equal(session.tool('c1')?.output, 'all of it');
  assert.equal(session.tool('c1')?.terminal, undefined);
});

test('a page that is given the session in the middle goes on with the same command', () => {
  const session = running();
  session.apply(said('one\n'));
  const given = new Session(JSON.parse(JSON.stringify(session.model)) as ViewModel, 'r1');
  given.apply(said('two\n'));
  assert.equal(given.tool('c1')?.output, 'one\ntwo\n');
});

test('of much output the end is kept, and output of unknown commands changes nothing', () => {
  const session = running();
  session.apply(said('x'.repeat(100_000)));
  session.apply(said('end'));
  assert.equal(session.tool('c1')?.output.length, 64_000);
  assert.ok(session.tool('c1')?.output.endsWith('end'));
  const other = event(2, 'terminal_output_chunk', { terminalId: '009', content: { type: 'text', text: 'x' } });
  assert.deepEqual(session.apply(other), []);
});
