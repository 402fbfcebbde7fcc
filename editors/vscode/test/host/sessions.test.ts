import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { answerOf, ask, folder, hold, parts, whenIdle } from './desk.ts';
import { test, until } from './harness.ts';

test('two sessions stream at once, each its own text', async () => {
  const first = await ask('story one');
  await hold('one').reached();
  const second = await ask('story two');
  await hold('two').reached();
  assert.equal(first.model.state, 'running');
  hold('two').release();
  await whenIdle(second);
  assert.equal(first.model.state, 'running');
  hold('one').release();
  await whenIdle(first);
  assert.equal(answerOf(first), 'This is one: ends.');
  assert.equal(answerOf(second), 'This is two: ends.');
});

test('two prompts at the same moment begin one session', async () => {
  const { conversations } = await parts();
  await conversations.show(undefined);
  const [one, two] = await Promise.all([
    conversations.send('quick one', 'queue'),
    conversations.send('quick two', 'queue'),
  ]);
  assert.equal(one.sessionId, two.sessionId);
  const session = await until(() => conversations.active, 'there is a session');
  await until(() => session.model.completes.length === 2, 'both have ended');
  assert.deepEqual(
    session.model.messages.map(({ text }) => text),
    ['quick one', 'Quick.', 'quick two', 'Quick.'],
  );
});

test('what was attached to a prompt that was refused goes along with the next', async () => {
  const { conversations, attachments } = await parts();
  await conversations.show(undefined);
  attachments.addFile(vscode.Uri.file(`${folder()}/is-not-there.txt`));
  attachments.addText('kept', 'note');
  await assert.rejects(conversations.send('quick', 'queue'), /is-not-there/);
  const added = attachments.chips().filter(({ automatic }) => !automatic);
  assert.deepEqual(
    added.map(({ label }) => label),
    ['is-not-there.txt', 'note'],
  );
  attachments.remove(added[0]?.id ?? '');
  await conversations.send('quick', 'queue');
  assert.deepEqual(
    attachments.chips().filter(({ automatic }) => !automatic),
    [],
  );
  const session = await until(() => conversations.active, 'there is a session');
  await whenIdle(session);
});

test('ten thousand deltas are folded byte-exactly', async () => {
  const session = await ask('much');
  await whenIdle(session);
  assert.equal(answerOf(session), 'some wörds 😀\n\n'.repeat(2500));
});

test('a question is answered with what was chosen', async () => {
  const { conversations } = await parts();
  const session = await ask('question');
  const record = await until(() => session.model.questions?.[0], 'a question is asked');
  assert.equal(record.message, 'Which colour?');
  assert.equal(conversations.waiting, 1);
  await conversations.answer(record.requestId, 'accept', { answer: 'green', answer_notes: 'dark, please' });
  await whenIdle(session);
  assert.equal(session.model.questions, undefined);
  assert.match(answerOf(session), /green/);
  assert.match(answerOf(session), /dark, please/);
});

test('what a sub-agent does is nested in the card of its call', async () => {
  const session = await ask('delegate');
  await whenIdle(session);
  const call = session.model.messages.flatMap(({ tools }) => tools).find(({ name }) => name === 'agent');
  assert.ok(call?.child, JSON.stringify(call));
  assert.match(call.child.messages.at(-1)?.text ?? '', /I am the helper/);
});

test('a restart of the server interrupts a run, and the session is there again', async () => {
  const { server, conversations } = await parts();
  const session = await ask('story three');
  await hold('three').reached();
  await server.restart();
  await until(() => server.state === 'running', 'the server runs again');
  const again = await until(() => {
    const found = conversations.sessions.get(session.model.sessionId);
    return found?.model.completes.some(({ stopReason }) => stopReason === 'interrupted') && found;
  }, 'the run was told to be interrupted');
  assert.match(again.model.messages[0]?.text ?? '', /story three/);
  await whenIdle(again);
});
