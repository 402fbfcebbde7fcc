/** The connection to the server: which one, how it is started, and restarts (one running, at most one waiting). */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import {
  type ClientCapabilities,
  type Executable,
  type FeatureState,
  LanguageClient,
  type LanguageClientOptions,
  type ServerCapabilities,
  type ServerOptions,
  State,
  type StaticFeature,
} from 'vscode-languageclient/node';
import { readConfig } from './config.ts';
import { findServer, type Program } from './discovery.ts';
import { EDITOR_LSP_METHODS } from './editorlsp.ts';
import { type Bundle, bundleIn } from './installed.ts';
import { canKeep, endServer, type Keeping, reach } from './keeping.ts';
import { type Log, reason } from './log.ts';
import { type ClientNotifications, type ClientRequests, PROTOCOL_VERSION } from './protocol.ts';

export type ServerState = 'stopped' | 'starting' | 'running' | 'untrusted' | 'missing' | 'failed';

export interface Abilities {
  readonly hunks: boolean;
  readonly checkpoints: boolean;
}

const STOP_MS = 6_000;

export class Server implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<ServerState>();
  readonly #made = new vscode.EventEmitter<LanguageClient>();
  /** Fires whenever `state` changes. */
  readonly onState = this.#changed.event;
  /** Fires for every new client, before it starts: the moment to register handlers. */
  readonly onClient = this.#made.event;
  state: ServerState = 'stopped';
  /** What `state` is about, for people. */
  detail = '';
  /** What was started last; undefined when nothing was found. */
  program: Program | undefined;
  #client: LanguageClient | undefined;
  #keeping: Keeping | undefined;
  #running: Promise<void> | undefined;
  #again = false;

  readonly #context: vscode.ExtensionContext;
  readonly #log: Log;

  constructor(context: vscode.ExtensionContext, log: Log) {
    this.#context = context;
    this.#log = log;
  }

  get client(): LanguageClient | undefined {
    return this.#client;
  }

  /** Where `Agent: Install Server` puts environments. */
  get ownRoot(): string {
    return join(this.#context.globalStorageUri.fsPath, 'server');
  }

  /** The server this extension brings along; undefined when it was packaged without. */
  bundle(): Promise<Bundle | undefined> {
    return bundleIn(this.#context.asAbsolutePath('server'));
  }

  /** What a server, and what installs one, is started with. */
  environment(): NodeJS.ProcessEnv {
    return { ...process.env, ...readConfig().environment };
  }

  /** Which program would be started now. */
  async find(): Promise<Program | undefined> {
    const own = { root: this.ownRoot, bundle: await this.bundle(), protocol: PROTOCOL_VERSION };
    const { command, python } = readConfig();
    const chosen = await this.chosenPython();
    return findServer({ command, python, own, chosenPython: chosen, environment: this.environment() });
  }

  /** What the Python extension would run, when it is there. */
  async chosenPython(): Promise<string | undefined> {
    const extension = vscode.extensions.getExtension<{
      environments?: { getActiveEnvironmentPath(): { path: string } };
    }>('ms-python.python');
    if (!vscode.workspace.isTrusted) {
      return undefined; // it may lie in the workspace
    }
    try {
      const api = extension?.isActive ? extension.exports : await extension?.activate();
      return api?.environments?.getActiveEnvironmentPath().path;
    } catch {
      return undefined;
    }
  }

  /** What the server said it can do beyond the ground (PROTOCOL 2). */
  get abilities(): Abilities {
    const { experimental } = this.#client?.initializeResult?.capabilities ?? {};
    const agent = (experimental as { agent?: { changes?: { hunk?: boolean }; checkpoint?: object } } | undefined)
      ?.agent;
    return { hunks: agent?.changes?.hunk === true, checkpoints: agent?.checkpoint !== undefined };
  }

  /** Ask the server. Rejects when there is none, and with the server's own error. */
  async call<M extends keyof ClientRequests>(
    method: M,
    params: ClientRequests[M]['params'],
  ): Promise<ClientRequests[M]['result']> {
    if (!this.#client || this.state !== 'running') {
      throw notRunning();
    }
    return this.#client.sendRequest<ClientRequests[M]['result']>(method, params);
  }

  /** Wait until it runs (`anew`: until it was started once more). Rejects when it will not, or not in time. */
  ready(waitMs: number, anew = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (state: ServerState): void => {
        if (state === 'running') {
          end(resolve);
        } else if (state !== 'starting' && state !== 'stopped') {
          end(() => reject(notRunning()));
        }
      };
      const timer = setTimeout(() => end(() => reject(notRunning())), waitMs);
      const subscription = this.onState(look);
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        subscription.dispose();
        settle();
      };
      if (!anew) {
        look(this.state);
      }
    });
  }

  /** Tell the server. Does nothing when there is none. */
  tell<M extends keyof ClientNotifications>(method: M, params: ClientNotifications[M]['params']): void {
    if (this.#client && this.state === 'running') {
      this.#client.sendNotification(method, params).catch((error: unknown) => this.#log.debug(reason(error)));
    }
  }

  /** Start, or start anew. While one restart runs, any number of further calls become one more. */
  restart(endRunning = true): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#restart(endRunning).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #restart(endRunning: boolean): Promise<void> {
    let end = endRunning;
    do {
      this.#again = false;
      await this.stop();
      if (end && this.#keeping) {
        await endServer(this.#keeping);
      }
      await this.#start();
      end = true;
    } while (this.#again);
  }

  /** Leave the server; a kept one goes on for a while. */
  async stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client) {
      await client.dispose(STOP_MS).catch((error: unknown) => this.#log.debug(`stop: ${reason(error)}`));
    }
    this.#set('stopped');
  }

  async #start(): Promise<void> {
    if (!vscode.workspace.isTrusted) {
      this.#set('untrusted', 'This workspace is not trusted, so the agent is not started in it.');
      return;
    }
    this.#set('starting');
    const config = readConfig();
    const environment = this.environment();
    const program = await this.find();
    this.program = program;
    if (!program) {
      this.#set('missing', await this.#wayOut(config.python));
      return;
    }
    this.#log.info(`server: ${[program.command, ...program.args].join(' ')} (${program.origin})`);
    const client = this.#makeClient(program, environment, config.keepAliveS);
    this.#client = client;
    this.#made.fire(client);
    client.onDidChangeState(({ newState }) => this.#follow(client, newState));
    try {
      await client.start();
    } catch (error) {
      this.#set('failed', reason(error));
      this.#log.error(`the server did not start: ${reason(error)}`);
    }
  }

  async #wayOut(python: string): Promise<string> {
    if (python) {
      return `${python} (lspAgent.server.python) does not have the package lsp_agent`;
    }
    return (await this.bundle()) ? '' : 'install the Python package lsp-agent, or set lspAgent.server.command';
  }

  #follow(client: LanguageClient, state: State): void {
    if (client === this.#client) {
      this.#set(state === State.Running ? 'running' : state === State.Starting ? 'starting' : 'stopped');
    }
  }

  #set(state: ServerState, detail = ''): void {
    this.state = state;
    this.detail = detail;
    this.#changed.fire(state);
  }

  #makeClient(program: Program, environment: NodeJS.ProcessEnv, graceS: number): LanguageClient {
    const options: LanguageClientOptions = {
      documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }],
      outputChannel: this.#log,
    };
    const client = new LanguageClient(
      'lspAgent',
      'LSP Agent',
      this.#serverOptions(program, environment, graceS),
      options,
    );
    client.registerFeature(new AgentBlock(this.#clientId(), String(this.#context.extension.packageJSON.version)));
    return client;
  }

  #serverOptions(program: Program, environment: NodeJS.ProcessEnv, graceS: number): ServerOptions {
    if (!canKeep() || graceS <= 0) {
      this.#keeping = undefined;
      const executable: Executable = {
        command: program.command,
        args: [...program.args],
        options: { env: environment },
      };
      return executable;
    }
    mkdirSync(this.#context.logUri.fsPath, { recursive: true });
    const keeping: Keeping = {
      script: this.#context.asAbsolutePath('dist/keeper.cjs'),
      program,
      graceS,
      environment,
      folders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.toString()),
      logFile: join(this.#context.logUri.fsPath, 'server.log'),
    };
    this.#keeping = keeping;
    return async () => {
      const socket = await reach(keeping);
      return { reader: socket, writer: socket };
    };
  }

  #clientId(): string {
    const known = this.#context.globalState.get<string>('clientId');
    const id = known ?? crypto.randomUUID();
    if (!known) {
      this.#context.globalState
        .update('clientId', id)
        .then(undefined, (error: unknown) => this.#log.warn(reason(error)));
    }
    return id;
  }

  dispose(): void {
    this.#changed.dispose();
    this.#made.dispose();
  }
}

function notRunning(): Error {
  return new Error('the agent is not running');
}

/** The client's `agent` block (PROTOCOL 2). */
class AgentBlock implements StaticFeature {
  readonly #id: string;
  readonly #version: string;

  constructor(id: string, version: string) {
    this.#id = id;
    this.#version = version;
  }

  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const config = readConfig();
    capabilities.experimental = {
      ...(capabilities.experimental as object | undefined),
      agent: {
        protocolVersions: [PROTOCOL_VERSION],
        client: { id: this.#id, name: 'lsp-agent.vscode', version: this.#version },
        events: { enabled: true, optOut: ['tool_input_chunk'] },
        ui: { permission: 'event', question: 'event' },
        editor: {
          lsp: EDITOR_LSP_METHODS,
          diagnostics: config.pushDiagnostics ? 'push' : 'none',
          selection: config.pushSelection,
        },
      },
    };
  }

  /** What the server offers to editors without a plugin stays unused: its commands have names of ours. */
  preInitialize(capabilities: ServerCapabilities): void {
    delete capabilities.executeCommandProvider;
    delete capabilities.codeActionProvider;
    delete capabilities.completionProvider;
  }

  initialize(): void {
    // nothing of the server's side is needed
  }

  getState(): FeatureState {
    return { kind: 'static' };
  }

  clear(): void {
    // no state
  }
}
