/** What the modes of a session are called for people. Knows neither `vscode` nor the DOM. */

const NAMES: Readonly<Record<string, string>> = {
  ask: 'Ask',
  plan: 'Plan',
  'accept-edits': 'Accept edits',
  'full-auto': 'Full auto',
};

/** The mode's name; one of a newer server is called what it is. */
export function nameOfMode(id: string): string {
  return NAMES[id] ?? id;
}
