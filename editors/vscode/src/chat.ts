/** Carries out what the user does in the chat view. Failures are shown there, never thrown. */
import * as vscode from 'vscode';
import type { Attachments } from './attachments.ts';
import type { Changes } from './changes.ts';
import type { Server } from './client.ts';
import { readConfig } from './config.ts';
import type { Conversations } from './conversations.ts';
import { Files } from './files.ts';
import { type Log, reason } from './log.ts';
import { deleteSession, exportSession, pickFiles, pickMode, pickModel, renameSession } from './pickers.ts';
import type { FromView } from './view/messages.ts';
import type { ChatView } from './view/provider.ts';

export interface Parts {
  readonly server: Server;
  readonly conversations: Conversations;
  readonly attachments: Attachments;
  readonly changes: Changes;
  readonly view: ChatView;
  readonly log: Log;
}

type Of<T extends FromView['type']> = Extract<FromView, { type: T }>;

export class Chat implements vscode.Disposable {
  readonly #parts: Parts;
  readonly #files = new Files();
  readonly #subscription: vscode.Disposable;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#subscription = parts.view.onMessage((message) => {
      this.#take(message).catch((error: unknown) => {
        parts.log.warn(`${message.type}: ${reason(error)}`);
        parts.view.post({ type: 'banner', level: 'error', text: reason(error) });
      });
    });
  }

  /** Send a prompt that was not typed into the chat. */
  async ask(prompt: string): Promise<void> {
    await this.#parts.view.reveal();
    await this.#parts.conversations.send(prompt, readConfig().whenBusy);
  }

  async newSession(): Promise<void> {
    await this.#parts.conversations.show(undefined);
    await this.#parts.view.reveal();
  }

  async #take(message: FromView): Promise<void> {
    const { conversations, attachments, changes, view } = this.#parts;
    switch (message.type) {
      case 'ready':
        return;
      case 'send':
        await conversations.send(message.text, message.how === 'default' ? readConfig().whenBusy : message.how);
        view.post({ type: 'accepted' });
        return;
      case 'stop':
        return conversations.stop();
      case 'permit':
        return conversations.permit(message.requestId, message.optionId, message.message);
      case 'queue':
        return conversations.queue(message.op, message.messageId, message.text, message.index);
      case 'removeChip':
        return attachments.remove(message.id);
      case 'image':
        return attachments.addImage(message.data, message.mimeType, message.name);
      case 'attach':
        return attachments.addFiles(message.uris.map((uri) => vscode.Uri.parse(uri)));
      case 'files':
        view.post({ type: 'files', token: message.token, items: await this.#files.find(message.query) });
        return;
      case 'sessions':
        return this.#list(message.query);
      case 'session':
        return this.#session(message);
      case 'fork':
        return this.#fork(conversations.active?.model.sessionId, message.messageId);
      case 'openFile':
        return openFile(message);
      case 'openDiff':
        return changes.diff(message.toolCallId);
      case 'copy':
        return vscode.env.clipboard.writeText(message.text);
      case 'command':
        return this.#command(message.command);
    }
  }

  async #command(command: Of<'command'>['command']): Promise<void> {
    const { conversations, attachments, server } = this.#parts;
    switch (command) {
      case 'new':
        return this.newSession();
      case 'model':
        return pickModel(conversations);
      case 'mode':
        return pickMode(conversations);
      case 'attach':
        return attachments.addFiles(await pickFiles());
      case 'trust':
        return vscode.commands.executeCommand('workbench.trust.manage');
      case 'settings':
        return vscode.commands.executeCommand('workbench.action.openSettings', '@ext:lsp-agent.lsp-agent');
      case 'restart':
        return server.restart();
      case 'log':
        return this.#parts.log.show();
      case 'compact':
        return this.compact();
    }
  }

  /** Summarize the conversation so far, to make room. */
  async compact(): Promise<void> {
    const sessionId = this.#parts.conversations.active?.model.sessionId;
    if (sessionId !== undefined) {
      const { state } = await this.#parts.server.call('agent/session/compact', { sessionId });
      if (state === 'nothing') {
        this.#parts.view.post({ type: 'banner', level: 'info', text: 'There is too little to summarize.' });
      }
    }
  }

  async #list(query: string): Promise<void> {
    const { server, conversations, view } = this.#parts;
    const { sessions } = await server.call('agent/session/list', { limit: 100, ...(query ? { query } : {}) });
    view.post({ type: 'sessions', query, sessions, active: conversations.active?.model.sessionId ?? null });
  }

  async #session({ action, id }: Of<'session'>): Promise<void> {
    const { server, conversations } = this.#parts;
    switch (action) {
      case 'open':
        return conversations.show(id);
      case 'rename':
        await renameSession(server, id);
        return this.#list('');
      case 'fork':
        return this.#fork(id);
      case 'export':
        return exportSession(server, id);
      case 'delete':
        if (await deleteSession(server, id)) {
          await conversations.forget(id);
        }
        return this.#list('');
    }
  }

  async #fork(sessionId: string | undefined, atMessageId?: string): Promise<void> {
    if (sessionId !== undefined) {
      const asked = { sessionId, ...(atMessageId ? { atMessageId } : {}) };
      const fork = await this.#parts.server.call('agent/session/fork', asked);
      await this.#parts.conversations.show(fork.sessionId);
    }
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

async function openFile({ uri, line }: Of<'openFile'>): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri));
  const at = new vscode.Position(line ?? 0, 0);
  await vscode.window.showTextDocument(document, { selection: new vscode.Range(at, at), preserveFocus: false });
}
