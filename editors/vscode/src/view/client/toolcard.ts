/** One tool call as a card: what it does, how it went, and what it changed. */
import type { ChangedFile } from '../../protocol.ts';
import type { Tool, ViewModel } from '../../viewmodel.ts';
import { type Change, countsOf, differenceOf } from './difference.ts';
import { el, icon, iconButton, send } from './dom.ts';

const KIND_ICONS: Readonly<Record<string, string>> = {
  read: 'file',
  edit: 'edit',
  delete: 'trash',
  move: 'arrow-right',
  search: 'search',
  execute: 'terminal',
  think: 'checklist',
  fetch: 'globe',
};
const STATUS_ICONS: Readonly<Record<string, string>> = {
  pending: 'circle-outline',
  in_progress: 'loading',
  completed: 'pass',
  failed: 'error',
  rejected: 'circle-slash',
  cancelled: 'circle-slash',
};
const SUB_AGENTS = new Set(['agent', 'agentic_fetch']);
const OUTPUT_CHARS = 20_000;
const SAID_CHARS = 2_000;

type Fields = { readonly [key: string]: unknown };

export class ToolCard {
  readonly element = el('details', { class: 'tool' });
  readonly #head = el('summary');
  readonly #body = el('div', { class: 'tool-body' });
  readonly #child = el('div', { class: 'child', hidden: true });
  readonly #said = el('div', { class: 'said' });
  readonly #cards = new Map<string, ToolCard>();
  #drawn = '';
  /** The user has folded or unfolded it: it stays as they want it. */
  #isDecided = false;

  constructor() {
    this.element.append(this.#head, this.#child, this.#body);
    this.#head.addEventListener('click', () => {
      this.#isDecided = true;
    });
  }

  draw(tool: Tool, files: readonly ChangedFile[]): void {
    const changes = changesOf(tool, files);
    this.#drawChild(tool.child);
    const state = JSON.stringify([tool.status, tool.title, tool.output.length, changes.length]);
    if (state === this.#drawn) {
      return;
    }
    this.#drawn = state;
    if (!this.#isDecided && !tool.child) {
      this.element.open = isWorthSeeing(tool, changes);
    }
    this.element.dataset['status'] = tool.status;
    this.element.dataset['tool'] = tool.name;
    this.#head.replaceChildren(...this.#headOf(tool, changes));
    this.#body.replaceChildren(...this.#bodyOf(tool, changes));
    if (isLive(tool)) {
      const output = this.#body.querySelector('.output');
      output?.scrollTo(0, output.scrollHeight);
    }
  }

  /** What a sub-agent does: its own calls as cards, and the end of what it says. */
  #drawChild(child: ViewModel | undefined): void {
    if (!child) {
      return;
    }
    if (this.#child.hidden) {
      this.#child.hidden = false;
      this.element.open = child.state !== 'idle';
      this.#child.append(this.#said);
    }
    for (const tool of child.messages.flatMap(({ tools }) => tools)) {
      let card = this.#cards.get(tool.id);
      if (!card) {
        card = new ToolCard();
        this.#cards.set(tool.id, card);
        this.#child.insertBefore(card.element, this.#said);
      }
      card.draw(tool, child.changes);
    }
    const text = child.messages.filter(({ role }) => role === 'assistant').at(-1)?.text ?? '';
    this.#said.textContent = text.length > SAID_CHARS ? `…${text.slice(-SAID_CHARS)}` : text;
  }

  #headOf(tool: Tool, changes: readonly Change[]): Node[] {
    const spin = tool.status === 'in_progress' ? 'codicon-modifier-spin' : '';
    const title = el('span', { class: 'tool-title' }, tool.title || tool.name);
    const place = (tool.locations as Fields[] | undefined)?.[0];
    const sign = SUB_AGENTS.has(tool.name) ? 'hubot' : (KIND_ICONS[tool.kind] ?? 'tools');
    const nodes: Node[] = [icon(sign), title];
    const { added, removed } = countsOf(changes);
    if (added + removed > 0) {
      nodes.push(
        el(
          'span',
          { class: 'counts' },
          el('b', { class: 'plus' }, `+${added}`),
          ' ',
          el('b', { class: 'minus' }, `−${removed}`),
        ),
      );
    }
    if (typeof place?.['uri'] === 'string') {
      const uri = place['uri'];
      const line = Number(place['line'] ?? 0);
      nodes.push(iconButton('go-to-file', 'Open the file', () => send({ type: 'openFile', uri, line }), 'quiet'));
    }
    if (changes.length > 0 && tool.status === 'completed') {
      nodes.push(iconButton('diff', 'Show as diff', () => send({ type: 'openDiff', toolCallId: tool.id }), 'quiet'));
    }
    const status = icon(STATUS_ICONS[tool.status] ?? 'question', `status ${spin}`);
    status.title = tool.status.replace('_', ' ');
    nodes.push(status, el('span', { class: 'unseen' }, status.title));
    return nodes;
  }

  #bodyOf(tool: Tool, changes: readonly Change[]): Node[] {
    const difference = changes.length > 0 && tool.status !== 'failed' ? [differenceOf(changes)] : [];
    if (difference.length > 0 && tool.kind !== 'execute') {
      return difference;
    }
    const parts: Node[] = [];
    const input = inputOf(tool);
    if (input) {
      parts.push(el('pre', { class: 'input' }, shorten(input)));
    }
    if (tool.output) {
      // of what is still being said, the end is of interest
      const shown = isLive(tool) ? tool.output.slice(-OUTPUT_CHARS) : shorten(tool.output);
      parts.push(el('pre', { class: 'output', tabindex: '0', 'aria-label': 'Output' }, shown));
    }
    return [...parts, ...difference];
  }
}

function isLive({ status, output }: Tool): boolean {
  return status === 'in_progress' && output !== '';
}

/** Open by itself: a command while it speaks, and what has been changed. What is asked about is shown where it is asked. */
function isWorthSeeing(tool: Tool, changes: readonly Change[]): boolean {
  return isLive(tool) || (changes.length > 0 && tool.status === 'completed' && tool.kind !== 'execute');
}

function inputOf({ name, input }: Tool): string {
  const fields = typeof input === 'string' ? parsed(input) : (input as Fields | undefined);
  if (name === 'bash' && typeof fields?.['command'] === 'string') {
    return `$ ${fields['command']}`;
  }
  if (SUB_AGENTS.has(name) && typeof fields?.['prompt'] === 'string') {
    return fields['prompt'];
  }
  const json = typeof input === 'string' ? input : JSON.stringify(input ?? {}, undefined, 1);
  return json === '{}' ? '' : compact(json);
}

/** What a call changed, as the server told; before that, as the model asked for it. */
export function changesOf(tool: Tool, files: readonly ChangedFile[]): Change[] {
  const told = files.flatMap(({ hunks }) => hunks.filter(({ toolCallId }) => toolCallId === tool.id));
  if (told.length > 0) {
    // a hunk is told of again when it is decided: once is enough
    const latest = [...new Map(told.map((hunk) => [hunk.hunkId, hunk])).values()];
    return latest.map(({ oldText, newText, range }) => ({ oldText, newText, line: range.start.line }));
  }
  const input = typeof tool.input === 'string' ? parsed(tool.input) : (tool.input as Fields | undefined);
  if (tool.kind !== 'edit' && !['edit', 'multiedit', 'write'].includes(tool.name)) {
    return [];
  }
  const edits = Array.isArray(input?.['edits']) ? (input['edits'] as Fields[]) : input ? [input] : [];
  return edits
    .map((edit) => ({
      oldText: String(edit['old_string'] ?? ''),
      newText: String(edit['new_string'] ?? edit['content'] ?? ''),
    }))
    .filter(({ oldText, newText }) => oldText !== newText);
}

function parsed(text: string): Fields | undefined {
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return undefined; // the model has not finished writing it, or wrote nonsense
  }
}

function compact(json: string): string {
  return json.replace(/^\{\s*|\s*\}$/g, '').replace(/\n /g, '\n');
}

function shorten(text: string): string {
  return text.length > OUTPUT_CHARS ? `${text.slice(0, OUTPUT_CHARS)}\n… (${text.length} characters)` : text;
}
