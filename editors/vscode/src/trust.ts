/**
 * Whether the agent may obey what a folder says and run what it names (PROTOCOL 7, `agent/trust`).
 *
 * The editor's own workspace trust comes first: without it the agent is not even started. That it is given says nothing
 * of the agent, so it is never taken for an answer: the user decides once more, with the files in view.
 */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import { type Log, reason } from './log.ts';
import type { TrustResult } from './protocol.ts';
import { FOLDER_TRUST } from './view/messages.ts';
import type { ChatView } from './view/provider.ts';

export class FolderTrust implements vscode.Disposable {
  readonly #server: Server;
  readonly #view: ChatView;
  readonly #log: Log;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onChange = this.#changed.event;
  readonly #subscription: vscode.Disposable;
  /** By root, what is known. */
  #known: readonly TrustResult[] = [];

  constructor(server: Server, view: ChatView, log: Log) {
    this.#server = server;
    this.#view = view;
    this.#log = log;
    this.#subscription = server.onState((state) => {
      if (state === 'running') {
        // a server that knows no trust says so here, and nothing is shown
        this.#look(true).catch((error: unknown) => log.debug(`trust: ${reason(error)}`));
      } else {
        this.#set([]);
      }
    });
  }

  /** For the status bar; empty when there is nothing to tell. */
  get status(): string {
    const untrusted = this.#known.filter(({ trusted, files = [] }) => !trusted && files.length > 0);
    if (this.#known.length === 0) {
      return '';
    }
    return untrusted.length > 0 ? 'Its rules and hooks are not obeyed: folder not trusted' : 'Folder trusted';
  }

  /** Let the user see what trusting admits, and decide. */
  async choose(): Promise<void> {
    if (!vscode.workspace.isTrusted) {
      await vscode.commands.executeCommand('workbench.trust.manage');
      return;
    }
    await this.#look(false);
    const folder = await this.#folder();
    if (!folder) {
      return;
    }
    const items = itemsOf(folder);
    const title = `${folder.trusted ? 'Trusted' : 'Not trusted'} for the agent: ${nameOf(folder.root)}`;
    const chosen = await vscode.window.showQuickPick(items, { title, placeHolder: 'Look at a file, or decide' });
    if (chosen?.uri) {
      await vscode.window.showTextDocument(vscode.Uri.parse(chosen.uri));
    } else if (chosen) {
      await this.#server.call('agent/trust/set', { root: folder.root, trusted: !folder.trusted });
      await this.#look(false);
    }
  }

  async #folder(): Promise<TrustResult | undefined> {
    if (this.#known.length < 2) {
      return this.#known[0];
    }
    const items = this.#known.map((found) => ({ label: nameOf(found.root), found }));
    return (await vscode.window.showQuickPick(items, { title: 'Which folder?' }))?.found;
  }

  async #look(tell: boolean): Promise<void> {
    const folders = vscode.workspace.workspaceFolders ?? [];
    const roots = folders.filter(({ uri }) => uri.scheme === 'file').map(({ uri }) => uri.toString());
    this.#set(await Promise.all(roots.map((root) => this.#server.call('agent/trust/get', { root }))));
    const first = this.#known.find(({ trusted, files = [] }) => !trusted && files.length > 0);
    if (tell && first) {
      const count = first.files?.length ?? 0;
      const said = first.changed?.length && first.changed.length < count ? 'has changed' : 'is not trusted';
      const files = count === 1 ? '1 file' : `${count} files`;
      const text = `This folder ${said}: ${files} with rules, hooks or servers for the agent are not used.`;
      const action = { label: 'Look and decide', command: 'trustFolder' as const };
      this.#view.post({ type: 'banner', level: 'info', text, action, topic: FOLDER_TRUST });
      this.#log.info(text);
    }
    if (!first) {
      this.#view.post({ type: 'banner', level: 'info', text: '', topic: FOLDER_TRUST });
    }
  }

  #set(known: readonly TrustResult[]): void {
    this.#known = known;
    this.#changed.fire();
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }
}

type Item = vscode.QuickPickItem & { readonly uri?: string };

function itemsOf({ trusted, files = [], changed = [], hidden = [], complete = true }: TrustResult): Item[] {
  const decide: Item = trusted
    ? { label: '$(shield) Do not trust this folder any more' }
    : {
        label: '$(workspace-trusted) Trust this folder for the agent',
        detail: 'It obeys and may run what these files say.',
      };
  const rows = files.map((uri): Item => {
    const notes = [
      hidden.includes(uri) ? 'has characters nobody can see' : '',
      changed.includes(uri) ? 'new or changed' : '',
    ];
    const description = notes.filter(Boolean).join(', ');
    return { label: `$(file) ${vscode.workspace.asRelativePath(vscode.Uri.parse(uri))}`, description, uri };
  });
  const rest: Item[] = complete
    ? []
    : [{ label: 'There is more than was looked at', kind: vscode.QuickPickItemKind.Separator }];
  return [decide, { label: 'What is admitted', kind: vscode.QuickPickItemKind.Separator }, ...rows, ...rest];
}

function nameOf(root: string): string {
  return vscode.workspace.getWorkspaceFolder(vscode.Uri.parse(root))?.name ?? root;
}
