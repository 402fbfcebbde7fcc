/** What a view needs of one session: plain JSON, the same in every language (tests/fixtures/transcripts). */
import type {
  ChangedFile,
  ConfigOption,
  Finish,
  PermissionRecord,
  PlanEntry,
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
