/** Carries out what the user does in the chat view. Failures are shown there, never thrown. */
import * as vscode from 'vscode';
import type { Attachments } from './attachments.ts';
import type { Changes } from './changes.ts';
import type { Server } from './client.ts';
import { readConfig } from './config.ts';
import type { Conversations } from './conversations.ts';
import { installServer } from './installer.ts';
import { type Log, reason } from './log.ts';
import { Mentions } from './mentions.ts';
import { deleteSession, exportSession, pickFiles, pickMode, pickModel, renameSession } from './pickers.ts';
import { called, perform } from './slash.ts';
import type { FolderTrust } from './trust.ts';
import type { FromView } from './view/messages.ts';
import type { ChatView } from './view/provider.ts';

export interface Parts {
  readonly server: Server;
  readonly conversations: Conversations;
  readonly attachments: Attachments;
  readonly changes: Changes;
  readonly trust: FolderTrust;
  readonly view: ChatView;
  readonly log: Log;
}

type Of<T extends FromView['type']> = Extract<FromView, { type: T }>;

export class Chat implements vscode.Disposable {
  readonly #parts: Parts;
  readonly #mentions: Mentions;
  readonly #subscription: vscode.Disposable;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#mentions = new Mentions(parts.server);
    this.#subscription = parts.view.onMessage((message) => {
      this.#take(message).catch((error: unknown) => {
        parts.log.warn(`${message.type}: ${reason(error)}`);
        parts.view.post({ type: 'banner', level: 'error', text: reason(error) });
      });
    });
  }

  /** Send a prompt that was not typed into the chat; `about`: with this editor's file and selection. */
  async ask(prompt: string, about?: vscode.TextEditor): Promise<void> {
    const { view, conversations, attachments } = this.#parts;
    const attached = about && attachments.takeWith(about);
    await view.reveal();
    await conversations.send(prompt, readConfig().whenBusy, attached);
  }

  async newSession(): Promise<void> {
    await this.#parts.conversations.show(undefined);
    await this.#parts.view.reveal();
  }

  async #take(message: FromView): Promise<void> {
    const { conversations, attachments, changes } = this.#parts;
    switch (message.type) {
      case 'ready':
        return;
      case 'send':
        return this.#send(message);
      case 'stop':
        return conversations.stop();
      case 'permit':
        return conversations.permit(message.requestId, message.optionId, message.message);
      case 'queue':
        return this.#queue(message);
      case 'queueText':
        return this.#queueText(message.messageId);
      case 'removeChip':
        return attachments.remove(message.id);
      case 'image':
        return attachments.addImage(message.data, message.mimeType, message.name);
      case 'attach':
        return attachments.addFiles(message.uris.map((uri) => vscode.Uri.parse(uri)));
      case 'answer':
        return conversations.answer(message.requestId, message.action, message.content);
      case 'attachText':
        return attachments.addText(message.text, message.name);
      case 'attachItem':
        return attachments.addMention(message.item);
      case 'complete':
        return this.#complete(message);
      case 'sessions':
        return this.#list(message.query);
      case 'session':
        return this.session(message);
      case 'fork':
        return this.#forkBefore(message.messageId);
      case 'openFile':
        return openFile(message);
      case 'openDiff':
        return changes.diff(message.toolCallId);
      case 'copy':
        return vscode.env.clipboard.writeText(message.text);
      case 'command':
        return this.command(message.command);
    }
  }

  async #send({ text, how }: Of<'send'>): Promise<void> {
    const { conversations, view } = this.#parts;
    let isAccepted = false;
    try {
      const ours = text.trimStart().startsWith('/') ? await called(this.#parts, text) : undefined;
      if (ours) {
        await perform(this, this.#parts, ours);
      } else {
        await conversations.send(text, how === 'default' ? readConfig().whenBusy : how);
      }
      isAccepted = true;
    } finally {
      view.post({ type: 'answered', text, isAccepted });
    }
  }

  async #complete({ token, text, offset }: Of<'complete'>): Promise<void> {
    const { conversations, view } = this.#parts;
    const found = await this.#mentions.complete(text, offset, conversations.active?.model.sessionId);
    view.post({ type: 'completed', token, ...found });
  }

  /** What a button of the view, or a command of the same name, asks for. */
  async command(command: Of<'command'>['command']): Promise<void> {
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
      case 'trustFolder':
        return this.#parts.trust.choose();
      case 'review':
        return this.#parts.changes.review();
      case 'keepAll':
        return this.#parts.changes.all('accept');
      case 'undoAll':
        return this.#parts.changes.all('reject');
      case 'settings':
        return vscode.commands.executeCommand('workbench.action.openSettings', '@ext:lsp-agent.lsp-agent');
      case 'restart':
        return server.restart();
      case 'install':
        return installServer(server, this.#parts.log);
      case 'log':
        return this.#parts.log.show();
      case 'compact':
        return this.compact();
    }
  }

  async #queue({ op, messageId, text, index }: Of<'queue'>): Promise<void> {
    const { conversations, view } = this.#parts;
    await conversations.queue(op, messageId, text, index).catch((error: unknown) => {
      if (text !== undefined) {
        view.post({ type: 'insert', text }); // it waits no longer: what was typed is not lost
      }
      throw error;
    });
  }

  async #queueText(messageId: string): Promise<void> {
    const text = await this.#parts.conversations.waitingText(messageId);
    this.#parts.view.post({ type: 'queueText', messageId, text });
  }

  /** The same with the session that is shown, if there is one. */
  async active(action: 'rename' | 'fork' | 'export'): Promise<void> {
    const id = this.#parts.conversations.active?.model.sessionId;
    if (id === undefined) {
      vscode.window.showInformationMessage('There is no session yet.');
      return;
    }
    await this.session({ type: 'session', action, id });
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

  /** One of the things that can be done with a session. */
  async session({ action, id }: Of<'session'>): Promise<void> {
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

  /** A conversation that goes another way from a prompt on: what was before it, and the prompt to be changed. */
  async #forkBefore(messageId: string): Promise<void> {
    const { conversations, view } = this.#parts;
    const { sessionId, messages } = conversations.active?.model ?? { sessionId: undefined, messages: [] };
    const at = messages.findIndex(({ id }) => id === messageId);
    const before = messages[at - 1];
    if (before) {
      await this.#fork(sessionId, before.id);
    } else {
      await conversations.show(undefined);
    }
    view.post({ type: 'insert', text: messages[at]?.text ?? '' });
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
