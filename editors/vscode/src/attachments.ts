/** What goes along with the next prompt: the current file and selection by themselves, and what the user adds. */
import * as vscode from 'vscode';
import { readConfig } from './config.ts';
import type { EditorState } from './editorstate.ts';
import type { JsonObject, RunParams } from './protocol.ts';
import type { Chip, Completed } from './view/messages.ts';

type Attachment = NonNullable<RunParams['attachments']>[number];
const SCHEMES = new Set(['file', 'untitled']);

interface Added {
  readonly chip: Chip;
  readonly attachment: Attachment;
}

/** What goes along with one prompt. */
export interface Taken {
  readonly items: readonly Attachment[];
  /** The prompt was not accepted: what the user added goes along with the next one. */
  readonly giveBack: () => void;
}

export class Attachments implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onChange = this.#changed.event;
  readonly #subscriptions: vscode.Disposable[];
  readonly #state: EditorState;
  /** The editor the user was last in; the chat itself is none. */
  #editor: vscode.TextEditor | undefined = vscode.window.activeTextEditor;
  #added: Added[] = [];
  /** Chips of the current file or selection that were taken away, until the user goes somewhere else. */
  #removed = new Set<string>();
  #count = 0;

  constructor(state: EditorState) {
    this.#state = state;
    this.#subscriptions = [
      vscode.window.onDidChangeActiveTextEditor((editor) => this.#enter(editor)),
      vscode.window.onDidChangeTextEditorSelection(() => this.#changed.fire()),
      vscode.workspace.onDidCloseTextDocument(() => this.#changed.fire()),
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (document === this.#editor?.document) {
          this.#changed.fire();
        }
      }),
    ];
  }

  /** The editor a question is about. */
  get editor(): vscode.TextEditor | undefined {
    return this.#editor;
  }

  chips(): Chip[] {
    return [...this.#current().map(({ chip }) => chip), ...this.#added.map(({ chip }) => chip)];
  }

  /** What is sent, with the versions of this moment; what was added is used up. */
  take(): Taken {
    this.#state.flush();
    return this.#taken(this.#current().map(({ attachment }) => attachment));
  }

  /** What is sent with a question about an editor: its file and selection, whatever the settings say. */
  takeWith(editor: vscode.TextEditor): Taken {
    this.#state.flush();
    const { document, selection } = editor;
    const file: Attachment = { type: 'buffer', uri: document.uri.toString(), version: document.version };
    return this.#taken(selection.isEmpty ? [file] : [file, rangeOf(document, selection)]);
  }

  /** Make sure the selection goes along with the next prompt. */
  addSelection(editor: vscode.TextEditor): void {
    this.#removed.delete('selection');
    if (!editor.selection.isEmpty && !readConfig().attachSelection) {
      this.addRange(editor.document, editor.selection);
    }
    this.#changed.fire();
  }

  /** Settings have changed. */
  refresh(): void {
    this.#changed.fire();
  }

  addFiles(uris: readonly vscode.Uri[]): void {
    for (const uri of uris) {
      this.addFile(uri);
    }
  }

  addFile(uri: vscode.Uri): void {
    const label = vscode.workspace.asRelativePath(uri);
    if (!this.#added.some(({ chip }) => chip.title === uri.toString())) {
      this.#add({ icon: 'file', label, title: uri.toString() }, { type: 'buffer', uri: uri.toString() });
    }
  }

  addRange(document: vscode.TextDocument, range: vscode.Range): void {
    const lines = `${range.start.line + 1}–${range.end.line + 1}`;
    const label = `${vscode.workspace.asRelativePath(document.uri)}:${lines}`;
    this.#add({ icon: 'selection', label, title: document.uri.toString() }, rangeOf(document, range));
  }

  addProblems(uri: vscode.Uri): void {
    const label = `problems of ${vscode.workspace.asRelativePath(uri)}`;
    this.#add({ icon: 'warning', label, title: uri.toString() }, { type: 'diagnostics', uri: uri.toString() });
  }

  addImage(data: string, mimeType: string, name: string): void {
    const preview = `data:${mimeType};base64,${data}`;
    this.#add({ icon: 'image', label: name, title: mimeType, preview }, { type: 'image', data, mimeType });
  }

  /** A text file the editor has no address of: dropped from elsewhere. */
  addText(text: string, name: string): void {
    this.#add({ icon: 'text', label: name, title: `${text.length} characters` }, { type: 'text', text, name });
  }

  /** What was chosen behind an `@`, once. */
  addMention({ label, icon, detail, attachment }: Completed): void {
    if (attachment && icon !== 'command') {
      const title = mentionTitle(attachment) || detail || label;
      if (!this.#added.some(({ chip }) => chip.title === title)) {
        this.#add({ icon, label: label.replace(/^@#?/, ''), title }, attachment as unknown as Attachment);
      }
    }
  }

  remove(id: string): void {
    this.#added = this.#added.filter(({ chip }) => chip.id !== id);
    this.#removed.add(id);
    this.#changed.fire();
  }

  #taken(about: readonly Attachment[]): Taken {
    const added = this.#added;
    this.#added = [];
    this.#changed.fire();
    const giveBack = (): void => {
      this.#added = [...added, ...this.#added];
      this.#changed.fire();
    };
    return { items: [...about, ...added.map(({ attachment }) => attachment)], giveBack };
  }

  #add(chip: Omit<Chip, 'id'>, attachment: Attachment): void {
    this.#count += 1;
    this.#added.push({ chip: { id: `added-${this.#count}`, ...chip }, attachment });
    this.#changed.fire();
  }

  #enter(editor: vscode.TextEditor | undefined): void {
    if (editor && SCHEMES.has(editor.document.uri.scheme) && editor !== this.#editor) {
      this.#editor = editor;
      this.#removed = new Set();
      this.#changed.fire();
    }
  }

  #current(): Added[] {
    const config = readConfig();
    const document = this.#editor?.document;
    if (!this.#editor || !document || document.isClosed || !SCHEMES.has(document.uri.scheme)) {
      return [];
    }
    const uri = document.uri.toString();
    const name = vscode.workspace.asRelativePath(document.uri);
    const found: Added[] = [];
    if (config.attachCurrentFile && !this.#removed.has('file')) {
      const label = document.isDirty ? `${name} (unsaved)` : name;
      const chip: Chip = { id: 'file', icon: 'file', label, title: `${name}: as it is in the editor`, automatic: true };
      found.push({ chip, attachment: { type: 'buffer', uri, version: document.version } });
    }
    const selection = this.#editor.selection;
    if (config.attachSelection && !selection.isEmpty && !this.#removed.has('selection')) {
      const label = `lines ${selection.start.line + 1}–${selection.end.line + 1}`;
      const chip: Chip = { id: 'selection', icon: 'selection', label, title: `selection in ${name}`, automatic: true };
      found.push({ chip, attachment: rangeOf(document, selection) });
    }
    return found;
  }

  dispose(): void {
    this.#changed.dispose();
    for (const subscription of this.#subscriptions) {
      subscription.dispose();
    }
  }
}

/** What tells two mentions apart. */
function mentionTitle(attachment: JsonObject): string {
  const { uri, position, runId, terminalId } = attachment as { [key: string]: unknown };
  return [uri, position && JSON.stringify(position), runId, terminalId].filter(Boolean).join(' ');
}

function rangeOf(document: vscode.TextDocument, { start, end }: vscode.Range): Attachment {
  return {
    type: 'selection',
    uri: document.uri.toString(),
    version: document.version,
    range: {
      start: { line: start.line, character: start.character },
      end: { line: end.line, character: end.character },
    },
  };
}
