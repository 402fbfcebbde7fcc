/** Commands typed as `/name arguments` that are about the session: done here. All others are prompts. */

import { pickMcp, pickRules } from './catalogs.ts';
import type { Chat, Parts } from './chat.ts';
import type { CommandEntry } from './protocol.ts';

const CALLED = /^\s*\/([\w:.-]+)(?:\s+([\s\S]*))?$/;

/** The command of ours a prompt calls; undefined for everything that is for the model. */
export async function called(parts: Parts, prompt: string): Promise<{ entry: CommandEntry; rest: string } | undefined> {
  const [, name, rest = ''] = CALLED.exec(prompt) ?? [];
  if (name === undefined) {
    return undefined;
  }
  const { commands } = await parts.server.call('agent/commands/list', {});
  const entry = commands.find((command) => command.name === name);
  return entry?.action ? { entry, rest: rest.trim() } : undefined;
}

/** Do what the command says. Rejects for one this version does not know. */
export async function perform(
  chat: Chat,
  parts: Parts,
  { entry, rest }: { entry: CommandEntry; rest: string },
): Promise<void> {
  const { conversations, server, changes } = parts;
  switch (entry.name) {
    case 'new':
      return chat.newSession();
    case 'compact':
      return chat.compact();
    case 'sessions':
      return parts.view.reveal('sessions');
    case 'stop':
      return conversations.stop();
    case 'undo':
      return changes.undoRun();
    case 'mcp':
      return pickMcp(server);
    case 'rules':
      return pickRules(server);
    case 'model':
      return rest ? conversations.configure('model.large', rest) : chat.command('model');
    case 'mode':
      return rest ? conversations.configure('mode', rest) : chat.command('mode');
    case 'fork':
    case 'export':
    case 'rename':
      return chat.active(entry.name);
    default:
      throw new Error(`/${entry.name} cannot be done in this editor`);
  }
}
