/** A question of the agent: what it wants, and the answers, all of them reachable by keyboard. */
import type { ChangedFile, PermissionOption, PermissionRecord } from '../../protocol.ts';
import { differenceOf } from './difference.ts';
import { el, icon, send } from './dom.ts';

type Fields = { readonly [key: string]: unknown };

export function permissionCard(record: PermissionRecord): HTMLElement {
  const reason = el('input', {
    class: 'why',
    type: 'text',
    placeholder: 'Reject, and say what to do instead',
    'aria-label': 'Message with a rejection',
  });
  const answer = (option: PermissionOption): void => {
    const message = option.kind.startsWith('reject') ? reason.value.trim() : '';
    send({ type: 'permit', requestId: record.requestId, optionId: option.optionId, ...(message ? { message } : {}) });
  };
  const buttons = record.options.map((option, index) => {
    const kind = option.kind === 'allow_once' ? 'primary' : option.kind.startsWith('reject') ? 'reject' : 'secondary';
    const key = el('kbd', { 'aria-hidden': 'true' }, String(index + 1));
    return el(
      'button',
      { type: 'button', class: `answer ${kind}`, 'data-option': option.optionId, click: () => answer(option) },
      key,
      option.name,
    );
  });
  const card = el(
    'section',
    {
      class: 'permission',
      role: 'alertdialog',
      'aria-label': record.title,
      tabindex: '-1',
      'data-id': record.requestId,
    },
    el('h3', {}, icon('shield'), record.title),
    record.description ? el('p', {}, record.description) : undefined,
    subjectOf(record.subject as Fields),
    el('div', { class: 'answers' }, ...buttons),
    reason,
  );
  card.addEventListener('keydown', (event) => {
    if (event.target === reason) {
      if (event.key === 'Enter') {
        const reject = record.options.find(({ kind }) => kind === 'reject_once');
        if (reject) {
          answer(reject);
        }
      }
      return;
    }
    move(event, record.options, buttons, answer);
  });
  return card;
}

/** Digits answer; arrows walk. */
function move(
  event: KeyboardEvent,
  options: readonly PermissionOption[],
  buttons: readonly HTMLButtonElement[],
  answer: (option: PermissionOption) => void,
): void {
  const chosen = /^[1-9]$/.test(event.key) ? options[Number(event.key) - 1] : undefined;
  if (chosen && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    answer(chosen);
    return;
  }
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step) {
    event.preventDefault();
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons[(at + step + buttons.length) % buttons.length]?.focus();
  }
}

function subjectOf(subject: Fields): HTMLElement {
  switch (subject['type']) {
    case 'edit': {
      const files = subject['changes'] as ChangedFile[];
      return el('div', { class: 'subject' }, differenceOf(files.flatMap(({ hunks }) => hunks)));
    }
    case 'command':
      return el('pre', { class: 'subject' }, `${String(subject['command'])}\n\nin ${String(subject['cwd'])}`);
    case 'url':
      return el('pre', { class: 'subject' }, String(subject['url']));
    case 'path':
      return el('pre', { class: 'subject' }, String(subject['path']));
    default:
      return el('pre', { class: 'subject' }, JSON.stringify(subject['input'] ?? subject, undefined, 2));
  }
}
