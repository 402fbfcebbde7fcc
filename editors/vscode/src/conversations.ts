/** The sessions this window has open: events folded, prompts sent, everything attached again after a restart. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import type { Attachments, Taken } from './attachments.ts';
import type { Server } from './client.ts';
import { type Log, reason } from './log.ts';
import type { EventParams, Json, ModelEntry, RunCompleteParams, RunParams, Message as Stored } from './protocol.ts';
import { Remembered } from './remembering.ts';
import { attached, childrenOf, describe, load } from './restoring.ts';
import { untilAnswered } from './sending.ts';
import { type Effect, Session } from './session.ts';
import type { Labels, QueueOp, Streamed } from './view/messages.ts';
import { type Decisions, decisionsOf } from './viewmodel.ts';

const PAGE = 100;

export type How = 'queue' | 'steer' | 'interrupt';

export interface Sent {
  readonly sessionId: string;
  readonly runId: string;
}

export class Conversations implements vscode.Disposable {
  readonly #replaced = new vscode.EventEmitter<Session | undefined>();
  readonly #streamed = new vscode.EventEmitter<Streamed>();
  readonly #effects = new vscode.EventEmitter<{ readonly session: Session; readonly effects: readonly Effect[] }>();
  readonly #raw = new vscode.EventEmitter<EventParams>();
  readonly #attached = new vscode.EventEmitter<string>();
  /** Another session is shown, or the one that is shown was loaded anew. */
  readonly onReplaced = this.#replaced.event;
  /** Something came for the session that is shown. */
  readonly onStreamed = this.#streamed.event;
  /** Something changed in any session. */
  readonly onEffects = this.#effects.event;
  /** Every event as it came. */
  readonly onEvent = this.#raw.event;
  /** A session was loaded, with everything up to now. */
  readonly onAttached = this.#attached.event;
  readonly sessions = new Map<string, Session>();
  #activeId: string | undefined;
  #attaching = new Set<string>();
  #models: ModelEntry[] = [];
  #large = '';
  /** Of a session that has chosen none, where the server tells it. */
  #mode = '';
  /** Chosen before there is a session to configure. */
  #wishes = new Map<string, string>();
  /** A prompt is on its way that makes a session; settles with its answer, never rejects. */
  #beginning: Promise<void> | undefined;

  readonly #server: Server;
  readonly #attachments: Attachments;
  readonly #remembered: Remembered;
  readonly #log: Log;
  readonly #subscriptions: vscode.Disposable[];

  constructor(server: Server, attachments: Attachments, context: vscode.ExtensionContext, log: Log) {
    this.#server = server;
    this.#attachments = attachments;
    const storage = (context.storageUri ?? context.globalStorageUri).fsPath;
    this.#remembered = new Remembered(storage);
    this.#log = log;
    this.#activeId = this.#remembered.read();
    this.#subscriptions = [
      server.onClient((client) => this.#listen(client)),
      server.onState((state) => {
        if (state === 'running') {
          this.#return().catch((error: unknown) => log.error(`attach: ${reason(error)}`));
        }
      }),
    ];
  }

  get active(): Session | undefined {
    return this.#activeId === undefined ? undefined : this.sessions.get(this.#activeId);
  }

  get models(): readonly ModelEntry[] {
    return this.#models;
  }

  /** How many questions wait for the user, in all sessions. */
  get waiting(): number {
    return this.decisions().reduce((sum, { permissions, questions }) => sum + permissions.length + questions.length, 0);
  }

  /** What waits for the user, the session that is shown first. */
  decisions(): Decisions[] {
    const others = [...this.sessions.values()].filter((session) => session !== this.active);
    return [...(this.active ? [this.active] : []), ...others].map(({ model }) => decisionsOf(model));
  }

  get isBusy(): boolean {
    return [...this.sessions.values()].some((session) => session.model.state !== 'idle');
  }

  labels(): Labels {
    const options = this.active?.model.options ?? [];
    const option = (id: string): string =>
      this.#wishes.get(id) ?? options.find((each) => each.optionId === id)?.value ?? '';
    const model = option('model.large') || this.#large;
    const entry = this.#models.find((each) => each.id === model);
    const mode = option('mode') || (this.active ? '' : this.#mode);
    return { model: entry?.name ?? model, modelId: model, mode, contextWindow: entry?.contextWindow ?? 0 };
  }

  /** Send a prompt to the session that is shown, or to a new one. Rejects when it was not accepted. */
  async send(prompt: string, how: How, taken = this.#attachments.take()): Promise<Sent> {
    try {
      // the first prompt makes the session that the next one belongs to
      while (!this.active && this.#beginning) {
        await this.#beginning;
      }
      const sent = this.#deliver(prompt, how, taken.items);
      if (!this.active) {
        const settled = (): void => {
          this.#beginning = undefined;
        };
        this.#beginning = sent.then(settled, settled);
      }
      return await sent;
    } catch (error) {
      taken.giveBack();
      throw error;
    }
  }

  async #deliver(prompt: string, how: How, attachments: Taken['items']): Promise<Sent> {
    const session = this.active ?? (await this.#newWithWishes());
    const busy = session !== undefined && session.model.state !== 'idle';
    if (busy && how === 'steer' && session.activeRun) {
      const { sessionId } = session.model;
      await this.#server.call('agent/steer', {
        sessionId,
        expectedRunId: session.activeRun,
        prompt,
        attachments: [...attachments],
        otherwise: 'queue',
      });
      return { sessionId, runId: session.activeRun };
    }
    const runId = crypto.randomUUID();
    const params: RunParams = {
      ...(session ? { sessionId: session.model.sessionId } : {}),
      runId,
      prompt,
      attachments: [...attachments],
      whenBusy: how === 'interrupt' ? 'interrupt' : 'queue',
    };
    // run once, however often it is asked for: its id stays the same
    const result = await untilAnswered(this.#server, () => this.#server.call('agent/run', params));
    if (!session) {
      // no event tells what a session has begun with
      this.#describe(this.#adopt(new Session(result.sessionId))).catch((error: unknown) =>
        this.#log.debug(`session ${result.sessionId}: ${reason(error)}`),
      );
    }
    return { sessionId: result.sessionId, runId };
  }

  async stop(): Promise<void> {
    if (this.active) {
      await this.#server.call('agent/cancel', { sessionId: this.active.model.sessionId, queue: 'keep' });
    }
  }

  async permit(requestId: string, optionId: string, message?: string): Promise<void> {
    await this.#server.call('agent/permission/respond', {
      requestId,
      outcome: { type: 'selected', optionId, ...(message ? { message } : {}) },
    });
  }

  /** Answer a question of the model; `content` by the keys of its questions. */
  async answer(requestId: string, action: 'accept' | 'decline' | 'cancel', content?: Json): Promise<void> {
    const answered = { requestId, action, ...(content === undefined ? {} : { content }) };
    const { accepted, outcome } = await this.#server.call('agent/question/respond', answered);
    if (!accepted && outcome === undefined) {
      throw new Error('The answer does not fit the question.');
    }
  }

  async queue(op: QueueOp, messageId: string, prompt?: string, index?: number): Promise<void> {
    const session = this.active;
    if (session) {
      await this.#server.call('agent/queue', {
        sessionId: session.model.sessionId,
        op,
        messageId,
        ...(prompt === undefined ? {} : { prompt }),
        ...(index === undefined ? {} : { index }),
        ifRevision: session.model.queue.revision,
      });
    }
  }

  /** The whole text of a prompt that waits, whoever sent it. Throws when it waits no longer. */
  async waitingText(messageId: string): Promise<string> {
    const sessionId = this.active?.model.sessionId ?? '';
    const { items } = await this.#server.call('agent/queue', { sessionId, messageId });
    const text = items.find((each) => each.messageId === messageId)?.prompt;
    if (typeof text !== 'string') {
      throw new Error('This prompt does not wait any longer.');
    }
    return text;
  }

  /** Choose a model or a mode for the session that is shown, or for the one the next prompt makes. */
  async configure(optionId: string, value: string): Promise<void> {
    const session = this.active;
    if (!session) {
      this.#wishes.set(optionId, value);
      this.#effects.fire({ session: new Session(''), effects: [{ op: 'options' }] });
      return;
    }
    await this.#server.call('agent/session/configure', { sessionId: session.model.sessionId, optionId, value });
  }

  /** Show a session, or none: the next prompt makes one. */
  async show(sessionId: string | undefined): Promise<void> {
    this.#activeId = sessionId;
    this.#remembered.write(sessionId);
    if (sessionId !== undefined && !this.sessions.has(sessionId)) {
      await this.#attach(new Session(sessionId));
    }
    this.#replaced.fire(this.active);
  }

  /** The session does not exist any more. */
  async forget(sessionId: string): Promise<void> {
    this.sessions.delete(sessionId);
    if (this.#activeId === sessionId) {
      await this.show(undefined);
    }
  }

  async #newWithWishes(): Promise<Session | undefined> {
    if (this.#wishes.size === 0) {
      return undefined;
    }
    const { sessionId } = await this.#server.call('agent/session/new', {});
    const session = this.#adopt(new Session(sessionId));
    for (const [optionId, value] of this.#wishes) {
      await this.#server.call('agent/session/configure', { sessionId, optionId, value });
    }
    this.#wishes.clear();
    return session;
  }

  #adopt(session: Session): Session {
    this.sessions.set(session.model.sessionId, session);
    this.#activeId = session.model.sessionId;
    this.#remembered.write(this.#activeId);
    this.#replaced.fire(session);
    return session;
  }

  #listen(client: LanguageClient): void {
    client.onNotification('agent/event', (params: EventParams) => this.#event(params));
    client.onNotification('agent/runComplete', (params: RunCompleteParams) => {
      const session = this.sessions.get(params.sessionId);
      if (session && !this.#attaching.has(params.sessionId)) {
        this.#fold(session, session.complete(params), { method: 'complete', params });
      }
    });
  }

  #event(params: EventParams): void {
    const session =
      this.sessions.get(params.sessionId) ?? [...this.sessions.values()].find((each) => each.holds(params));
    if (!session || this.#attaching.has(session.model.sessionId)) {
      return;
    }
    const effects = session.apply(params);
    this.#fold(session, effects, { method: 'event', params });
    this.#raw.fire(params);
    const isRewound = effects.some(({ op }) => op === 'rewound');
    if (isRewound || effects.some(({ op }) => op === 'resync')) {
      const known = isRewound ? new Session(session.model.sessionId) : session;
      this.#attach(known, isRewound).catch((error: unknown) => this.#log.error(`attach: ${reason(error)}`));
    }
  }

  #fold(session: Session, effects: readonly Effect[], item: Streamed): void {
    if (session === this.active) {
      this.#streamed.fire(item);
    }
    this.#effects.fire({ session, effects });
  }

  /** After a start of the server: what there is to choose from, and every open session where it was left. */
  async #return(): Promise<void> {
    const catalog = await this.#server.call('agent/models/list', {});
    this.#models = catalog.models;
    this.#large = catalog.large ?? '';
    this.#mode = catalog.mode ?? '';
    const known = [...this.sessions.values()];
    if (this.#activeId !== undefined && !this.sessions.has(this.#activeId)) {
      known.push(new Session(this.#activeId));
    }
    for (const session of known) {
      await this.#attach(session);
    }
    this.#replaced.fire(this.active);
  }

  /** Everything after the last event we have: for a session that is new to this window, everything. */
  async #attach(session: Session, asItIs = false): Promise<void> {
    const { sessionId, seq } = session.model;
    this.#attaching.add(sessionId);
    try {
      // without a number the answer is what there is now, and not how it came to be
      const asked = asItIs ? { sessionId } : { sessionId, afterSeq: seq };
      const result = await this.#server.call('agent/session/attach', asked);
      const restored = attached(session, result);
      this.#attaching.delete(sessionId);
      this.sessions.set(sessionId, restored);
      this.#replaced.fire(this.active);
      await this.#describe(restored);
      if (seq === 0 && result.mode === 'replay') {
        await this.#readWhatWasBefore(restored);
      }
      await this.#attachChildren(restored);
      this.#replaced.fire(this.active);
      this.#attached.fire(sessionId);
    } catch (error) {
      this.#log.warn(`session ${sessionId} cannot be opened: ${reason(error)}`);
      await this.forget(sessionId);
    } finally {
      this.#attaching.delete(sessionId);
    }
  }

  /** Its title, and the options in force. */
  async #describe(session: Session): Promise<void> {
    describe(session, await this.#server.call('agent/session/get', { sessionId: session.model.sessionId }));
    this.#effects.fire({ session, effects: [{ op: 'options' }] });
  }

  /** A fork has messages that no event of its own has told. Those that are told have come: answers keep their order. */
  async #readWhatWasBefore(session: Session): Promise<void> {
    const { sessionId } = session.model;
    const isUnknown = ({ messageId, role }: Stored): boolean => role !== 'tool' && !session.message(messageId);
    let page = await this.#server.call('agent/session/read', { sessionId, limit: 1 });
    if (!page.messages.some(isUnknown)) {
      return;
    }
    for (let cursor: string | null | undefined = ''; cursor !== undefined && cursor !== null; ) {
      page = await this.#server.call('agent/session/read', { sessionId, limit: PAGE, ...(cursor ? { cursor } : {}) });
      load(session, page.messages);
      cursor = page.nextCursor;
    }
  }

  /** Sub-agents are sessions of their own: what they have done so far is asked of each. */
  async #attachChildren(session: Session): Promise<void> {
    for (const { sessionId, toolCallId } of childrenOf(session)) {
      try {
        const known = session.tool(toolCallId)?.child;
        const child = known ? new Session(known) : new Session(sessionId);
        const asked = { sessionId, afterSeq: child.model.seq };
        session.adopt(toolCallId, attached(child, await this.#server.call('agent/session/attach', asked)));
      } catch (error) {
        this.#log.debug(`sub-agent ${sessionId}: ${reason(error)}`); // a call that never began has none
      }
    }
  }

  dispose(): void {
    for (const each of [
      ...this.#subscriptions,
      this.#replaced,
      this.#streamed,
      this.#effects,
      this.#raw,
      this.#attached,
    ]) {
      each.dispose();
    }
  }
}
