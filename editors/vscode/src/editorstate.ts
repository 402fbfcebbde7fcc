/** What the editor tells the server: focus, selections, and what other language servers report (PROTOCOL 14). */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import { readConfig } from './config.ts';
import type { JsonObject } from './protocol.ts';

const SELECTION_MS = 80;
const SCHEMES = new Set(['file', 'untitled']);

export class EditorState implements vscode.Disposable {
  readonly #subscriptions: vscode.Disposable[];
  readonly #server: Server;
  #selectionTimer: NodeJS.Timeout | undefined;
  /** Who had problems in a file when we last told: that they are gone is news, too. */
  readonly #told = new Map<string, readonly string[]>();

  constructor(server: Server) {
    this.#server = server;
    this.#subscriptions = [
      server.onState((state) => state === 'running' && this.#everything()),
      vscode.window.onDidChangeActiveTextEditor((editor) => this.#focus(editor)),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.#later(textEditor)),
      vscode.languages.onDidChangeDiagnostics(({ uris }) => this.#problems(uris)),
    ];
  }

  /** Send the selection that still waits, before something that refers to it. */
  flush(): void {
    if (this.#selectionTimer) {
      clearTimeout(this.#selectionTimer);
      this.#selection(vscode.window.activeTextEditor);
    }
  }

  #everything(): void {
    this.#told.clear();
    this.#focus(vscode.window.activeTextEditor);
    this.#problems(vscode.languages.getDiagnostics().map(([uri]) => uri));
  }

  #focus(editor: vscode.TextEditor | undefined): void {
    const uri = editor && SCHEMES.has(editor.document.uri.scheme) ? editor.document.uri.toString() : undefined;
    this.#server.tell('agent/editor/didFocus', uri ? { uri } : {});
    this.#selection(editor);
  }

  #later(editor: vscode.TextEditor): void {
    clearTimeout(this.#selectionTimer);
    this.#selectionTimer = setTimeout(() => this.#selection(editor), SELECTION_MS);
  }

  #selection(editor: vscode.TextEditor | undefined): void {
    clearTimeout(this.#selectionTimer);
    this.#selectionTimer = undefined;
    if (!editor || !SCHEMES.has(editor.document.uri.scheme) || !readConfig().pushSelection) {
      return;
    }
    this.#server.tell('agent/editor/didChangeSelection', {
      uri: editor.document.uri.toString(),
      version: editor.document.version,
      selections: editor.selections.map(({ start, end }) => ({
        start: { line: start.line, character: start.character },
        end: { line: end.line, character: end.character },
      })),
    });
  }

  #problems(uris: readonly vscode.Uri[]): void {
    const client = this.#server.client;
    if (!client || this.#server.state !== 'running' || !readConfig().pushDiagnostics) {
      return;
    }
    for (const uri of uris.filter((each) => SCHEMES.has(each.scheme))) {
      const key = uri.toString();
      const groups = bySource(vscode.languages.getDiagnostics(uri), this.#told.get(key) ?? []);
      this.#told.set(
        key,
        [...groups].filter(([, items]) => items.length > 0).map(([source]) => source),
      );
      const version = vscode.workspace.textDocuments.find((document) => document.uri.toString() === key)?.version;
      for (const [source, items] of groups) {
        this.#server.tell('agent/editor/didPublishDiagnostics', {
          uri: key,
          ...(version === undefined ? {} : { version }),
          server: source,
          items: items.map((item) => client.code2ProtocolConverter.asDiagnostic(item) as unknown as JsonObject),
        });
      }
    }
  }

  dispose(): void {
    clearTimeout(this.#selectionTimer);
    for (const subscription of this.#subscriptions) {
      subscription.dispose();
    }
  }
}

/** One list a server, as far as the editor knows them apart; an empty one for those that have no problems any more. */
function bySource(found: readonly vscode.Diagnostic[], before: readonly string[]): Map<string, vscode.Diagnostic[]> {
  const groups = new Map<string, vscode.Diagnostic[]>(before.map((source) => [source, []]));
  for (const diagnostic of found) {
    const source = diagnostic.source ?? 'vscode';
    groups.set(source, [...(groups.get(source) ?? []), diagnostic]);
  }
  return groups;
}
