/** The output channel "LSP Agent", and how an unknown failure becomes one line. */
import * as vscode from 'vscode';

export type Log = vscode.LogOutputChannel;

export function createLog(): Log {
  return vscode.window.createOutputChannel('LSP Agent', { log: true });
}

/** One line for people: the message of an error, or the value as text. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
