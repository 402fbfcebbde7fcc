/** Making elements, and the way back to the extension. */
import type { FromView } from '../messages.ts';

interface Host {
  postMessage(message: FromView): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): Host;

export const host: Host = acquireVsCodeApi();

export function send(message: FromView): void {
  host.postMessage(message);
}

type Attributes = Readonly<Record<string, string | boolean | undefined | ((event: never) => void)>>;
type Child = Node | string | undefined | false;

/** An element: a function among the attributes listens to the event of that name, `false` leaves one out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      element.addEventListener(name, value as EventListener);
    } else if (value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

export function icon(name: string, extra = ''): HTMLElement {
  return el('span', { class: `codicon codicon-${name} ${extra}`.trim(), 'aria-hidden': 'true' });
}

/** A button with an icon; `label` is what a screen reader and the hover say. */
export function iconButton(name: string, label: string, click: () => void, extra = ''): HTMLButtonElement {
  return el('button', { class: `icon ${extra}`, title: label, 'aria-label': label, type: 'button', click }, icon(name));
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}
