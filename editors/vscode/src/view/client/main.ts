/** The chat view's page: takes the extension's messages, folds the stream, and tells the parts what changed. */
import { type Effect, Session } from '../../session.ts';
import { decisionsOf } from '../../viewmodel.ts';
import type { Labels, Streamed, ToView } from '../messages.ts';
import { Composer } from './composer.ts';
import { Dock } from './dock.ts';
import { byId, el, icon, send } from './dom.ts';
import { meterOf } from './meter.ts';
import { SessionList } from './sessionlist.ts';
import { Transcript } from './transcript.ts';

class Page {
  readonly #transcript = new Transcript();
  readonly #composer = new Composer();
  readonly #dock = new Dock((text) => this.#composer.insert(text));
  readonly #sessions = new SessionList();
  readonly #head = byId('head');
  #session: Session | undefined;
  #server = { state: 'starting', detail: '' };
  #labels: Labels = { model: '', modelId: '', mode: '', contextWindow: 0 };

  take(message: ToView): void {
    switch (message.type) {
      case 'session':
        return this.#show(message.model ? new Session(message.model, message.activeRun ?? undefined) : undefined);
      case 'stream':
        return this.#stream(message.items);
      case 'server':
        this.#server = message;
        return this.#drawHead();
      case 'chips':
        return this.#composer.chips(message.chips);
      case 'labels':
        this.#labels = message.labels;
        this.#drawHead();
        return this.#composer.labels(message.labels);
      case 'completed':
        return this.#composer.completed(message);
      case 'sessions':
        return this.#sessions.show(message.query, message.sessions, message.active);
      case 'banner':
        return this.#dock.banner(message);
      case 'insert':
        return this.#composer.insert(message.text);
      case 'queueText':
        return this.#dock.editQueued(message.messageId, message.text);
      case 'focus':
        return this.#focus(message.what);
      case 'answered':
        this.#composer.answered(message.text, message.isAccepted);
        if (message.isAccepted) {
          this.#transcript.toEnd();
        }
        return;
    }
  }

  #focus(what: 'input' | 'permission' | 'sessions'): void {
    if (what === 'sessions') {
      this.#sessions.open();
    } else if (what === 'permission' && this.#isAsked()) {
      this.#dock.focusAsked();
    } else {
      this.#composer.focus();
    }
  }

  #isAsked(): boolean {
    const decisions = this.#session && decisionsOf(this.#session.model);
    return (decisions?.permissions.length ?? 0) + (decisions?.questions.length ?? 0) > 0;
  }

  #show(session: Session | undefined): void {
    if (session?.model.sessionId !== this.#session?.model.sessionId) {
      this.#dock.clear();
    }
    this.#session = session;
    this.#transcript.show(session);
    this.#drawAround();
  }

  #stream(items: readonly Streamed[]): void {
    const effects: Effect[] = [];
    for (const item of items) {
      const more = item.method === 'event' ? this.#session?.apply(item.params) : this.#session?.complete(item.params);
      effects.push(...(more ?? []));
    }
    this.#transcript.touch(effects);
    for (const effect of effects) {
      if (effect.op === 'notice') {
        this.#dock.notice(effect.notice);
      } else if (effect.op === 'compaction') {
        this.#dock.banner({ level: 'info', text: `Summary of the conversation: ${effect.status}` });
      } else if (effect.op === 'complete' && effect.complete.error && !this.#hasSaidItsEnd()) {
        const { title, message } = effect.complete.error;
        this.#dock.banner({ level: 'error', text: `${title}: ${message}` });
      } else if (effect.op === 'complete' && effect.complete.stopReason === 'interrupted') {
        this.#dock.banner({
          level: 'warning',
          text: 'The server ended while it was working; the rest of this answer is missing.',
        });
      }
    }
    if (effects.some(({ op }) => op !== 'text' && op !== 'thought')) {
      this.#drawAround();
    }
  }

  /** The last message tells of the error itself. */
  #hasSaidItsEnd(): boolean {
    return this.#session?.model.messages.at(-1)?.finish?.reason === 'error';
  }

  #drawAround(): void {
    this.#dock.draw(this.#session?.model);
    this.#composer.state(this.#session);
    this.#composer.labels(this.#labels);
    this.#drawHead();
  }

  #drawHead(): void {
    const { state, detail } = this.#server;
    const model = this.#session?.model;
    this.#head.dataset['state'] = model?.state ?? 'idle';
    this.#head.dataset['server'] = state;
    if (state !== 'running') {
      this.#head.replaceChildren(...serverLine(state, detail));
      return;
    }
    const working = model?.state === 'running' ? icon('loading', 'codicon-modifier-spin') : undefined;
    const asks = model?.state === 'requires_action' ? icon('bell-dot') : undefined;
    const title = el('span', { class: 'title' }, model?.title || 'New session');
    this.#head.replaceChildren(
      ...[working ?? asks ?? icon('comment-discussion'), title],
      meterOf(model?.usage, this.#labels.contextWindow),
    );
  }
}

function serverLine(state: string, detail: string): Node[] {
  const action = (label: string, command: 'trust' | 'settings' | 'restart' | 'install' | 'log'): HTMLElement =>
    el('button', { class: 'link', type: 'button', click: () => send({ type: 'command', command }) }, label);
  const said: Readonly<Record<string, string>> = {
    starting: 'The agent is starting…',
    stopped: 'The agent is not running.',
    untrusted: 'Not started',
    missing: 'No server found',
    failed: 'The agent could not start',
  };
  const actions: Readonly<Record<string, HTMLElement[]>> = {
    untrusted: [action('Manage trust', 'trust')],
    missing: [action('Install', 'install'), action('Settings', 'settings'), action('Try again', 'restart')],
    failed: [action('Log', 'log'), action('Try again', 'restart')],
    stopped: [action('Start', 'restart')],
  };
  const sign = state === 'starting' ? icon('loading', 'codicon-modifier-spin') : icon('warning');
  const text = [said[state] ?? state, detail].filter(Boolean).join(': ');
  return [sign, el('span', { class: 'title' }, text), ...(actions[state] ?? [])];
}

const view = new Page();
window.addEventListener('message', (event: MessageEvent<ToView>) => view.take(event.data));
send({ type: 'ready' });
