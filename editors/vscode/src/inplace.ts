/** Editing the selection in place: the wish is typed above the text, and what is asked is answered there, too. */
import * as vscode from 'vscode';
import type { Attachments } from './attachments.ts';
import type { Conversations, Sent } from './conversations.ts';
import { permissionItems } from './pickers.ts';
import type { PermissionRecord } from './protocol.ts';
import type { ChatView } from './view/provider.ts';
import { decisionsOf } from './viewmodel.ts';

export interface Around {
  readonly conversations: Conversations;
  readonly attachments: Attachments;
  readonly view: Pick<ChatView, 'isVisible' | 'post' | 'reveal'>;
}

/** Ask what to change, send it with the selection, and stay in the text until it is done. The chat is not needed. */
export async function editInPlace({ conversations, attachments, view }: Around): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (!editor) {
    return;
  }
  const title = editor.selection.isEmpty ? 'Edit this file' : 'Edit the selection';
  const wish = await vscode.window.showInputBox({ title, prompt: 'What should be changed?' });
  if (!wish?.trim()) {
    return;
  }
  const what = editor.selection.isEmpty ? 'this file' : 'the selected code, and only that';
  const prompt = `Edit ${what}: ${wish}`;
  const sent = await conversations.send(prompt, 'queue', attachments.takeWith(editor)).catch(async (error: unknown) => {
    await view.reveal();
    view.post({ type: 'insert', text: prompt }); // what was typed is not lost
    throw error;
  });
  const shown = { location: vscode.ProgressLocation.Window, title: 'Agent: editing' };
  await vscode.window.withProgress(shown, () => attend(conversations, sent, () => view.isVisible));
}

/** Ask the user here what the session asks, while the chat does not show it, until its run has ended. */
function attend(conversations: Conversations, { sessionId: id, runId }: Sent, isShown: () => boolean): Promise<void> {
  let pick: { readonly requestId: string; readonly close: vscode.CancellationTokenSource } | undefined;
  return new Promise((resolve) => {
    const look = (): void => {
      const session = conversations.sessions.get(id);
      // a run of ours, or of a sub-agent below it
      const asked = session?.activeRun === runId ? decisionsOf(session.model).permissions[0] : undefined;
      if (pick && pick.requestId !== asked?.requestId) {
        pick.close.cancel();
        pick = undefined;
      }
      if (asked && !pick && !isShown()) {
        pick = { requestId: asked.requestId, close: new vscode.CancellationTokenSource() };
        // dismissed: it stays open in the chat and in the status bar
        answer(conversations, asked, pick.close.token).then(undefined, () => undefined);
      }
    };
    const isOver = (): boolean => {
      const { model } = conversations.sessions.get(id) ?? {};
      return !model || model.completes.some((complete) => complete.runId === runId);
    };
    const check = (): void => {
      look();
      if (isOver()) {
        subscriptions.forEach((each) => {
          each.dispose();
        });
        resolve();
      }
    };
    const subscriptions = [
      conversations.onEffects(({ session }) => session.model.sessionId === id && check()),
      conversations.onReplaced(check),
    ];
    check();
  });
}

async function answer(
  conversations: Conversations,
  asked: PermissionRecord,
  token: vscode.CancellationToken,
): Promise<void> {
  const shown = { title: asked.title, placeHolder: asked.description ?? 'May the agent do this?' };
  const chosen = await vscode.window.showQuickPick(permissionItems(asked), shown, token);
  if (chosen) {
    await conversations.permit(asked.requestId, chosen.id);
  }
}
