/** Lists of the server in the editor's own pickers: MCP servers with what can be done to them, and rules in force. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import type { McpEntry } from './protocol.ts';

const STATES: Readonly<Record<string, string>> = {
  connected: 'pass',
  connecting: 'loading~spin',
  starting: 'loading~spin',
  error: 'error',
  disabled: 'circle-slash',
};

/** Show the MCP servers; one that is chosen can be started again or logged in to. */
export async function pickMcp(server: Server): Promise<void> {
  const { servers } = await server.call('agent/mcp/list', {});
  if (servers.length === 0) {
    vscode.window.showInformationMessage('No MCP server is configured. The configuration file has a section [mcp].');
    return;
  }
  const items = servers.map((entry) => ({
    label: `$(${STATES[entry.state] ?? 'plug'}) ${entry.name}`,
    description: `${entry.state} · ${entry.type} · ${entry.tools} ${entry.tools === 1 ? 'tool' : 'tools'}`,
    ...(entry.error ? { detail: entry.error } : {}),
    entry,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'MCP servers', matchOnDescription: true });
  if (chosen) {
    await act(server, chosen.entry);
  }
}

async function act(server: Server, { name }: McpEntry): Promise<void> {
  const actions = [
    { label: '$(debug-restart) Connect again', method: 'agent/mcp/restart' as const },
    { label: '$(key) Log in…', method: 'agent/mcp/login' as const },
  ];
  const chosen = await vscode.window.showQuickPick(actions, { title: name });
  if (!chosen) {
    return;
  }
  const { state, url } = await server.call(chosen.method, { name });
  if (url && /^https?:/.test(url)) {
    await vscode.env.openExternal(vscode.Uri.parse(url, true));
  } else {
    vscode.window.showInformationMessage(`${name}: ${state}`);
  }
}

/** Show the files the agent obeys; one that is chosen is opened. */
export async function pickRules(server: Server): Promise<void> {
  const { rules } = await server.call('agent/rules/list', {});
  if (rules.length === 0) {
    vscode.window.showInformationMessage('The agent obeys no file in this workspace.');
    return;
  }
  const items = rules.map(({ name, uri, active }) => ({
    label: `$(${active ? 'book' : 'circle-slash'}) ${name}`,
    description: active ? '' : 'not in force here',
    uri,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Rules of the agent' });
  if (chosen) {
    await vscode.window.showTextDocument(vscode.Uri.parse(chosen.uri));
  }
}
