/** The state of files and conversation before each run, to go back to. Going back is a state, too: it can be undone. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import type { Conversations } from './conversations.ts';
import type { Checkpoint, CheckpointRestoreResult } from './protocol.ts';

const WHAT = [
  { label: 'Files and conversation', files: true, conversation: true },
  { label: 'Files only', files: true, conversation: false },
  { label: 'Conversation only', files: false, conversation: true },
] as const;
const UNDO = 'Undo';

/** Choose a checkpoint of the session that is shown, and what of it to bring back. */
export async function pickCheckpoint(server: Server, conversations: Conversations): Promise<void> {
  const sessionId = conversations.active?.model.sessionId;
  if (sessionId === undefined || !server.abilities.checkpoints) {
    vscode.window.showInformationMessage('There are no checkpoints.');
    return;
  }
  const { checkpoints } = await server.call('agent/checkpoint/list', { sessionId });
  const items = checkpoints.map((checkpoint) => ({
    label: checkpoint.title || 'Checkpoint',
    description: new Date(checkpoint.createdAt).toLocaleString(),
    checkpoint,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Go back to the state before…' });
  const what = chosen && (await vscode.window.showQuickPick(WHAT, { title: 'What is brought back?' }));
  if (chosen && what) {
    await restore(server, chosen.checkpoint, what);
  }
}

async function restore(
  server: Server,
  { checkpointId }: Pick<Checkpoint, 'checkpointId'>,
  { files, conversation }: { readonly files: boolean; readonly conversation: boolean },
): Promise<void> {
  const asked = { checkpointId, files, conversation };
  const trial = await server.call('agent/checkpoint/restore', { ...asked, dryRun: true });
  if (trial.conflicts.length > 0 && !(await confirm(trial))) {
    return;
  }
  const { undoCheckpointId } = await server.call('agent/checkpoint/restore', asked);
  if (undoCheckpointId) {
    // not waited for: the message may stay for as long as the user likes
    vscode.window.showInformationMessage('Brought back.', UNDO).then(
      async (answer) => {
        if (answer === UNDO) {
          await restore(server, { checkpointId: undoCheckpointId }, { files, conversation });
        }
      },
      () => undefined,
    );
  }
}

/** What was changed since by somebody else stays; the user decides whether the rest is brought back. */
async function confirm({ conflicts }: CheckpointRestoreResult): Promise<boolean> {
  const reasons = (conflicts as { reason?: string; uri?: string }[]).map(
    ({ reason, uri }) => `${uri ? vscode.workspace.asRelativePath(vscode.Uri.parse(uri)) : ''}: ${reason ?? ''}`,
  );
  const detail = [...new Set(reasons)].slice(0, 10).join('\n');
  const message = `${conflicts.length} changes cannot be taken back and would stay.`;
  return (await vscode.window.showWarningMessage(message, { modal: true, detail }, 'Go on')) === 'Go on';
}
