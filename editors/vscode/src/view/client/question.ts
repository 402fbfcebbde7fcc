/** Questions of the model as a card: yes or no, one of several, several, free text; all of it reachable by keyboard. */
import type { Json, JsonObject, QuestionRecord } from '../../protocol.ts';
import { byId, el, icon, send } from './dom.ts';

interface Choice {
  readonly id: string;
  readonly label: string;
  readonly description?: string;
}

interface Question {
  readonly key: string;
  readonly type: string;
  readonly text: string;
  readonly description?: string;
  readonly choices: readonly Choice[];
}

const QUICK: ReadonlySet<string> = new Set(['yes_no', 'single_choice']);
const OTHER = 'In your own words';

export function questionCard(record: QuestionRecord): HTMLElement {
  const { requestId } = record;
  const questions = questionsOf(record);
  const card = el('form', {
    class: 'question',
    role: 'dialog',
    'aria-label': record.message,
    tabindex: '-1',
    'data-id': requestId,
  });
  const answer = (): void => send({ type: 'answer', requestId, action: 'accept', content: contentOf(card, questions) });
  const decline = el(
    'button',
    {
      type: 'button',
      class: 'answer reject decline',
      click: () => send({ type: 'answer', requestId, action: 'decline' }),
    },
    'Decline',
  );
  const submit = el('button', { type: 'submit', class: 'answer primary submit-answer' }, 'Answer');
  card.append(
    el('h3', {}, icon('question'), record.message),
    ...[record.description ? el('p', { class: 'faint' }, record.description) : ''].filter(Boolean),
    ...questions.map((question) => questionFields(question, questions.length > 1)),
    el('div', { class: 'answers' }, submit, decline),
  );
  // with one question and one answer, a digit is the answer
  const isQuick = questions.length === 1 && QUICK.has(questions[0]?.type ?? '');
  card.addEventListener('submit', (event) => {
    event.preventDefault();
    answer();
  });
  card.addEventListener('keydown', (event) => walk(event, card, isQuick));
  return card;
}

/** Put the focus on the first thing that can be answered. */
export function focusQuestion(card: Element): void {
  card.querySelector<HTMLElement>('input, textarea, button')?.focus();
}

function questionFields(question: Question, several: boolean): HTMLElement {
  const { key, type, text, description, choices } = question;
  const fields = el('fieldset', { 'data-key': key, 'data-type': type });
  if (several) {
    fields.append(el('legend', {}, text));
  }
  if (description) {
    fields.append(el('p', { class: 'faint' }, description));
  }
  const kind = type === 'multi_choice' ? 'checkbox' : 'radio';
  const offered = type === 'yes_no' ? YES_NO : choices;
  fields.append(
    ...offered.map((choice, index) => {
      return el(
        'label',
        { class: 'choice' },
        el('input', { type: kind, name: key, value: choice.id }),
        index < 9 ? el('kbd', { 'aria-hidden': 'true' }, String(index + 1)) : undefined,
        el(
          'span',
          {},
          el('span', {}, choice.label),
          choice.description ? el('span', { class: 'faint' }, ` ${choice.description}`) : undefined,
        ),
      );
    }),
  );
  if (type === 'free_text') {
    fields.append(el('textarea', { name: key, rows: '2', 'aria-label': text }));
  } else if (type === 'number') {
    fields.append(el('input', { type: 'text', inputmode: 'decimal', name: key, 'aria-label': text }));
  } else if (type.endsWith('_choice')) {
    fields.append(el('input', { type: 'text', name: `${key}_other`, placeholder: OTHER, 'aria-label': OTHER }));
  }
  return fields;
}

const YES_NO: readonly Choice[] = [
  { id: 'yes', label: 'Yes' },
  { id: 'no', label: 'No' },
];

function questionsOf(record: QuestionRecord): Question[] {
  const told = (record.questions ?? []) as unknown as readonly (Question & { choices?: readonly Choice[] })[];
  if (told.length > 0) {
    return told.map((question) => ({ ...question, choices: question.choices ?? [] }));
  }
  return fromSchema(record.schema);
}

/** A form of a schema alone (an MCP server's): each property becomes the question it fits. */
function fromSchema(schema: JsonObject | null | undefined): Question[] {
  const properties = (schema?.['properties'] ?? {}) as { [key: string]: JsonObject };
  return Object.entries(properties).map(([key, property]) => {
    const ids = (property['enum'] ?? []) as string[];
    const labels = (property['enumNames'] ?? ids) as string[];
    return {
      key,
      type: ids.length > 0 ? 'one_of' : (SCHEMA_TYPES[String(property['type'])] ?? 'free_text'),
      text: String(property['title'] ?? key),
      description: String(property['description'] ?? ''),
      choices: ids.map((id, index) => ({ id, label: labels[index] ?? id })),
    };
  });
}

const SCHEMA_TYPES: Readonly<Record<string, string>> = { boolean: 'yes_no', integer: 'number', number: 'number' };

/** What was answered; a key that is missing was skipped. */
function contentOf(card: HTMLFormElement, questions: readonly Question[]): JsonObject {
  const data = new FormData(card);
  const content: JsonObject = {};
  for (const { key, type } of questions) {
    const chosen = data.getAll(key).map(String);
    const value = answered(type, chosen);
    if (value !== undefined) {
      content[key] = value;
    }
    const other = String(data.get(`${key}_other`) ?? '').trim();
    if (other) {
      content[`${key}_other`] = other;
    }
  }
  return content;
}

function answered(type: string, chosen: readonly string[]): Json | undefined {
  const first = chosen[0]?.trim();
  switch (type) {
    case 'multi_choice':
      return chosen.length > 0 ? [...chosen] : undefined;
    case 'yes_no':
      return first === undefined ? undefined : first === 'yes';
    case 'number':
      return first && Number.isFinite(Number(first)) ? Number(first) : undefined;
    default:
      return first || undefined;
  }
}

/** Digits choose in the question that has the focus (and answer, where choosing is answering); Escape leaves. */
function walk(event: KeyboardEvent, card: HTMLFormElement, isQuick: boolean): void {
  const target = event.target as HTMLElement;
  const isText =
    target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type === 'text');
  if (event.key === 'Escape') {
    event.preventDefault();
    byId('prompt').focus();
  } else if (event.key === 'Enter' && (event.ctrlKey || (target instanceof HTMLInputElement && !event.shiftKey))) {
    event.preventDefault();
    card.requestSubmit();
  } else if (!isText && /^[1-9]$/.test(event.key) && !event.ctrlKey && !event.altKey && !event.metaKey) {
    const fields = target.closest('fieldset') ?? card.querySelector('fieldset');
    const choice = fields?.querySelectorAll<HTMLInputElement>('input[type=radio], input[type=checkbox]')[
      Number(event.key) - 1
    ];
    if (choice) {
      event.preventDefault();
      choice.checked = choice.type === 'radio' || !choice.checked;
      choice.focus();
      if (isQuick) {
        card.requestSubmit();
      }
    }
  }
}
