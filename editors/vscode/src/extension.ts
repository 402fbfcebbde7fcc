/** The extension's two ends. */
import * as vscode from 'vscode';
import type { Parts } from './chat.ts';
import { Ctx } from './ctx.ts';

let ctx: Ctx | undefined;

/** The parts are given to tests inside the extension host and to nobody else: they can answer permissions. */
export async function activate(context: vscode.ExtensionContext): Promise<Parts | undefined> {
  ctx = new Ctx(context);
  await ctx.start();
  return context.extensionMode === vscode.ExtensionMode.Test ? ctx.parts : undefined;
}

export async function deactivate(): Promise<void> {
  await ctx?.stop();
  ctx = undefined;
}
