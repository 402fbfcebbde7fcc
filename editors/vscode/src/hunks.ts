/** Where the agent's hunks are while the user goes on typing. Pure: plain numbers, no `vscode`. */

export interface Mark {
  readonly hunkId: string;
  readonly uri: string;
  readonly sessionId: string;
  readonly toolCallId: string | null;
  readonly oldText: string;
  readonly newText: string;
  /** First line of the new text. */
  line: number;
  /** Its number of lines; 0 for a pure removal. */
  lines: number;
}

export interface LineChange {
  readonly startLine: number;
  readonly endLine: number;
  readonly text: string;
}

/** Move the marks behind a change by the lines it added or removed. A mark that is touched stays where it is. */
export function shift(marks: Iterable<Mark>, change: LineChange): void {
  const delta = countLines(change.text) - (change.endLine - change.startLine);
  if (delta === 0) {
    return;
  }
  for (const mark of marks) {
    if (mark.line > change.endLine || (mark.line === change.endLine && change.endLine > change.startLine)) {
      mark.line += delta;
    }
  }
}

/** Line feeds in a text: how many lines a replacement has more than one. */
export function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
    count += 1;
  }
  return count;
}

/** Whether the lines of a document still hold exactly what the agent wrote there. */
export function isUntouched(mark: Mark, textOfLines: (line: number, count: number) => string): boolean {
  const now = textOfLines(mark.line, mark.lines).replaceAll('\r\n', '\n');
  return now === mark.newText || `${now}\n` === mark.newText || now === `${mark.newText}\n`;
}

export interface Placed {
  readonly oldText: string;
  /** Zero-based lines of the text of today; the second one is not part of it. */
  readonly from: number;
  readonly to: number;
}

/** The text as it was before these changes: their lines put back, the last ones first. */
export function withoutHunks(text: string, hunks: readonly Placed[]): string {
  const lines = text.split(/(?<=\n)/);
  for (const { oldText, from, to } of [...hunks].sort((one, other) => other.from - one.from)) {
    lines.splice(from, to - from, oldText);
  }
  return lines.join('');
}
