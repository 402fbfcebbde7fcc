/** The chat view in the side bar: keeps its page fed, one message a frame, and passes on what the user does. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type { Attachments } from '../attachments.ts';
import type { Server } from '../client.ts';
import type { Conversations } from '../conversations.ts';
import { page } from './html.ts';
import type { FromView, Streamed, ToView } from './messages.ts';

export const VIEW_ID = 'lspAgent.chat';
const FRAME_MS = 16;

export class ChatView implements vscode.WebviewViewProvider, vscode.Disposable {
  readonly #received = new vscode.EventEmitter<FromView>();
  /** What the user does in the view; `ready` is answered here. */
  readonly onMessage = this.#received.event;
  readonly #subscriptions: vscode.Disposable[];
  readonly #extension: vscode.Uri;
  readonly #server: Server;
  readonly #conversations: Conversations;
  readonly #attachments: Attachments;
  #view: vscode.WebviewView | undefined;
  #ready = false;
  #stream: Streamed[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What was said before the page was there. */
  #early: ToView[] = [];

  constructor(extension: vscode.Uri, server: Server, conversations: Conversations, attachments: Attachments) {
    this.#extension = extension;
    this.#server = server;
    this.#conversations = conversations;
    this.#attachments = attachments;
    this.#subscriptions = [
      conversations.onReplaced(() => this.#session()),
      conversations.onStreamed((item) => this.#later(item)),
      conversations.onEffects(({ effects }) => {
        if (effects.some(({ op }) => op === 'options')) {
          this.#labels();
        }
        if (effects.some(({ op }) => op === 'permission' || op === 'question')) {
          this.#badge();
        }
      }),
      attachments.onChange(() => this.#chips()),
      server.onState(() => this.#state()),
    ];
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.#view = view;
    this.#ready = false;
    const folder = vscode.Uri.joinPath(this.#extension, 'dist');
    const asset = (name: string): string => view.webview.asWebviewUri(vscode.Uri.joinPath(folder, name)).toString();
    view.webview.options = { enableScripts: true, localResourceRoots: [folder] };
    view.webview.onDidReceiveMessage((message: FromView) => this.#take(message));
    view.onDidDispose(() => {
      this.#view = undefined;
      this.#ready = false;
    });
    view.webview.html = page({
      script: asset('view.js'),
      style: asset('view.css'),
      icons: asset('codicon.css'),
      cspSource: view.webview.cspSource,
      nonce: randomBytes(18).toString('base64url'),
    });
    this.#badge();
  }

  /** Whether the user can see the chat. */
  get isVisible(): boolean {
    return this.#view?.visible === true;
  }

  /** Bring the view to the front; `what` gets the focus. */
  async reveal(what: 'input' | 'permission' | 'sessions' = 'input'): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW_ID}.focus`);
    this.post({ type: 'focus', what });
  }

  /** Say something to the page, now or when it is there. */
  post(message: ToView): void {
    if (this.#ready && this.#view) {
      this.#flush();
      this.#send(message);
    } else {
      this.#early.push(message);
    }
  }

  #take(message: FromView): void {
    if (message.type !== 'ready') {
      this.#received.fire(message);
      return;
    }
    this.#ready = true;
    this.#state();
    this.#session();
    this.#chips();
    for (const early of this.#early.splice(0)) {
      this.post(early);
    }
  }

  #later(item: Streamed): void {
    if (this.#ready) {
      this.#stream.push(item);
      this.#timer ??= setTimeout(() => this.#flush(), FRAME_MS);
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stream.length > 0) {
      this.#send({ type: 'stream', items: this.#stream.splice(0) });
    }
  }

  /** The whole session as it is: what waits to be streamed is part of it. */
  #session(): void {
    this.#stream = [];
    if (this.#ready) {
      const session = this.#conversations.active;
      this.#send({ type: 'session', model: session?.model ?? null, activeRun: session?.activeRun ?? null });
      this.#labels();
    }
    this.#badge();
  }

  #state(): void {
    this.#now({ type: 'server', state: this.#server.state, detail: this.#server.detail });
  }

  #chips(): void {
    this.#now({ type: 'chips', chips: this.#attachments.chips() });
  }

  #labels(): void {
    this.#now({ type: 'labels', labels: this.#conversations.labels() });
  }

  #badge(): void {
    const { waiting } = this.#conversations;
    if (this.#view) {
      this.#view.badge = waiting > 0 ? { value: waiting, tooltip: 'The agent asks' } : undefined;
    }
  }

  /** For what `ready` sends anyway: without a page it is not kept. */
  #now(message: ToView): void {
    if (this.#ready) {
      this.post(message);
    }
  }

  #send(message: ToView): void {
    this.#view?.webview.postMessage(message).then(undefined, () => undefined); // the view went away meanwhile
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const each of [...this.#subscriptions, this.#received]) {
      each.dispose();
    }
  }
}
