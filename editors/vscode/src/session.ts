/**
 * One session as a fold: events of the server in, a plain view model and a list of effects out.
 *
 * Pure: no `vscode`, no DOM, no clock, so that the extension host, the chat view and the tests share it, and recorded
 * transcripts (tests/fixtures/transcripts) feed it and the Neovim plugin alike. The view model is the state itself.
 */

import { Children, type Held } from './children.ts';
import {
  type ChangedFile,
  type ConfigOption,
  type EventParams,
  type Finish,
  PASSING,
  type PermissionRecord,
  type PlanEntry,
  type QuestionRecord,
  type QueueItem,
  type RunCompleteParams,
} from './protocol.ts';
import { Terminals } from './terminals.ts';
import { emptyModel, type Message, type Notice, type Tool, type ViewModel } from './viewmodel.ts';

const MAX_NOTICES = 200;

/** What one event changed, for a view that redraws no more than that. */
export type Effect =
  | { readonly op: 'message' | 'text' | 'thought'; readonly id: string }
  | { readonly op: 'tool'; readonly id: string; readonly tool: string }
  | { readonly op: 'resync'; readonly afterSeq: number }
  | { readonly op: 'notice'; readonly notice: Notice }
  | { readonly op: 'complete'; readonly complete: RunCompleteParams }
  | { readonly op: 'compaction'; readonly status: string }
  | {
      readonly op:
        | 'permission'
        | 'question'
        | 'rewound'
        | 'queue'
        | 'state'
        | 'usage'
        | 'title'
        | 'plan'
        | 'options'
        | 'changes';
    };

type Fields = { readonly [key: string]: unknown };

export class Session {
  readonly model: ViewModel;
  activeRun: string | undefined;
  /** How many messages at the beginning came from what is stored. */
  stored = 0;
  readonly #messages = new Map<string, Message>();
  readonly #tools = new Map<string, Held>();
  readonly #children: Children;
  readonly #terminals = new Terminals((id) => this.#tools.get(id));

  constructor(model: string | ViewModel, activeRun?: string) {
    this.model = typeof model === 'string' ? emptyModel(model) : model;
    this.activeRun = activeRun;
    this.#children = new Children(
      this.model.sessionId,
      (child) => new Session(child),
      (id) => this.#tools.get(id),
    );
    for (const message of this.model.messages) {
      this.#messages.set(message.id, message);
      for (const tool of message.tools) {
        this.#tools.set(tool.id, { message, tool });
        this.#children.restore(tool);
        this.#terminals.restore(tool.id, tool.terminal);
      }
    }
  }

  /**
   * Take in one `agent/event`, of this session or of a sub-agent below it.
   *
   * A durable event known already, and events of other sessions, change nothing.
   */
  apply(event: EventParams): Effect[] {
    const update = event.update as unknown as Fields;
    const kind = update['sessionUpdate'];
    if (typeof kind !== 'string') {
      return [];
    }
    if (event.sessionId !== this.model.sessionId) {
      return this.#children.apply(event);
    }
    if (!PASSING.has(kind)) {
      if (event.seq <= this.model.seq) {
        return [];
      }
      this.model.seq = event.seq;
    }
    return this.#fold(kind, update, event);
  }

  /** Take in `agent/runComplete`. */
  complete(params: RunCompleteParams): Effect[] {
    if (params.sessionId !== this.model.sessionId || params.seq <= this.model.seq) {
      return [];
    }
    this.model.seq = params.seq;
    this.model.completes.push({
      ...(params.runId === null ? {} : { runId: params.runId }),
      stopReason: params.stopReason,
      cancelled: params.cancelled,
      ...(params.error ? { error: params.error } : {}),
    });
    if (this.activeRun === (params.runId ?? undefined)) {
      this.activeRun = undefined;
    }
    return [{ op: 'complete', complete: params }];
  }

  /** Whether the event is of this session or of a sub-agent below it. */
  holds(event: EventParams): boolean {
    return event.sessionId === this.model.sessionId || this.#children.holds(event);
  }

  /** This session is that of the call's sub-agent. */
  adopt(toolCallId: string, child: Session): void {
    this.#children.adopt(toolCallId, child);
  }

  message(id: string): Message | undefined {
    return this.#messages.get(id);
  }

  tool(id: string): Tool | undefined {
    return this.#tools.get(id)?.tool;
  }

  /** The message of that id, made when it is new. */
  ensureMessage(id: string, role: string, at = this.model.messages.length): Message {
    const known = this.#messages.get(id);
    if (known) {
      return known;
    }
    const message: Message = { id, role, text: '', thought: '', tools: [], attachments: [] };
    this.#messages.set(id, message);
    this.model.messages.splice(at, 0, message);
    return message;
  }

  /** The tool call of that id, made when it is new. */
  ensureTool(message: Message, id: string): Tool {
    const known = this.#tools.get(id);
    if (known) {
      return known.tool;
    }
    const tool: Tool = { id, name: '', title: '', kind: 'other', status: 'pending', output: '' };
    message.tools.push(tool);
    this.#tools.set(id, { message, tool });
    return tool;
  }

  /** Before a stream begins again: what is being written right now is sent once more, as a whole. */
  restartStreams(): void {
    for (const message of this.model.messages) {
      if (message.role === 'assistant' && !message.finish) {
        message.text = '';
        message.thought = '';
      }
    }
  }

  #fold(kind: string, update: Fields, event: EventParams): Effect[] {
    switch (kind) {
      case 'user_message':
        return this.#user(update);
      case 'agent_message_chunk':
        return this.#append('text', update);
      case 'agent_thought_chunk':
        return this.#append('thought', update);
      case 'agent_message':
        return this.#whole('text', update);
      case 'agent_thought':
        return this.#whole('thought', update);
      case 'tool_call_update':
        return this.#tool(update);
      case 'tool_call_content_chunk':
        return this.#output(update);
      case 'terminal_update':
        return this.#terminals.update(update);
      case 'terminal_output_chunk':
        return this.#terminals.output(update);
      case 'state_update':
        return this.#state(text(update['state']), event.runId ?? undefined);
      case 'permission_requested':
        return this.#asked(update);
      case 'permission_resolved':
        this.#forget(text(update['requestId']));
        return [{ op: 'permission' }];
      case 'question_requested':
        return this.#questions(update, text(update['requestId']));
      case 'question_resolved':
        return this.#questions(undefined, text(update['requestId']));
      case 'notice':
        return this.#notice(update);
      case 'resync':
        return [{ op: 'resync', afterSeq: Number(update['afterSeq']) }];
      case 'compaction_update':
        return [{ op: 'compaction', status: text(update['status']) }];
      default:
        return this.#values(kind, update);
    }
  }

  /** Updates that replace one value of the model. */
  #values(kind: string, update: Fields): Effect[] {
    const model = this.model;
    switch (kind) {
      case 'plan_update':
        model.plan = list<PlanEntry>(update['entries']);
        return [{ op: 'plan' }];
      case 'usage_update':
        model.usage = {
          usedTokens: Number(update['usedTokens']),
          contextWindow: Number(update['contextWindow']),
          costUsd: Number(update['costUsd']),
          estimated: update['estimated'] === true,
        };
        return [{ op: 'usage' }];
      case 'queue_update': {
        const items = list<QueueItem>(update['items']);
        const count = typeof update['count'] === 'number' ? update['count'] : items.length;
        model.queue = { revision: Number(update['revision']), count, items };
        return [{ op: 'queue' }];
      }
      case 'changes_update':
        model.changes.push(...list<ChangedFile>(update['files']));
        return [{ op: 'changes' }];
      case 'session_info_update':
        if (update['title'] !== undefined) {
          model.title = text(update['title']);
        }
        if (Array.isArray(update['todos'])) {
          model.plan = list<PlanEntry>(update['todos']);
        }
        // the conversation was taken back to a message, or brought again: what is stored says what there is
        return [{ op: 'title' }, { op: 'plan' }, ...('lastMessageId' in update ? [{ op: 'rewound' } as const] : [])];
      case 'config_option_update':
        model.options = list<ConfigOption>(update['options']);
        return [{ op: 'options' }];
      default:
        return [];
    }
  }

  #user(update: Fields): Effect[] {
    const message = this.ensureMessage(text(update['messageId']), 'user');
    message.role = 'user';
    message.text = joined(update['content']);
    message.attachments = list<unknown>(update['attachments']);
    message.finish = { reason: 'stop' };
    return [{ op: 'message', id: message.id }];
  }

  #append(field: 'text' | 'thought', update: Fields): Effect[] {
    const id = text(update['messageId']);
    const isNew = !this.#messages.has(id);
    this.ensureMessage(id, 'assistant')[field] += text((update['content'] as Fields | undefined)?.['text']);
    const effect: Effect = { op: field, id };
    return isNew ? [{ op: 'message', id }, effect] : [effect];
  }

  #whole(field: 'text' | 'thought', update: Fields): Effect[] {
    const message = this.ensureMessage(text(update['messageId']), 'assistant');
    if (typeof update['model'] === 'string') {
      message.model = update['model'];
    }
    if (update['finish']) {
      message.finish = update['finish'] as Finish;
    }
    if (update['content'] !== undefined) {
      message[field] = joined(update['content']);
    }
    return [
      { op: 'message', id: message.id },
      { op: field, id: message.id },
    ];
  }

  #tool(update: Fields): Effect[] {
    const id = text(update['toolCallId']);
    const messageId = this.#tools.get(id)?.message.id ?? (text(update['messageId']) || id);
    const message = this.ensureMessage(messageId, 'assistant');
    const tool = this.ensureTool(message, id);
    for (const field of ['name', 'title', 'kind', 'status'] as const) {
      if (typeof update[field] === 'string') {
        tool[field] = update[field];
      }
    }
    replace(tool, 'locations', update['locations']);
    replace(tool, 'input', update['rawInput']);
    if (update['content'] !== undefined) {
      tool.output = joined(update['content']);
    }
    return [
      { op: 'message', id: message.id },
      { op: 'tool', id: message.id, tool: id },
    ];
  }

  #output(update: Fields): Effect[] {
    const held = this.#tools.get(text(update['toolCallId']));
    if (!held) {
      return [];
    }
    held.tool.output += text((update['content'] as Fields | undefined)?.['text']);
    return [{ op: 'tool', id: held.message.id, tool: held.tool.id }];
  }

  #state(state: string, runId: string | undefined): Effect[] {
    this.model.state = state;
    this.activeRun = state === 'idle' ? undefined : (runId ?? this.activeRun);
    return [{ op: 'state' }];
  }

  #asked(update: Fields): Effect[] {
    const { sessionUpdate: _, ...record } = update;
    const permission = record as unknown as PermissionRecord;
    this.#forget(permission.requestId);
    this.model.pending.push(permission);
    return [{ op: 'permission' }];
  }

  /** The open questions without one, and with `asked` as the last. */
  #questions(asked: Fields | undefined, requestId: string): Effect[] {
    const open = (this.model.questions ?? []).filter((record) => record.requestId !== requestId);
    if (asked) {
      const { sessionUpdate: _, ...record } = asked;
      open.push(record as unknown as QuestionRecord);
    }
    if (open.length > 0) {
      this.model.questions = open;
    } else {
      delete this.model.questions;
    }
    return [{ op: 'question' }];
  }

  #forget(requestId: string): void {
    this.model.pending = this.model.pending.filter((record) => record.requestId !== requestId);
  }

  #notice(update: Fields): Effect[] {
    const notice = { level: text(update['level']), code: text(update['code']), message: text(update['message']) };
    this.model.notices.push(notice);
    this.model.notices.splice(0, this.model.notices.length - MAX_NOTICES);
    return [{ op: 'notice', notice }];
  }
}

/** The texts of a content list joined. */
function joined(content: unknown): string {
  let whole = '';
  for (const part of list<Fields>(content)) {
    if (part['type'] === 'text') {
      whole += text(part['text']);
    } else if (part['type'] === 'content') {
      whole += text((part['content'] as Fields | undefined)?.['text']);
    }
  }
  return whole;
}

/** Absent = unchanged, null = cleared. */
function replace(tool: Tool, field: 'locations' | 'input', value: unknown): void {
  if (value === null) {
    delete tool[field];
  } else if (value !== undefined) {
    tool[field] = value;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function list<T>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}
