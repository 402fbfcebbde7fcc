/** A session from what the server has stored: the answer of an attach, pages of messages. Pure, like the fold. */
import type { SessionAttachResult, SessionInfo, Message as Stored } from './protocol.ts';
import { Session } from './session.ts';

type Fields = { readonly [key: string]: unknown };

const SUB_AGENTS = new Set(['agent', 'agentic_fetch']);
/** How many sub-agents are looked at again after a restart, the last ones. */
const MAX_CHILDREN = 20;

export interface ChildId {
  readonly sessionId: string;
  readonly toolCallId: string;
}

/** The sub-agents a session has had, by the names the server gives them (see lsp_agent/agent/child_ids.py). */
export function childrenOf(session: Session): ChildId[] {
  const calls = session.model.messages.flatMap((message) =>
    message.tools.filter(({ name }) => SUB_AGENTS.has(name)).map(({ id }) => ({ messageId: message.id, id })),
  );
  return calls
    .filter(({ id }) => /^[\w.:-]{1,100}$/.test(id))
    .slice(-MAX_CHILDREN)
    .map(({ messageId, id }) => ({ sessionId: `${messageId}$$${id}`, toolCallId: id }));
}

/** The session as `agent/session/attach` answers: the same for a replay, a new one for a snapshot. */
export function attached(session: Session, result: SessionAttachResult): Session {
  let restored = session;
  if (result.mode === 'snapshot') {
    restored = new Session(session.model.sessionId);
    const snapshot = (result.snapshot ?? {}) as { session?: SessionInfo; messages?: Stored[] };
    restored.model.seq = result.seq;
    restored.model.queue.revision = result.queueRevision;
    restored.model.title = snapshot.session?.title ?? '';
    restored.model.plan = [...(snapshot.session?.todos ?? [])];
    load(restored, snapshot.messages ?? []);
  }
  restored.restartStreams();
  restored.activeRun = result.activeRunId ?? undefined;
  if (restored.activeRun) {
    restored.model.state = 'running';
  }
  restored.model.pending = [...result.pending.permissions];
  if (result.pending.questions.length > 0) {
    restored.model.questions = [...result.pending.questions];
  } else {
    delete restored.model.questions;
  }
  return restored;
}

/** Take in what `SessionInfo` says and no event has said. */
export function describe(session: Session, info: SessionInfo | undefined): void {
  if (!info) {
    return;
  }
  const model = session.model;
  model.title = info.title;
  model.options = info.options ?? model.options;
  model.plan = model.plan.length > 0 ? model.plan : info.todos;
  model.usage ??= {
    usedTokens: info.promptTokens + info.completionTokens,
    contextWindow: 0,
    costUsd: info.costUsd,
    estimated: info.estimatedUsage,
  };
}

/** Take in stored messages, oldest first, before those that came live. */
export function load(session: Session, messages: readonly Stored[]): void {
  for (const stored of messages) {
    if (stored.role === 'tool') {
      results(session, stored);
      continue;
    }
    if (session.message(stored.messageId)) {
      continue;
    }
    const message = session.ensureMessage(stored.messageId, stored.role, session.stored);
    session.stored += 1;
    if (stored.model) {
      message.model = stored.model;
    }
    if (stored.finish) {
      message.finish = stored.finish;
    }
    for (const part of stored.parts as unknown as readonly Fields[]) {
      take(session, message.id, part);
    }
  }
}

function take(session: Session, messageId: string, part: Fields): void {
  const message = session.ensureMessage(messageId, 'assistant');
  switch (part['type']) {
    case 'text':
      message.text += String(part['text']);
      break;
    case 'reasoning':
      message.thought += String(part['text']);
      break;
    case 'attachment':
      message.attachments.push(asSent(part));
      break;
    case 'shell':
      message.text += `$ ${String(part['command'])}\n${String(part['output'])}`;
      break;
    case 'tool_call': {
      const tool = session.ensureTool(message, String(part['toolCallId']));
      tool.name = String(part['name']);
      tool.title ||= tool.name;
      tool.input = part['input'];
      break;
    }
    default:
      break;
  }
}

/** A stored attachment in the shape of `user_message`: `kind` is its type there, and its content is not repeated. */
function asSent({ kind, text: _text, data: _data, ...rest }: Fields): Fields {
  return { ...rest, type: kind };
}

function results(session: Session, stored: Stored): void {
  for (const part of stored.parts as unknown as readonly Fields[]) {
    const tool = session.tool(String(part['toolCallId']));
    if (tool) {
      tool.output = String(part['content'] ?? '');
      tool.status = part['isError'] === true ? 'failed' : 'completed';
    }
  }
}
