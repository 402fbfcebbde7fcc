/** Where markdown that is still being written can be cut: before the last blank line that is inside nothing. Pure. */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const CONTINUES = /^(?:\s|[-*+>|]|\d+[.)]\s)/;

/**
 * The length of the beginning of `text` that no later text can change, at least `from` (a former answer).
 *
 * Lists, quotes, tables and indented lines are not cut: what follows may belong to them.
 */
export function settledLength(text: string, from: number): number {
  let settled = from;
  let fence = '';
  let blank = false;
  let loose = false;
  for (let at = from; at < text.length; ) {
    const end = text.indexOf('\n', at);
    if (end < 0) {
      break;
    }
    const line = text.slice(at, end);
    const mark = FENCE.exec(line)?.[1];
    if (fence) {
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = '';
      }
    } else {
      if (blank && line.trim() !== '' && !CONTINUES.test(line)) {
        settled = at;
        loose = false;
      }
      if (mark) {
        fence = mark;
      }
      loose ||= CONTINUES.test(line) && line.trim() !== '';
    }
    blank = !fence && line.trim() === '';
    at = end + 1;
    if (blank && !loose) {
      settled = at;
    }
  }
  return settled;
}
