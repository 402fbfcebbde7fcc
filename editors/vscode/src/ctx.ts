/** Makes the parts, in order, and owns them: the only module that knows all of them. */
import * as vscode from 'vscode';
import { Attachments } from './attachments.ts';
import { Changes } from './changes.ts';
import { Chat, type Parts } from './chat.ts';
import { Server } from './client.ts';
import { registerCommands } from './commands.ts';
import { affectsServer, affectsUs } from './config.ts';
import { Conversations } from './conversations.ts';
import { askEditor } from './editorlsp.ts';
import { EditorState } from './editorstate.ts';
import { Following } from './following.ts';
import { InstallOffer } from './installer.ts';
import { Journal } from './journal.ts';
import { createLog, reason } from './log.ts';
import type { EditorLspParams } from './protocol.ts';
import { StatusBar } from './status.ts';
import { FolderTrust } from './trust.ts';
import { ChatView, VIEW_ID } from './view/provider.ts';

export class Ctx {
  readonly parts: Parts;
  readonly #server: Server;

  constructor(context: vscode.ExtensionContext) {
    const log = createLog();
    const server = new Server(context, log);
    const state = new EditorState(server);
    const attachments = new Attachments(state);
    const conversations = new Conversations(server, attachments, context, log);
    const changes = new Changes(new Journal(server), conversations, log);
    const view = new ChatView(context.extensionUri, server, conversations, attachments);
    const trust = new FolderTrust(server, view, log);
    const parts = { server, conversations, attachments, changes, trust, view, log };
    const chat = new Chat(parts);
    const restart = (): void => {
      server.restart().catch((error: unknown) => log.error(`restart: ${reason(error)}`));
    };
    this.#server = server;
    this.parts = parts;
    context.subscriptions.push(
      log,
      server,
      state,
      attachments,
      conversations,
      changes,
      view,
      chat,
      trust,
      new Following(conversations),
      new InstallOffer(server, log),
      new StatusBar(server, conversations, trust),
      ...registerCommands(parts, chat),
      vscode.window.registerWebviewViewProvider(VIEW_ID, view),
      server.onClient((client) => {
        client.onRequest('agent/editor/lsp', (asked: EditorLspParams) => askEditor(client, asked));
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(restart),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (affectsServer(event)) {
          restart();
        } else if (affectsUs(event)) {
          attachments.refresh();
        }
      }),
    );
  }

  /** Connect to the server that is there, or start one. */
  start(): Promise<void> {
    return this.#server.restart(false);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
