/** What a view needs of one session: plain JSON, the same in every language (tests/fixtures/transcripts). */
import type {
  ChangedFile,
  ConfigOption,
  Finish,
  PermissionRecord,
  PlanEntry,
  QuestionRecord,
  QueueItem,
  RunFailure,
} from './protocol.ts';

export interface Tool {
  id: string;
  name: string;
  title: string;
  /** read, edit, search, execute, think, other … */
  kind: string;
  /** pending, in_progress, completed, failed, rejected, cancelled. */
  status: string;
  input?: unknown;
  /** Text of the result, or of its chunks so far. */
  output: string;
  locations?: unknown;
  /** The command of this call that runs. */
  terminal?: string;
  /** What the sub-agent of this call does: a session of its own. */
  child?: ViewModel;
}

export interface Message {
  id: string;
  /** user or assistant. */
  role: string;
  text: string;
  thought: string;
  tools: Tool[];
  attachments: unknown[];
  /** Absent while it is written. */
  finish?: Finish;
  model?: string;
}

export interface Queue {
  revision: number;
  count: number;
  items: QueueItem[];
}

export interface Usage {
  usedTokens: number;
  contextWindow: number;
  costUsd: number;
  estimated: boolean;
}

export interface Notice {
  level: string;
  code: string;
  message: string;
}

export interface Complete {
  runId?: string;
  stopReason: string;
  cancelled: boolean;
  error?: RunFailure;
}

/** What a view needs of one session: plain JSON, the same in every language. */
export interface ViewModel {
  sessionId: string;
  seq: number;
  title: string;
  /** idle, running, requires_action. */
  state: string;
  messages: Message[];
  queue: Queue;
  pending: PermissionRecord[];
  /** Absent when nothing is asked. */
  questions?: QuestionRecord[];
  usage?: Usage;
  plan: PlanEntry[];
  options: ConfigOption[];
  changes: ChangedFile[];
  notices: Notice[];
  completes: Complete[];
}

/** A session nothing is known of yet. */
export function emptyModel(sessionId: string): ViewModel {
  return {
    sessionId,
    seq: 0,
    title: '',
    state: 'idle',
    messages: [],
    queue: { revision: 0, count: 0, items: [] },
    pending: [],
    plan: [],
    options: [],
    changes: [],
    notices: [],
    completes: [],
  };
}

/** What waits for the user, in a session and in the sub-agents below it. */
export interface Decisions {
  readonly permissions: readonly PermissionRecord[];
  readonly questions: readonly QuestionRecord[];
}

export function decisionsOf(model: ViewModel): Decisions {
  const below = model.messages
    .flatMap(({ tools }) => tools)
    .flatMap(({ child }) => (child ? [decisionsOf(child)] : []));
  return {
    permissions: unique([...model.pending, ...below.flatMap(({ permissions }) => permissions)]),
    questions: unique([...(model.questions ?? []), ...below.flatMap(({ questions }) => questions)]),
  };
}

function unique<T extends { requestId: string }>(records: readonly T[]): T[] {
  return [...new Map(records.map((record) => [record.requestId, record])).values()];
}
