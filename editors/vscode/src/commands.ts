/** The commands and code actions of the editor. Every one is a few lines: the work is elsewhere. */
import * as vscode from 'vscode';
import { pickMcp, pickRules } from './catalogs.ts';
import type { Chat, Parts } from './chat.ts';
import { pickCheckpoint } from './checkpoints.ts';
import { readConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { toggleFollowing } from './following.ts';
import { editInPlace } from './inplace.ts';
import { installServer } from './installer.ts';
import { reason } from './log.ts';
import { pickMode, pickModel, pickPermission } from './pickers.ts';

type Command = (...args: never[]) => unknown;

export function registerCommands(parts: Parts, chat: Chat): vscode.Disposable[] {
  const { server, conversations, attachments, changes, view, log } = parts;
  const commands: Record<string, Command> = {
    'lspAgent.open': () => view.reveal(),
    'lspAgent.newSession': () => chat.newSession(),
    'lspAgent.showSessions': () => view.reveal('sessions'),
    'lspAgent.askAbout': (uri?: vscode.Uri) => askAbout(parts, uri),
    'lspAgent.explain': () => chat.ask('Explain this code.', attachments.editor),
    'lspAgent.writeTests': () => chat.ask('Write tests for this code.', attachments.editor),
    'lspAgent.editSelection': () => editInPlace(parts),
    'lspAgent.fix': (uri?: vscode.Uri, range?: vscode.Range) => fix(parts, chat, uri, range),
    'lspAgent.stopRun': () => conversations.stop(),
    'lspAgent.answerPermission': () => pickPermission(conversations, () => view.reveal('permission')),
    'lspAgent.focusPermission': () => view.reveal('permission'),
    'lspAgent.pickModel': () => pickModel(conversations),
    'lspAgent.pickMode': () => pickMode(conversations),
    'lspAgent.compact': () => chat.compact(),
    'lspAgent.reviewChanges': () => changes.review(),
    'lspAgent.reviewRun': () => changes.review('run'),
    'lspAgent.keepAll': () => changes.all('accept'),
    'lspAgent.undoAll': () => changes.all('reject'),
    'lspAgent.undoRun': () => changes.undoRun(),
    'lspAgent.redo': () => changes.redo(),
    'lspAgent.hunk.next': () => changes.go(1),
    'lspAgent.hunk.previous': () => changes.go(-1),
    'lspAgent.checkpoints': () => pickCheckpoint(server, conversations),
    'lspAgent.trustFolder': () => parts.trust.choose(),
    'lspAgent.mcp': () => pickMcp(server),
    'lspAgent.rules': () => pickRules(server),
    'lspAgent.follow': () => toggleFollowing(),
    'lspAgent.hunk.keep': (hunkId?: string) => onHunk(parts, hunkId, (id) => changes.keep(id)),
    'lspAgent.hunk.undo': (hunkId?: string) => onHunk(parts, hunkId, (id) => changes.undo(id)),
    'lspAgent.hunk.diff': (hunkId?: string) => onHunk(parts, hunkId, (id) => changes.diffOfHunk(id)),
    'lspAgent.attachFile': (uri?: vscode.Uri) => uri && attachments.addFile(uri),
    'lspAgent.restart': () => server.restart(),
    'lspAgent.showLog': () => log.show(),
    'lspAgent.doctor': () => doctor(server, log),
    'lspAgent.installServer': () => installServer(server, log),
    'lspAgent.renameSession': () => chat.active('rename'),
    'lspAgent.forkSession': () => chat.active('fork'),
    'lspAgent.exportSession': () => chat.active('export'),
  };
  const guarded = Object.entries(commands).map(([name, run]) =>
    vscode.commands.registerCommand(name, async (...args: never[]) => {
      try {
        return await run(...args);
      } catch (error) {
        log.warn(`${name}: ${reason(error)}`);
        vscode.window.showErrorMessage(`Agent: ${reason(error)}`);
        return undefined;
      }
    }),
  );
  return [...guarded, vscode.languages.registerCodeActionsProvider({ scheme: '*' }, new AgentActions())];
}

/** Attach what the command was called on, and let the user type the question. */
async function askAbout({ attachments, view }: Parts, uri: vscode.Uri | undefined): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (uri && uri.toString() !== editor?.document.uri.toString()) {
    attachments.addFile(uri);
  } else if (editor) {
    attachments.addSelection(editor);
  }
  await view.reveal();
}

async function fix(parts: Parts, chat: Chat, uri?: vscode.Uri, range?: vscode.Range): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const target = uri ?? editor?.document.uri;
  if (!target) {
    return;
  }
  const where = range ?? editor?.selection;
  const problems = vscode.languages
    .getDiagnostics(target)
    .filter((problem) => !where || where.isEmpty || problem.range.intersection(where));
  parts.attachments.addProblems(target);
  const texts = problems.slice(0, 10).map(({ message, range: { start } }) => `- line ${start.line + 1}: ${message}`);
  await chat.ask(texts.length > 0 ? `Fix these problems:\n${texts.join('\n')}` : 'Fix the problems of this file.');
}

async function onHunk(
  { changes }: Parts,
  hunkId: string | undefined,
  act: (id: string) => Promise<void>,
): Promise<void> {
  const id = hunkId ?? changes.atCursor();
  if (id !== undefined) {
    await act(id);
  }
}

class AgentActions implements vscode.CodeActionProvider {
  provideCodeActions(
    document: vscode.TextDocument,
    range: vscode.Range,
    context: vscode.CodeActionContext,
  ): vscode.CodeAction[] {
    if (!readConfig().codeActions || !['file', 'untitled'].includes(document.uri.scheme)) {
      return [];
    }
    const actions: vscode.CodeAction[] = [];
    if (context.diagnostics.length > 0) {
      const action = action_('Agent: fix this problem', vscode.CodeActionKind.QuickFix, 'lspAgent.fix', [
        document.uri,
        range,
      ]);
      action.diagnostics = [...context.diagnostics];
      actions.push(action);
    }
    if (!range.isEmpty) {
      const rewrite = vscode.CodeActionKind.RefactorRewrite;
      actions.push(
        action_('Agent: ask about the selection…', vscode.CodeActionKind.Refactor.append('ask'), 'lspAgent.askAbout'),
        action_('Agent: edit the selection…', rewrite, 'lspAgent.editSelection'),
        action_('Agent: explain', vscode.CodeActionKind.Refactor.append('explain'), 'lspAgent.explain'),
        action_('Agent: write tests', rewrite, 'lspAgent.writeTests'),
      );
    }
    return actions;
  }
}

function action_(title: string, kind: vscode.CodeActionKind, command: string, args: unknown[] = []): vscode.CodeAction {
  const action = new vscode.CodeAction(title, kind);
  action.command = { title, command, arguments: args };
  return action;
}
