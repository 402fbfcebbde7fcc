/** The commands of a session while they run: which call each belongs to, and what they say. Pure, a part of the fold. */
import type { Held } from './children.ts';
import type { Effect } from './session.ts';

type Fields = { readonly [key: string]: unknown };
type Find = (toolCallId: string) => Held | undefined;

/** What is kept of a command's output while it runs: the end. The whole of it comes with its result. */
const KEPT_CHARS = 64_000;

export class Terminals {
  readonly #find: Find;
  readonly #calls = new Map<string, string>();

  /** `find`: the calls of the session. */
  constructor(find: Find) {
    this.#find = find;
  }

  /** A call that was sent as JSON, with its terminal. */
  restore(id: string, terminal: string | undefined): void {
    if (terminal !== undefined) {
      this.#calls.set(terminal, id);
    }
  }

  /** `terminal_update`: a command began or ended. */
  update({ terminalId, toolCallId, status }: Fields): Effect[] {
    const held = this.#find(String(toolCallId ?? ''));
    if (!held) {
      return [];
    }
    if (status === 'running') {
      held.tool.terminal = String(terminalId);
      this.#calls.set(String(terminalId), held.tool.id);
    } else {
      delete held.tool.terminal;
      this.#calls.delete(String(terminalId));
    }
    return [{ op: 'tool', id: held.message.id, tool: held.tool.id }];
  }

  /** `terminal_output_chunk`: a command said something. What comes after the result of its call is not shown. */
  output({ terminalId, content }: Fields): Effect[] {
    const held = this.#find(this.#calls.get(String(terminalId)) ?? '');
    const said = (content as Fields | undefined)?.['text'];
    if (!held || typeof said !== 'string' || held.tool.status !== 'in_progress') {
      return [];
    }
    held.tool.output = (held.tool.output + said).slice(-KEPT_CHARS);
    return [{ op: 'tool', id: held.message.id, tool: held.tool.id }];
  }
}
