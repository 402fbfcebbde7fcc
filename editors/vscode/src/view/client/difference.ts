/** The lines of a change, removed and added, as a small table. */
import { diffLines } from 'diff';
import { el } from './dom.ts';

export interface Change {
  readonly oldText: string;
  readonly newText: string;
  /** Zero-based; absent when nobody knows. */
  readonly line?: number;
}

const SHOWN_LINES = 400;
const CONTEXT = 3;

interface Row {
  readonly sign: '+' | '-' | ' ';
  readonly text: string;
}

export function differenceOf(changes: readonly Change[]): HTMLElement {
  const table = el('div', { class: 'difference', role: 'table', 'aria-label': 'Changed lines' });
  let shown = 0;
  for (const change of changes) {
    if (table.childElementCount > 0) {
      table.append(el('div', { class: 'gap' }, '⋯'));
    }
    for (const row of shorten(rowsOf(change))) {
      shown += 1;
      if (shown > SHOWN_LINES) {
        table.append(el('div', { class: 'gap' }, 'more lines are not shown'));
        return table;
      }
      table.append(rowElement(row));
    }
  }
  return table;
}

/** Added and removed lines. */
export function countsOf(changes: readonly Change[]): { readonly added: number; readonly removed: number } {
  const rows = changes.flatMap(rowsOf);
  return {
    added: rows.filter(({ sign }) => sign === '+').length,
    removed: rows.filter(({ sign }) => sign === '-').length,
  };
}

function rowsOf({ oldText, newText }: Change): Row[] {
  return diffLines(oldText, newText).flatMap((part) => {
    const sign = part.added ? '+' : part.removed ? '-' : ' ';
    return part.value
      .replace(/\n$/, '')
      .split('\n')
      .map((text) => ({ sign, text }) as Row);
  });
}

/** Unchanged lines far from a change become a gap. */
function shorten(rows: readonly Row[]): (Row | undefined)[] {
  const near = rows.map((_, index) => rows.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(isChange));
  return rows.map((row, index) => (near[index] ? row : undefined)).filter((row, index) => row ?? near[index - 1]);
}

function isChange({ sign }: Row): boolean {
  return sign !== ' ';
}

function rowElement(row: Row | undefined): HTMLElement {
  if (!row) {
    return el('div', { class: 'gap' }, '⋯');
  }
  const kind = row.sign === '+' ? 'added' : row.sign === '-' ? 'removed' : 'same';
  return el('div', { class: `line ${kind}`, role: 'row' }, el('span', { class: 'sign' }, row.sign), row.text || ' ');
}
