/** `lsp-agent doctor` of the very server the editor would start, shown as a document. */
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import type { Log } from './log.ts';

const DOCTOR_MS = 60_000;

export async function doctor(server: Server, log: Log): Promise<void> {
  const environment = server.environment();
  const program = await server.find();
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
