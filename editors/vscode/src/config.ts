/** The settings, typed. What they mean is written in package.json, for people; defaults live there, too. */
import * as vscode from 'vscode';

const SECTION = 'lspAgent';

export type WhenBusy = 'queue' | 'steer' | 'interrupt';

export interface Config {
  /** Program and arguments; empty = look for one. */
  readonly command: readonly string[];
  /** An interpreter that has the package; empty = look for one. */
  readonly python: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Seconds the server goes on without a window; 0 = it ends with the window. */
  readonly keepAliveS: number;
  readonly attachCurrentFile: boolean;
  readonly attachSelection: boolean;
  readonly whenBusy: WhenBusy;
  readonly pushSelection: boolean;
  readonly pushDiagnostics: boolean;
  readonly codeActions: boolean;
  readonly codeLens: boolean;
  readonly follow: boolean;
}

export function readConfig(): Config {
  const settings = vscode.workspace.getConfiguration(SECTION);
  return {
    command: settings.get<string[]>('server.command', []),
    python: settings.get<string>('server.python', ''),
    environment: settings.get<Record<string, string>>('server.environment', {}),
    keepAliveS: settings.get<number>('server.keepAliveSeconds', 30),
    attachCurrentFile: settings.get<boolean>('attachments.currentFile', true),
    attachSelection: settings.get<boolean>('attachments.selection', true),
    whenBusy: settings.get<WhenBusy>('whenBusy', 'queue'),
    pushSelection: settings.get<boolean>('push.selection', true),
    pushDiagnostics: settings.get<boolean>('push.diagnostics', true),
    codeActions: settings.get<boolean>('codeActions', true),
    codeLens: settings.get<boolean>('changes.codeLens', true),
    follow: settings.get<boolean>('follow', false),
  };
}

/** Whether a change needs the server started anew. */
export function affectsServer(event: vscode.ConfigurationChangeEvent): boolean {
  return event.affectsConfiguration(`${SECTION}.server`);
}

export function affectsUs(event: vscode.ConfigurationChangeEvent): boolean {
  return event.affectsConfiguration(SECTION);
}
