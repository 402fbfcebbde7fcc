/** The sub-agents of one session: each is a session of its own, whose events name the tool call it works for. Pure. */
import type { EventParams } from './protocol.ts';
import type { Effect, Session } from './session.ts';
import type { Message, Tool, ViewModel } from './viewmodel.ts';

export interface Held {
  readonly message: Message;
  readonly tool: Tool;
}

interface Child {
  readonly held: Held;
  readonly session: Session;
}

type Make = (model: string | ViewModel) => Session;
type Find = (toolCallId: string) => Held | undefined;

/** What concerns the whole conversation, wherever below it happens. */
const PASSED_ON: ReadonlySet<string> = new Set(['permission', 'question', 'changes']);

export class Children {
  readonly #of: string;
  readonly #make: Make;
  readonly #find: Find;
  readonly #byId = new Map<string, Child>();

  /** `of`: the session they belong to. `find`: its tool calls. */
  constructor(of: string, make: Make, find: Find) {
    this.#of = of;
    this.#make = make;
    this.#find = find;
  }

  /** This session is that of the call's sub-agent. Nothing happens for a call nobody knows. */
  adopt(toolCallId: string, session: Session): void {
    const held = this.#find(toolCallId);
    if (held && session.model.sessionId !== this.#of) {
      held.tool.child = session.model;
      this.#byId.set(session.model.sessionId, { held, session });
    }
  }

  /** A child that was sent as JSON, in its tool call. */
  restore({ id, child }: Tool): void {
    if (child) {
      this.adopt(id, this.#make(child));
    }
  }

  /** Whether the event is of one of them, or of one below. */
  holds(event: EventParams): boolean {
    const { parent } = event;
    return (
      this.#byId.has(event.sessionId) ||
      (parent?.sessionId === this.#of && this.#find(parent.toolCallId ?? '') !== undefined) ||
      [...this.#byId.values()].some(({ session }) => session.holds(event))
    );
  }

  /** Take in an event of one of them: the card of its call changes, and what is passed on. */
  apply(event: EventParams): Effect[] {
    const child = this.#childFor(event);
    const effects = child?.session.apply(event) ?? [];
    if (!child || effects.length === 0) {
      return [];
    }
    const { message, tool } = child.held;
    return [{ op: 'tool', id: message.id, tool: tool.id }, ...effects.filter(({ op }) => PASSED_ON.has(op))];
  }

  #childFor(event: EventParams): Child | undefined {
    const { parent, sessionId } = event;
    if (!this.#byId.has(sessionId) && parent?.sessionId === this.#of) {
      this.adopt(parent.toolCallId ?? '', this.#make(sessionId));
    }
    return this.#byId.get(sessionId) ?? [...this.#byId.values()].find(({ session }) => session.holds(event));
  }
}
