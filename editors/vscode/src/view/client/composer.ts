/** The prompt: chips, text, what is chosen, and the meter. Keeps its draft when the view is hidden. */
import type { Session } from '../../session.ts';
import type { Chip, Labels } from '../messages.ts';
import { nameOfMode } from '../modes.ts';
import { Completion, ICONS } from './completion.ts';
import { byId, el, host, icon, iconButton, send } from './dom.ts';

const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
const MAX_TEXT_BYTES = 1024 * 1024;

export class Composer {
  readonly #chips = el('div', { class: 'chips', 'aria-label': 'Attached' });
  readonly #input = el('textarea', {
    id: 'prompt',
    rows: '1',
    placeholder: 'Ask, or say what to change',
    'aria-label': 'Prompt',
  });
  readonly #model = el('button', {
    class: 'pick',
    type: 'button',
    title: 'Model of this session',
    click: () => send({ type: 'command', command: 'model' }),
  });
  readonly #mode = el('button', {
    class: 'pick',
    type: 'button',
    title: 'What the agent may do',
    click: () => send({ type: 'command', command: 'mode' }),
  });
  readonly #steer = iconButton('git-merge', 'Steer: joins the running turn (Ctrl+Enter)', () => this.#send('steer'));
  readonly #stop = iconButton('debug-stop', 'Stop (Escape twice)', () => send({ type: 'stop' }), 'stop');
  readonly #submit = iconButton('send', 'Send (Enter)', () => this.#send('default'), 'submit');
  readonly #completion = new Completion(this.#input);
  #isBusy = false;
  #isSending = false;
  #escapedAt = 0;

  constructor() {
    const attach = iconButton('link', 'Attach files', () => send({ type: 'command', command: 'attach' }));
    byId('composer').append(
      this.#completion.element,
      el(
        'div',
        { class: 'box' },
        this.#chips,
        this.#input,
        el(
          'div',
          { class: 'bar' },
          attach,
          this.#mode,
          this.#model,
          el('span', { class: 'grow' }),
          this.#steer,
          this.#stop,
          this.#submit,
        ),
      ),
    );
    this.#input.value = String((host.getState() as { draft?: string } | undefined)?.draft ?? '');
    this.#input.addEventListener('input', () => this.#resize());
    this.#input.addEventListener('change', () => this.#resize());
    this.#input.addEventListener('keydown', (event) => this.#key(event));
    this.#input.addEventListener('paste', (event) => this.#take(event, event.clipboardData));
    const box = byId('composer');
    box.addEventListener('dragover', (event) => event.preventDefault());
    box.addEventListener('drop', (event) => this.#take(event, event.dataTransfer));
    this.#resize();
    this.state(undefined);
  }

  focus(): void {
    this.#input.focus();
  }

  insert(text: string): void {
    this.#input.setRangeText(text, this.#input.selectionStart, this.#input.selectionEnd, 'end');
    this.#resize();
    this.focus();
  }

  /** A prompt was accepted, or not: then it stays. So does what was typed behind it meanwhile. */
  answered(text: string, isAccepted: boolean): void {
    this.#setSending(false);
    if (isAccepted && this.#input.value.startsWith(text)) {
      this.#input.value = this.#input.value.slice(text.length);
      this.#resize();
    }
  }

  chips(chips: readonly Chip[]): void {
    this.#chips.replaceChildren(
      ...chips.map((chip) => {
        const image = chip.preview ? el('img', { src: chip.preview, alt: '' }) : icon(ICONS[chip.icon]);
        const remove = iconButton('close', `Remove ${chip.label}`, () => send({ type: 'removeChip', id: chip.id }));
        return el(
          'span',
          { class: `chip ${chip.automatic ? 'automatic' : ''}`, title: chip.title, 'data-id': chip.id },
          image,
          el('span', {}, chip.label),
          remove,
        );
      }),
    );
  }

  completed(...args: Parameters<Completion['show']>): void {
    this.#completion.show(...args);
  }

  labels(labels: Labels): void {
    this.#model.replaceChildren(labels.model || 'Model', icon('chevron-down'));
    this.#mode.replaceChildren(labels.mode ? nameOfMode(labels.mode) : 'Mode', icon('chevron-down'));
  }

  state(session: Session | undefined): void {
    this.#isBusy = session !== undefined && session.model.state !== 'idle';
    this.#stop.hidden = !this.#isBusy;
    this.#steer.hidden = !this.#isBusy;
    this.#submit.title = this.#isBusy ? 'Send: waits its turn (Enter)' : 'Send (Enter)';
    this.#input.placeholder = this.#isBusy ? 'Queue a prompt' : 'Ask, or say what to change';
  }

  #send(how: 'default' | 'steer' | 'interrupt'): void {
    const text = this.#input.value;
    // until it is answered it is on its way: a second Enter must not send it twice
    if (text.trim() && !this.#isSending) {
      this.#setSending(true);
      send({ type: 'send', text, how });
    }
  }

  #setSending(isSending: boolean): void {
    this.#isSending = isSending;
    this.#submit.disabled = isSending;
    this.#submit.setAttribute('aria-busy', String(isSending));
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing || this.#completion.take(event)) {
      return;
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.#send(event.ctrlKey || event.metaKey ? 'steer' : 'default');
    } else if (event.key === 'Escape' && this.#isBusy) {
      const isSecond = event.timeStamp - this.#escapedAt < 600;
      this.#escapedAt = event.timeStamp;
      if (isSecond) {
        send({ type: 'stop' });
      }
    }
  }

  #resize(): void {
    this.#input.style.height = 'auto';
    this.#input.style.height = `${this.#input.scrollHeight}px`;
    host.setState({ draft: this.#input.value });
  }

  /** Pasted or dropped: images and files become chips, text stays text. */
  #take(event: Event, data: DataTransfer | null): void {
    const files = [...(data?.files ?? [])];
    const uris = (data?.getData('text/uri-list') ?? '')
      .split(/\r?\n/)
      .filter((line) => /^(file|vscode-remote):/.test(line));
    if (files.length > 0 || uris.length > 0) {
      event.preventDefault();
    }
    if (uris.length > 0) {
      send({ type: 'attach', uris });
    }
    // a file of the editor's explorer comes as both
    for (const file of uris.length > 0 ? [] : files) {
      takeFile(file).catch(() => undefined); // it is gone, or cannot be read
    }
  }
}

async function takeFile(file: File): Promise<void> {
  const name = file.name || 'image';
  if (file.type.startsWith('image/')) {
    if (file.size <= MAX_IMAGE_BYTES) {
      send({ type: 'image', data: await base64Of(file), mimeType: file.type, name });
    }
    return;
  }
  const bytes = file.size <= MAX_TEXT_BYTES ? await file.arrayBuffer() : new ArrayBuffer(0);
  const text = new TextDecoder('utf-8').decode(bytes);
  if (text && !text.includes('\0') && !text.includes('\ufffd')) {
    send({ type: 'attachText', text, name });
  }
}

function base64Of(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(String(reader.result).replace(/^data:[^,]*,/, '')));
    reader.addEventListener('error', () => reject(reader.error ?? new Error('not readable')));
    reader.readAsDataURL(file);
  });
}
