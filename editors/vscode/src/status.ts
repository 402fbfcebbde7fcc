/** The status bar entry, and the context keys that decide which keys work. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import type { Conversations } from './conversations.ts';
import type { FolderTrust } from './trust.ts';

export class StatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem('lspAgent.status', vscode.StatusBarAlignment.Right, 90);
  readonly #subscriptions: vscode.Disposable[];
  readonly #server: Server;
  readonly #conversations: Conversations;
  readonly #trust: FolderTrust;

  constructor(server: Server, conversations: Conversations, trust: FolderTrust) {
    this.#server = server;
    this.#conversations = conversations;
    this.#trust = trust;
    this.#item.name = 'LSP Agent';
    this.#subscriptions = [
      server.onState(() => this.#show()),
      trust.onChange(() => this.#show()),
      conversations.onReplaced(() => this.#show()),
      conversations.onEffects(({ effects }) => {
        if (effects.some(({ op }) => ['state', 'permission', 'question', 'usage', 'complete'].includes(op))) {
          this.#show();
        }
      }),
    ];
    this.#show();
    this.#item.show();
  }

  #show(): void {
    const { waiting, isBusy, active } = this.#conversations;
    const state = this.#server.state;
    const running = state === 'running';
    const [text, command] = !running
      ? state === 'starting'
        ? ['$(loading~spin) Agent', 'lspAgent.showLog']
        : ['$(warning) Agent', 'lspAgent.open']
      : waiting > 0
        ? ['$(bell-dot) Agent asks', 'lspAgent.focusPermission']
        : isBusy
          ? ['$(sync~spin) Agent', 'lspAgent.open']
          : ['$(hubot) Agent', 'lspAgent.open'];
    this.#item.text = text;
    this.#item.command = command;
    this.#item.backgroundColor =
      running && waiting > 0 ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    const usage = active?.model.usage;
    const lines = [
      `Agent: ${running ? (waiting > 0 ? 'waiting for your answer' : isBusy ? 'working' : 'ready') : state}`,
      this.#server.detail,
      this.#trust.status,
      usage ? `${usage.usedTokens.toLocaleString()} tokens, $${usage.costUsd.toFixed(4)}` : '',
    ];
    this.#item.tooltip = lines.filter(Boolean).join('\n');
    setContext('lspAgent.busy', running && (active?.model.state ?? 'idle') !== 'idle');
    setContext('lspAgent.asks', running && waiting > 0);
  }

  dispose(): void {
    for (const each of [...this.#subscriptions, this.#item]) {
      each.dispose();
    }
  }
}

function setContext(key: string, value: boolean): void {
  vscode.commands.executeCommand('setContext', key, value).then(undefined, () => undefined); // only when closing
}
