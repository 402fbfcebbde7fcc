/** What the agent changed: marks in the text with keep and undo, the difference of one call, of a run, of the session. */
import * as vscode from 'vscode';
import { readConfig } from './config.ts';
import type { Conversations } from './conversations.ts';
import { countLines, isUntouched, type Mark, shift } from './hunks.ts';
import { type Journal, linesOf } from './journal.ts';
import { type Log, reason } from './log.ts';
import type { ChangedFile, EventParams } from './protocol.ts';

const BEFORE = 'lsp-agent-before';
const NOTHING = 'The agent has changed nothing in this session.';
type Fields = { readonly [key: string]: unknown };

interface Before {
  readonly uri: vscode.Uri;
  readonly text: string;
  readonly sessionId: string;
}

export class Changes implements vscode.CodeLensProvider, vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #lenses = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.#lenses.event;
  readonly #contents = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.#contents.event;
  readonly #marks = new Map<string, Mark>();
  /** Text before a tool call, by its id; before a run or a session, by a name of ours. */
  readonly #before = new Map<string, Before>();
  readonly #journal: Journal;
  readonly #conversations: Conversations;
  readonly #log: Log;
  readonly #decoration = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor('diffEditor.insertedLineBackground'),
    overviewRulerColor: new vscode.ThemeColor('editorOverviewRuler.addedForeground'),
    overviewRulerLane: vscode.OverviewRulerLane.Left,
  });
  readonly #subscriptions: vscode.Disposable[];

  constructor(journal: Journal, conversations: Conversations, log: Log) {
    this.#journal = journal;
    this.#conversations = conversations;
    this.#log = log;
    this.#subscriptions = [
      conversations.onEvent((event) => this.#event(event)),
      conversations.onAttached((sessionId) => this.#restore(sessionId)),
      vscode.workspace.onDidChangeTextDocument((event) => this.#typed(event)),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#draw()),
      vscode.window.onDidChangeActiveTextEditor(() => this.#draw()),
      vscode.languages.registerCodeLensProvider([{ scheme: 'file' }, { scheme: 'untitled' }], this),
      vscode.workspace.registerTextDocumentContentProvider(BEFORE, this),
    ];
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#before.get(uri.query)?.text ?? '';
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!readConfig().codeLens) {
      return [];
    }
    return this.#marksIn(document).flatMap((mark) => {
      const range = rangeOf(document, mark);
      const lens = (title: string, command: string): vscode.CodeLens =>
        new vscode.CodeLens(range, { title, command, arguments: [mark.hunkId] });
      return [
        lens('$(check) Keep', 'lspAgent.hunk.keep'),
        lens('$(discard) Undo', 'lspAgent.hunk.undo'),
        ...(mark.toolCallId && this.#before.has(mark.toolCallId) ? [lens('$(diff) Diff', 'lspAgent.hunk.diff')] : []),
      ];
    });
  }

  async keep(hunkId: string): Promise<void> {
    const mark = this.#marks.get(hunkId);
    if (mark && this.#journal.isKept) {
      await this.#journal.resolve(mark.sessionId, 'accept', [{ hunkId }]);
    }
    this.#marks.delete(hunkId);
    this.#draw();
  }

  /** Put the text before the hunk back: one step for the editor's own undo, too. What was typed since stays. */
  async undo(hunkId: string): Promise<void> {
    const mark = this.#marks.get(hunkId);
    if (mark && this.#journal.isKept) {
      await this.#journal.resolve(mark.sessionId, 'reject', [{ hunkId }]);
      return;
    }
    const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === mark?.uri);
    this.#marks.delete(hunkId);
    if (mark && document) {
      const edit = new vscode.WorkspaceEdit();
      edit.replace(document.uri, rangeOf(document, mark), mark.oldText);
      await vscode.workspace.applyEdit(edit);
    }
    this.#draw();
  }

  /** Keep, or undo, everything of the session that is shown that nobody has decided yet. */
  async all(action: 'accept' | 'reject'): Promise<void> {
    const sessionId = this.#conversations.active?.model.sessionId;
    if (sessionId !== undefined && this.#journal.isKept) {
      const done = await this.#journal.resolve(sessionId, action, [{ all: true }]);
      vscode.window.setStatusBarMessage(`Agent: ${done} ${done === 1 ? 'change' : 'changes'} ${action}ed`, 4000);
      return;
    }
    for (const { hunkId } of [...this.#marks.values()].reverse()) {
      await (action === 'accept' ? this.keep(hunkId) : this.undo(hunkId));
    }
  }

  /** Take back what the last run that changed something has changed. */
  async undoRun(): Promise<void> {
    const session = this.#conversations.active;
    const runId = session && lastRunOf(session.model.changes);
    if (!session || !runId || !this.#journal.isKept) {
      vscode.window.showInformationMessage(NOTHING);
      return;
    }
    await this.#journal.resolve(session.model.sessionId, 'undo', [{ runId }]);
  }

  redo(): Promise<void> {
    return this.#journal.redo();
  }

  async diffOfHunk(hunkId: string): Promise<void> {
    const toolCallId = this.#marks.get(hunkId)?.toolCallId;
    if (toolCallId) {
      await this.diff(toolCallId);
    }
  }

  /** The file before a tool call, beside what it is now. */
  async diff(toolCallId: string): Promise<void> {
    const before = this.#before.get(toolCallId);
    if (before) {
      const name = vscode.workspace.asRelativePath(before.uri);
      await vscode.commands.executeCommand(
        'vscode.diff',
        beforeUri(before.uri, toolCallId),
        before.uri,
        `${name}: agent`,
      );
    }
  }

  /** Everything the session that is shown, or its last run, has changed, file by file. */
  async review(what: 'session' | 'run' = 'session'): Promise<void> {
    const session = this.#conversations.active;
    const runId = what === 'run' && session ? lastRunOf(session.model.changes) : undefined;
    const rows = session ? await this.#rows(session.model.sessionId, runId) : [];
    if (rows.length === 0) {
      vscode.window.showInformationMessage(NOTHING);
      return;
    }
    const title = what === 'run' ? 'Changes of the last run' : 'Changes of the agent';
    await vscode.commands.executeCommand('vscode.changes', title, rows);
  }

  /** For each changed file: itself, as it was, as it is. */
  async #rows(sessionId: string, runId: string | undefined): Promise<[vscode.Uri, vscode.Uri, vscode.Uri][]> {
    if (this.#journal.isKept) {
      const before = await this.#journal.before(sessionId, runId);
      return before.map(({ uri, text }) => {
        const name = `${runId ?? sessionId} ${uri.toString()}`;
        this.#before.set(name, { uri, text, sessionId: '' });
        this.#contents.fire(beforeUri(uri, name));
        return [uri, beforeUri(uri, name), uri];
      });
    }
    const first = new Map<string, [vscode.Uri, vscode.Uri, vscode.Uri]>();
    for (const [toolCallId, { uri, sessionId: of }] of this.#before) {
      if (of === sessionId && !first.has(uri.toString())) {
        first.set(uri.toString(), [uri, beforeUri(uri, toolCallId), uri]);
      }
    }
    return [...first.values()];
  }

  #event(event: EventParams): void {
    const update = event.update as unknown as Fields;
    if (update['sessionUpdate'] === 'changes_update') {
      this.#take(event.sessionId, update['files'] as ChangedFile[]);
    } else if (update['sessionUpdate'] === 'tool_call_update') {
      this.#remember(event.sessionId, update);
    }
  }

  /** After an attach: what waits for a decision, where it is by now. */
  #restore(sessionId: string): void {
    if (!this.#journal.isKept) {
      return;
    }
    this.#journal.list(sessionId, { state: 'pending' }).then(
      (files) => {
        for (const { hunkId } of [...this.#marks.values()].filter((mark) => mark.sessionId === sessionId)) {
          this.#marks.delete(hunkId);
        }
        this.#take(sessionId, files);
      },
      (error: unknown) => this.#log.warn(`changes of ${sessionId}: ${reason(error)}`),
    );
  }

  #take(sessionId: string, files: readonly ChangedFile[]): void {
    for (const file of files) {
      this.#mark(sessionId, file);
    }
    this.#draw();
  }

  #mark(sessionId: string, file: ChangedFile): void {
    for (const hunk of file.hunks) {
      if (hunk.state !== 'pending') {
        this.#marks.delete(hunk.hunkId);
        continue;
      }
      const { start } = linesOf(hunk) ?? hunk.range;
      const lines = countLines(hunk.newText) + (hunk.newText === '' || hunk.newText.endsWith('\n') ? 0 : 1);
      const { hunkId, toolCallId, oldText, newText } = hunk;
      const mark = { hunkId, uri: file.uri, sessionId, toolCallId, oldText, newText, line: start.line, lines };
      this.#marks.set(hunkId, mark);
    }
  }

  #remember(sessionId: string, update: Fields): void {
    const metadata = (update['rawOutput'] as Fields | null | undefined)?.['metadata'] as Fields | undefined;
    const uri = (update['locations'] as Fields[] | undefined)?.[0]?.['uri'];
    if (typeof metadata?.['old_content'] === 'string' && typeof uri === 'string') {
      this.#before.set(String(update['toolCallId']), {
        uri: vscode.Uri.parse(uri),
        text: metadata['old_content'],
        sessionId,
      });
    }
  }

  #typed({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const uri = document.uri.toString();
    const here = [...this.#marks.values()].filter((mark) => mark.uri === uri);
    if (here.length === 0) {
      return;
    }
    for (const { range, text } of contentChanges) {
      shift(here, { startLine: range.start.line, endLine: range.end.line, text });
    }
    this.#draw();
  }

  #marksIn(document: vscode.TextDocument): Mark[] {
    const uri = document.uri.toString();
    return [...this.#marks.values()]
      .filter((mark) => mark.uri === uri && isUntouched(mark, (line, count) => textOf(document, line, count)))
      .sort((one, other) => one.line - other.line);
  }

  #draw(): void {
    this.#lenses.fire();
    for (const editor of vscode.window.visibleTextEditors) {
      const marks = this.#marksIn(editor.document).filter((mark) => mark.lines > 0);
      editor.setDecorations(
        this.#decoration,
        marks.map((mark) => new vscode.Range(mark.line, 0, mark.line + mark.lines - 1, 0)),
      );
    }
    const pending = vscode.window.activeTextEditor ? this.#marksIn(vscode.window.activeTextEditor.document).length : 0;
    vscode.commands.executeCommand('setContext', 'lspAgent.hasHunks', pending > 0).then(undefined, () => undefined);
  }

  /** The hunk at the cursor, else the first one of the file. */
  atCursor(): string | undefined {
    const editor = vscode.window.activeTextEditor;
    const marks = editor ? this.#marksIn(editor.document) : [];
    const line = editor?.selection.active.line ?? 0;
    return (marks.find((mark) => line >= mark.line && line <= mark.line + mark.lines) ?? marks[0])?.hunkId;
  }

  /** Move the cursor to the next hunk of the file, round the end. */
  go(direction: 1 | -1): void {
    const editor = vscode.window.activeTextEditor;
    const marks = editor ? this.#marksIn(editor.document) : [];
    const line = editor?.selection.active.line ?? 0;
    const ordered = direction > 0 ? marks : [...marks].reverse();
    const next = ordered.find((mark) => (mark.line - line) * direction > 0) ?? ordered[0];
    if (editor && next) {
      const at = new vscode.Position(next.line, 0);
      editor.selection = new vscode.Selection(at, at);
      editor.revealRange(rangeOf(editor.document, next), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    }
  }

  dispose(): void {
    for (const each of [...this.#subscriptions, this.#decoration, this.#lenses, this.#contents]) {
      each.dispose();
    }
  }
}

/** The run that changed something last. */
function lastRunOf(files: readonly ChangedFile[]): string | undefined {
  return files.flatMap(({ hunks }) => hunks.map(({ runId }) => runId)).findLast((runId) => runId !== null) ?? undefined;
}

function beforeUri(uri: vscode.Uri, name: string): vscode.Uri {
  return vscode.Uri.from({ scheme: BEFORE, path: uri.path, query: name });
}

function rangeOf(document: vscode.TextDocument, mark: Mark): vscode.Range {
  return document.validateRange(new vscode.Range(mark.line, 0, mark.line + mark.lines, 0));
}

function textOf(document: vscode.TextDocument, line: number, count: number): string {
  return document.getText(document.validateRange(new vscode.Range(line, 0, line + count, 0)));
}
