/** `lsp-agent doctor` of the very server the editor would start, shown as a document. */
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { readConfig } from './config.ts';
import { findServer } from './discovery.ts';
import type { Log } from './log.ts';

const DOCTOR_MS = 60_000;

export async function doctor(log: Log): Promise<void> {
  const config = readConfig();
  const environment = { ...process.env, ...config.environment };
  const program = await findServer({ ...config, chosenPython: undefined, environment });
  const title = `LSP Agent ${vscode.version} (editor), ${vscode.env.remoteName ?? 'local'}`;
  const found = program ? `server: ${program.command} (${program.origin})` : 'server: none found';
  const report = program ? await run(program.command, doctorArgs(program.args), environment) : '';
  log.info(`${title}\n${found}\n${report}`);
  const document = await vscode.workspace.openTextDocument({ content: `${title}\n${found}\n\n${report}` });
  await vscode.window.showTextDocument(document, { preview: true });
}

/** The arguments that lead to `serve`, with `doctor` instead. */
function doctorArgs(args: readonly string[]): string[] {
  const at = args.lastIndexOf('serve');
  return at >= 0 ? [...args.slice(0, at), 'doctor'] : [...args, 'doctor'];
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const cwd = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  return new Promise((resolve) => {
    // a doctor that finds something wrong ends with 1 and has said what: that is no failure of ours
    execFile(command, [...args], { env, timeout: DOCTOR_MS, ...(cwd ? { cwd } : {}) }, (error, stdout, stderr) =>
      resolve(stdout || stderr || String(error?.message ?? '')),
    );
  });
}
