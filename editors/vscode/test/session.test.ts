import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EventParams, RunCompleteParams, SessionAttachResult, Message as Stored } from '../src/protocol.ts';
import { attached, childrenOf, load } from '../src/restoring.ts';
import { Session } from '../src/session.ts';
import { decisionsOf } from '../src/viewmodel.ts';

const TRANSCRIPTS = new URL('../../../tests/fixtures/transcripts/', import.meta.url);

type Line =
  | { method: 'agent/session/attach'; result: SessionAttachResult }
  | { method: 'agent/session/read'; result: { messages: Stored[] } }
  | { method: 'agent/runComplete'; params: RunCompleteParams }
  | { method: 'agent/event'; params: EventParams };

function folded(lines: readonly Line[]): Session {
  let session = new Session('s1');
  for (const line of lines) {
    switch (line.method) {
      case 'agent/session/attach':
        session = attached(session, line.result);
        break;
      case 'agent/session/read':
        load(session, line.result.messages);
        break;
      case 'agent/runComplete':
        session.complete(line.params);
        break;
      case 'agent/event':
        session.apply(line.params);
        break;
    }
  }
  return session;
}

/** As JSON sees it: without nulls and absent fields, as the fixtures are written. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
    return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
  }
  return value;
}

const names = readdirSync(TRANSCRIPTS).filter((name) => name.endsWith('.jsonl'));

test('there are transcripts to fold', () => assert.ok(names.length >= 4));

for (const name of names) {
  test(`${name} folds to the view model every client shares`, () => {
    const lines = readFileSync(new URL(name, TRANSCRIPTS), 'utf8').trim().split('\n');
    const view = new URL(name.replace('.jsonl', '.view.json'), TRANSCRIPTS);
    const session = folded(lines.map((line) => JSON.parse(line) as Line));
    assert.deepEqual(plain(session.model), JSON.parse(readFileSync(view, 'utf8')));
  });
}

function chunk(text: string): EventParams {
  const update = {
    sessionUpdate: 'agent_message_chunk' as const,
    messageId: 'm',
    content: { type: 'text' as const, text },
  };
  return { sessionId: 's1', seq: 0, update };
}

test('ten thousand deltas are folded byte-exactly', () => {
  const session = new Session('s1');
  const piece = 'ünder 😀\n';
  for (let count = 0; count < 10_000; count += 1) {
    session.apply(chunk(piece));
  }
  assert.equal(session.message('m')?.text, piece.repeat(10_000));
});

test('a stream that begins again after an attach is not doubled', () => {
  const session = new Session('s1');
  session.apply(chunk('half'));
  const pending = { permissions: [], questions: [] };
  attached(session, { seq: 0, mode: 'replay', pending, activeRunId: 'r1', queueRevision: 0 });
  session.apply(chunk('half and'));
  assert.equal(session.message('m')?.text, 'half and');
  assert.equal(session.model.state, 'running');
});

test('a durable event that is known already, or of another session, changes nothing', () => {
  const session = new Session('s1');
  const update = { sessionUpdate: 'state_update' as const, state: 'running' };
  assert.equal(session.apply({ sessionId: 's1', seq: 1, update }).length, 1);
  assert.deepEqual(session.apply({ sessionId: 's1', seq: 1, update: { ...update, state: 'idle' } }), []);
  assert.deepEqual(session.apply({ sessionId: 'other', seq: 2, update }), []);
  assert.equal(session.model.state, 'running');
});

test('an update of a later version changes nothing but the number', () => {
  const session = new Session('s1');
  assert.deepEqual(session.apply({ sessionId: 's1', seq: 1, update: { sessionUpdate: 'from_the_future' } }), []);
});

test('a model that was sent as JSON goes on where it was', () => {
  const session = new Session('s1');
  session.apply(chunk('a'));
  const copy = new Session(JSON.parse(JSON.stringify(session.model)));
  copy.apply(chunk('b'));
  assert.equal(copy.message('m')?.text, 'ab');
});

/** A session with one call of a sub-agent. */
function withCall(): Session {
  const session = new Session('s1');
  const update = { sessionUpdate: 'tool_call_update' as const, toolCallId: 't1', messageId: 'm1', name: 'agent' };
  session.apply({ sessionId: 's1', seq: 1, update } as unknown as EventParams);
  return session;
}

function ofChild(seq: number, update: unknown): EventParams {
  return { sessionId: 'm1$$t1', seq, parent: { sessionId: 's1', toolCallId: 't1' }, update } as unknown as EventParams;
}

test('the events of a sub-agent are folded below its call, and what it asks is asked of the user', () => {
  const session = withCall();
  const said = ofChild(0, {
    sessionUpdate: 'agent_message_chunk',
    messageId: 'c1',
    content: { type: 'text', text: 'hm' },
  });
  assert.ok(session.holds(said));
  assert.deepEqual(session.apply(said), [{ op: 'tool', id: 'm1', tool: 't1' }]);
  assert.equal(session.tool('t1')?.child?.messages[0]?.text, 'hm');
  const asked = ofChild(1, {
    sessionUpdate: 'permission_requested',
    requestId: 'p1',
    sessionId: 'm1$$t1',
    options: [],
  });
  assert.deepEqual(session.apply(asked).at(-1), { op: 'permission' });
  assert.deepEqual(
    decisionsOf(session.model).permissions.map(({ requestId }) => requestId),
    ['p1'],
  );
  assert.deepEqual(session.apply(asked), []);
  const copy = new Session(JSON.parse(JSON.stringify(session.model)));
  copy.apply(ofChild(2, { sessionUpdate: 'permission_resolved', requestId: 'p1', outcome: {}, resolvedBy: null }));
  assert.deepEqual(decisionsOf(copy.model).permissions, []);
});

test('sub-agents of a restored session are named as the server names them', () => {
  assert.deepEqual(childrenOf(withCall()), [{ sessionId: 'm1$$t1', toolCallId: 't1' }]);
});

test('a question is open until it is resolved, and an attach tells which are', () => {
  const session = new Session('s1');
  const record = { requestId: 'q1', sessionId: 's1', runId: null, message: 'Really?', createdAt: '' };
  const asked = { sessionId: 's1', seq: 1, update: { sessionUpdate: 'question_requested' as const, ...record } };
  assert.deepEqual(session.apply(asked), [{ op: 'question' }]);
  assert.deepEqual(session.model.questions, [record]);
  const resolved = {
    sessionUpdate: 'question_resolved' as const,
    requestId: 'q1',
    outcome: 'accept',
    resolvedBy: null,
  };
  session.apply({ sessionId: 's1', seq: 2, update: resolved });
  assert.equal(session.model.questions, undefined);
  const pending = { permissions: [], questions: [record] };
  attached(session, { seq: 2, mode: 'replay', pending, activeRunId: null, queueRevision: 0 });
  assert.deepEqual(session.model.questions, [record]);
});
