/** What the agent changed: marks in the text with keep and undo, the difference of one call, and of the whole session. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import { readConfig } from './config.ts';
import type { Conversations } from './conversations.ts';
import { countLines, isUntouched, type Mark, shift } from './hunks.ts';
import type { ChangedFile, EventParams } from './protocol.ts';

const BEFORE = 'lsp-agent-before';
type Fields = { readonly [key: string]: unknown };

interface Before {
  readonly uri: vscode.Uri;
  readonly text: string;
  readonly sessionId: string;
}

export class Changes implements vscode.CodeLensProvider, vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #lenses = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.#lenses.event;
  readonly #marks = new Map<string, Mark>();
  /** Text before a tool call, by its id. */
  readonly #before = new Map<string, Before>();
  readonly #server: Server;
  readonly #conversations: Conversations;
  readonly #decoration = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor('diffEditor.insertedLineBackground'),
    overviewRulerColor: new vscode.ThemeColor('editorOverviewRuler.addedForeground'),
    overviewRulerLane: vscode.OverviewRulerLane.Left,
  });
  readonly #subscriptions: vscode.Disposable[];

  constructor(server: Server, conversations: Conversations) {
    this.#server = server;
    this.#conversations = conversations;
    this.#subscriptions = [
      conversations.onEvent((event) => this.#event(event)),
      vscode.workspace.onDidChangeTextDocument((event) => this.#typed(event)),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#draw()),
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
    await this.#resolve(hunkId, 'accept');
    this.#marks.delete(hunkId);
    this.#draw();
  }

  /** Put the text before the hunk back: one step for the editor's own undo, too. */
  async undo(hunkId: string): Promise<void> {
    const mark = this.#marks.get(hunkId);
    const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === mark?.uri);
    if (!mark || !document || (await this.#resolve(hunkId, 'reject'))) {
      this.#marks.delete(hunkId);
      this.#draw();
      return;
    }
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, rangeOf(document, mark), mark.oldText);
    this.#marks.delete(hunkId);
    await vscode.workspace.applyEdit(edit);
    this.#draw();
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

  /** Everything the session that is shown has changed, file by file. */
  async review(): Promise<void> {
    const sessionId = this.#conversations.active?.model.sessionId;
    const first = new Map<string, [vscode.Uri, vscode.Uri, vscode.Uri]>();
    for (const [toolCallId, { uri, sessionId: of }] of this.#before) {
      if (of === sessionId && !first.has(uri.toString())) {
        first.set(uri.toString(), [uri, beforeUri(uri, toolCallId), uri]);
      }
    }
    if (first.size === 0) {
      vscode.window.showInformationMessage('The agent has changed nothing in this session.');
      return;
    }
    await vscode.commands.executeCommand('vscode.changes', 'Changes of the agent', [...first.values()]);
  }

  #event(event: EventParams): void {
    const update = event.update as unknown as Fields;
    if (update['sessionUpdate'] === 'changes_update') {
      for (const file of update['files'] as ChangedFile[]) {
        this.#mark(file);
      }
      this.#draw();
    } else if (update['sessionUpdate'] === 'tool_call_update') {
      this.#remember(event.sessionId, update);
    }
  }

  #mark(file: ChangedFile): void {
    for (const hunk of file.hunks) {
      if (hunk.state !== 'pending') {
        this.#marks.delete(hunk.hunkId);
        continue;
      }
      const { start } = (hunk as unknown as { newRange?: { start: { line: number } } }).newRange ?? hunk.range;
      const lines = countLines(hunk.newText) + (hunk.newText === '' || hunk.newText.endsWith('\n') ? 0 : 1);
      const { hunkId, toolCallId, oldText, newText } = hunk;
      this.#marks.set(hunkId, { hunkId, uri: file.uri, toolCallId, oldText, newText, line: start.line, lines });
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
    return [...this.#marks.values()].filter(
      (mark) => mark.uri === uri && isUntouched(mark, (line, count) => textOf(document, line, count)),
    );
  }

  /** Tell a server that keeps account of hunks. False: it does not, so the editor does it alone. */
  async #resolve(hunkId: string, action: 'accept' | 'reject'): Promise<boolean> {
    const agent = this.#server.client?.initializeResult?.capabilities.experimental as
      | { agent?: { changes?: { hunk?: boolean } } }
      | undefined;
    const sessionId = this.#conversations.active?.model.sessionId;
    if (!agent?.agent?.changes?.hunk || sessionId === undefined) {
      return false;
    }
    const { done } = await this.#server.call('agent/changes/resolve', { sessionId, action, targets: [{ hunkId }] });
    return done.includes(hunkId);
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

  dispose(): void {
    for (const each of [...this.#subscriptions, this.#decoration, this.#lenses]) {
      each.dispose();
    }
  }
}

function beforeUri(uri: vscode.Uri, toolCallId: string): vscode.Uri {
  return vscode.Uri.from({ scheme: BEFORE, path: uri.path, query: toolCallId });
}

function rangeOf(document: vscode.TextDocument, mark: Mark): vscode.Range {
  return document.validateRange(new vscode.Range(mark.line, 0, mark.line + mark.lines, 0));
}

function textOf(document: vscode.TextDocument, line: number, count: number): string {
  return document.getText(document.validateRange(new vscode.Range(line, 0, line + count, 0)));
}
