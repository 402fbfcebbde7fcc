/** Following the agent: the file it looks at or changes is shown, without taking the focus. Off unless chosen. */
import * as vscode from 'vscode';
import { readConfig } from './config.ts';
import type { Conversations } from './conversations.ts';
import type { EventParams } from './protocol.ts';

type Fields = { readonly [key: string]: unknown };

export class Following implements vscode.Disposable {
  readonly #conversations: Conversations;
  readonly #subscription: vscode.Disposable;
  /** Where we are going, one at a time: only the last place counts. */
  #going: Promise<void> | undefined;
  #next: Fields | undefined;

  constructor(conversations: Conversations) {
    this.#conversations = conversations;
    this.#subscription = conversations.onEvent((event) => this.#event(event));
  }

  #event({ sessionId, update }: EventParams): void {
    const fields = update as unknown as Fields;
    const place = (fields['locations'] as Fields[] | null | undefined)?.[0];
    const isActive = sessionId === this.#conversations.active?.model.sessionId;
    if (isActive && place && fields['sessionUpdate'] === 'tool_call_update' && readConfig().follow) {
      this.#next = place;
      this.#going ??= this.#go().finally(() => {
        this.#going = undefined;
      });
    }
  }

  async #go(): Promise<void> {
    while (this.#next) {
      const { uri, line } = this.#next;
      this.#next = undefined;
      const at = new vscode.Position(typeof line === 'number' ? line : 0, 0);
      const options = { preview: true, preserveFocus: true, selection: new vscode.Range(at, at) };
      // a place that cannot be shown (deleted, binary) is passed over
      await vscode.window.showTextDocument(vscode.Uri.parse(String(uri)), options).then(undefined, () => undefined);
    }
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

export async function toggleFollowing(): Promise<void> {
  const follow = !readConfig().follow;
  const settings = vscode.workspace.getConfiguration('lspAgent');
  // where it is set, else what the user sees would not change
  const isOfWorkspace = settings.inspect('follow')?.workspaceValue !== undefined;
  const { Global, Workspace } = vscode.ConfigurationTarget;
  await settings.update('follow', follow, isOfWorkspace ? Workspace : Global);
  vscode.window.setStatusBarMessage(follow ? 'Agent: following' : 'Agent: not following any more', 4000);
}
