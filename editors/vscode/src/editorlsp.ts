/** `agent/editor/lsp`: the server's questions to the editor's other language servers, by `vscode.execute…` commands. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import type { EditorLspParams, EditorLspResult } from './protocol.ts';

type Fields = { readonly [key: string]: unknown };

/** LSP method to the editor's command; every one takes a document and most a position. */
const BY_POSITION: Readonly<Record<string, string>> = {
  'textDocument/definition': 'vscode.executeDefinitionProvider',
  'textDocument/declaration': 'vscode.executeDeclarationProvider',
  'textDocument/typeDefinition': 'vscode.executeTypeDefinitionProvider',
  'textDocument/implementation': 'vscode.executeImplementationProvider',
  'textDocument/references': 'vscode.executeReferenceProvider',
  'textDocument/hover': 'vscode.executeHoverProvider',
  'textDocument/documentHighlight': 'vscode.executeDocumentHighlights',
};

export const EDITOR_LSP_METHODS = [
  ...Object.keys(BY_POSITION),
  'textDocument/documentSymbol',
  'textDocument/rename',
  'textDocument/codeAction',
  'textDocument/diagnostic',
  'workspace/symbol',
];

/** Answers in LSP's own shapes; the editor does not tell which server an answer is from. */
export async function askEditor(client: LanguageClient, asked: EditorLspParams): Promise<EditorLspResult> {
  const found = await Promise.race([
    execute(client, asked.method, asked.params as Fields),
    new Promise<undefined>((resolve) => setTimeout(resolve, asked.timeoutMs, undefined)),
  ]);
  return { results: found === undefined || found === null ? [] : [{ server: 'vscode', result: found as never }] };
}

async function execute(client: LanguageClient, method: string, params: Fields): Promise<unknown> {
  const toWire = client.code2ProtocolConverter;
  const uri = vscode.Uri.parse(String((params['textDocument'] as Fields | undefined)?.['uri'] ?? ''));
  const at = client.protocol2CodeConverter.asPosition((params['position'] as never) ?? { line: 0, character: 0 });
  const command = BY_POSITION[method];
  if (command) {
    const found = await vscode.commands.executeCommand<unknown[]>(command, uri, at);
    return method === 'textDocument/hover' ? hovers(found) : (found ?? []).map((item) => located(item, client));
  }
  switch (method) {
    case 'textDocument/documentSymbol': {
      const symbols = await vscode.commands.executeCommand<unknown[]>('vscode.executeDocumentSymbolProvider', uri);
      return (symbols ?? []).map((symbol) => described(symbol as vscode.DocumentSymbol, client));
    }
    case 'workspace/symbol': {
      const query = String(params['query'] ?? '');
      const found = await vscode.commands.executeCommand<vscode.SymbolInformation[]>(
        'vscode.executeWorkspaceSymbolProvider',
        query,
      );
      return (found ?? []).map((symbol) => described(symbol, client));
    }
    case 'textDocument/rename': {
      const name = String(params['newName']);
      const edit = await vscode.commands.executeCommand<vscode.WorkspaceEdit>(
        'vscode.executeDocumentRenameProvider',
        uri,
        at,
        name,
      );
      return edit ? { changes: changesOf(edit, client) } : null;
    }
    case 'textDocument/codeAction': {
      const range = client.protocol2CodeConverter.asRange(params['range'] as never);
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        'vscode.executeCodeActionProvider',
        uri,
        range,
      );
      return (actions ?? []).map((action) => ({
        title: action.title,
        kind: action.kind?.value,
        ...(action.edit ? { edit: { changes: changesOf(action.edit, client) } } : {}),
      }));
    }
    case 'textDocument/diagnostic':
      return { kind: 'full', items: await toWire.asDiagnostics(vscode.languages.getDiagnostics(uri)) };
    default:
      return undefined;
  }
}

function located(item: unknown, client: LanguageClient): unknown {
  const { asRange, asUri } = client.code2ProtocolConverter;
  if (item instanceof vscode.Location) {
    return { uri: asUri(item.uri), range: asRange(item.range) };
  }
  if (item instanceof vscode.DocumentHighlight) {
    return { range: asRange(item.range) };
  }
  const link = item as vscode.LocationLink;
  return { uri: asUri(link.targetUri), range: asRange(link.targetSelectionRange ?? link.targetRange) };
}

function hovers(found: unknown[] | undefined): unknown {
  const texts = ((found ?? []) as vscode.Hover[]).flatMap((hover) =>
    hover.contents.map((content) => (typeof content === 'string' ? content : content.value)),
  );
  return texts.length > 0 ? { contents: { kind: 'markdown', value: texts.join('\n\n') } } : null;
}

function described(symbol: vscode.DocumentSymbol | vscode.SymbolInformation, client: LanguageClient): unknown {
  const { asRange, asUri } = client.code2ProtocolConverter;
  const kind = symbol.kind + 1; // the editor counts from 0, LSP from 1
  if ('location' in symbol && !('children' in symbol)) {
    const { uri, range } = symbol.location;
    return {
      name: symbol.name,
      kind,
      containerName: symbol.containerName,
      location: { uri: asUri(uri), range: asRange(range) },
    };
  }
  const nested = symbol as vscode.DocumentSymbol;
  return {
    name: nested.name,
    detail: nested.detail,
    kind,
    range: asRange(nested.range),
    selectionRange: asRange(nested.selectionRange),
    children: nested.children.map((child) => described(child, client)),
  };
}

function changesOf(edit: vscode.WorkspaceEdit, client: LanguageClient): Record<string, unknown> {
  const { asUri, asTextEdit } = client.code2ProtocolConverter;
  return Object.fromEntries(edit.entries().map(([uri, edits]) => [asUri(uri), edits.map(asTextEdit)]));
}
