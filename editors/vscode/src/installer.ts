/** `Agent: Install Server`, and the offer of it: without a server, and when a newer one than what runs came along. */
import * as vscode from 'vscode';
import type { Server } from './client.ts';
import { readConfig } from './config.ts';
import { DOWNLOAD_MB, INSTALLED_MB, InstallError, install, suitable } from './installing.ts';
import { type Interpreter, interpreters, look } from './interpreters.ts';
import type { Log } from './log.ts';
import { Cancelled } from './processes.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

const COST = `Python 3.11+, about ${DOWNLOAD_MB} MB to fetch and ${INSTALLED_MB} MB on the disk`;
const INSTALL = 'Install';
const CHOOSE = 'Choose Python…';
const NOT_NOW = 'Not now';
const UPDATE = 'Update';
const SHOW_LOG = 'Show Log';
const AGAIN = 'Try Again';

/** Asks once a window: whoever says "not now" still has the command, and the button in the chat. */
export class InstallOffer implements vscode.Disposable {
  readonly #server: Server;
  readonly #log: Log;
  readonly #subscription: vscode.Disposable;
  #hasAsked = false;

  constructor(server: Server, log: Log) {
    this.#server = server;
    this.#log = log;
    this.#subscription = server.onState((state) => {
      if (!this.#hasAsked && (state === 'missing' || (state === 'running' && server.program?.isOutdated))) {
        this.#hasAsked = true;
        this.#offer(state === 'missing').catch((error: unknown) => log.warn(`install: ${String(error)}`));
      }
    });
  }

  async #offer(isMissing: boolean): Promise<void> {
    if (!(await this.#server.bundle())) {
      return; // the chat says what can be done without
    }
    const [question, yes] = isMissing
      ? [`LSP Agent needs its server. Install it for this editor? (${COST})`, INSTALL]
      : [`LSP Agent brings a newer server than the one it has installed. Update it? (${COST})`, UPDATE];
    const answer = await vscode.window.showInformationMessage(question, yes, CHOOSE, NOT_NOW);
    if (answer === yes) {
      await installServer(this.#server, this.#log);
    } else if (answer === CHOOSE) {
      await choosePython(this.#server, this.#log);
    }
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

/** Install the server this extension brings along, and start it. Tells by itself what went wrong. */
export async function installServer(server: Server, log: Log, chosen?: Interpreter): Promise<void> {
  try {
    await make(server, log, chosen);
  } catch (error) {
    if (error instanceof Cancelled) {
      log.info('install: cancelled');
      return;
    }
    await complain(server, log, error, chosen);
    return;
  }
  await server.restart();
  if (server.state === 'running') {
    vscode.window.showInformationMessage('The server of LSP Agent is installed.', 'Open Chat').then((answer) => {
      if (answer) {
        vscode.commands.executeCommand('lspAgent.open');
      }
    });
  }
}

async function make(server: Server, log: Log, chosen: Interpreter | undefined): Promise<void> {
  const bundle = await server.bundle();
  if (!bundle) {
    throw new InstallError(
      'failed',
      'This build of LSP Agent carries no server. Install the Python package lsp-agent yourself, or name a program ' +
        'in lspAgent.server.command.',
    );
  }
  const found = chosen ? [chosen] : await pythons(server);
  const python = suitable(found);
  log.info(`install: ${bundle.id} with ${python.command} (${python.version}, ${python.origin}) into ${server.ownRoot}`);
  const progress = { location: vscode.ProgressLocation.Notification, title: 'LSP Agent', cancellable: true };
  await vscode.window.withProgress(progress, async (shown, token) => {
    const stop = new AbortController();
    token.onCancellationRequested(() => stop.abort());
    const tell = (message: string): void => {
      log.info(`install: ${message}`);
      shown.report({ message });
    };
    await install({
      ...{ root: server.ownRoot, bundle, python, protocol: PROTOCOL_VERSION, environment: server.environment() },
      ...{ signal: stop.signal, tell, log: (line: string) => log.info(`install: ${line}`) },
    });
  });
}

async function complain(server: Server, log: Log, error: unknown, chosen: Interpreter | undefined): Promise<void> {
  const known = error instanceof InstallError ? error : new InstallError('failed', String(error));
  log.error(`install: ${known.message}\n${known.detail}`);
  const needsPython = known.trouble === 'python' || known.trouble === 'venv';
  const actions = needsPython ? [CHOOSE, AGAIN, SHOW_LOG] : [AGAIN, SHOW_LOG];
  const answer = await vscode.window.showErrorMessage(`LSP Agent: ${known.message}`, ...actions);
  if (answer === CHOOSE) {
    await choosePython(server, log);
  } else if (answer === AGAIN) {
    await installServer(server, log, chosen);
  } else if (answer === SHOW_LOG) {
    log.show();
  }
}

/** A Python from a list, or from the disk, then install with it. */
async function choosePython(server: Server, log: Log): Promise<void> {
  const rows = (await pythons(server)).map((python) => ({
    label: `Python ${python.version}`,
    description: python.command,
    detail: python.isNewEnough ? (python.hasVenv ? '' : 'without venv') : 'too old: 3.11 or later is needed',
    python,
  }));
  const browse = { label: 'Browse…', description: '', detail: '', python: undefined };
  const options = { title: 'Install the server with which Python?', placeHolder: 'Python 3.11 or later' };
  const row = await vscode.window.showQuickPick([...rows, browse], options);
  const python = row && (row.python ?? (await browsed(server)));
  if (python) {
    await installServer(server, log, python);
  }
}

async function browsed(server: Server): Promise<Interpreter | undefined> {
  const [file] =
    (await vscode.window.showOpenDialog({ title: 'A Python interpreter', openLabel: 'Install With It' })) ?? [];
  const python = file && (await look(file.fsPath, 'chosen', server.environment()));
  if (file && !python) {
    vscode.window.showErrorMessage(`LSP Agent: ${file.fsPath} is not a Python that runs.`);
  }
  return python;
}

async function pythons(server: Server): Promise<Interpreter[]> {
  const { python } = readConfig();
  return interpreters({ python, chosenPython: await server.chosenPython(), environment: server.environment() });
}
