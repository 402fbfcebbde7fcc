/** What the extension host and the chat view say to each other. Plain JSON; knows neither `vscode` nor the DOM. */
import type { EventParams, Json, JsonObject, RunCompleteParams, SessionInfo } from '../protocol.ts';
import type { ViewModel } from '../viewmodel.ts';

export type ChipIcon = 'file' | 'selection' | 'warning' | 'image' | 'symbol' | 'changes' | 'terminal' | 'text';

export interface Chip {
  readonly id: string;
  readonly icon: ChipIcon;
  readonly label: string;
  readonly title: string;
  /** The editor's own: comes back when the user goes elsewhere. */
  readonly automatic?: boolean;
  /** `data:` URL of an image. */
  readonly preview?: string;
}

export type Streamed =
  | { readonly method: 'event'; readonly params: EventParams }
  | { readonly method: 'complete'; readonly params: RunCompleteParams };

export interface Labels {
  readonly model: string;
  readonly modelId: string;
  /** Empty when the server has not told. */
  readonly mode: string;
  readonly contextWindow: number;
}

/** One thing the prompt can mention, or one command. */
export interface Completed {
  readonly label: string;
  readonly detail: string;
  /** What takes the place of what was typed. */
  readonly text: string;
  readonly icon: ChipIcon | 'command';
  /** What goes along with the prompt. */
  readonly attachment?: JsonObject;
}

/** The topic of banners about trust in a folder. */
export const FOLDER_TRUST = 'folder trust';

/** Host to view. */
export type ToView =
  | { readonly type: 'session'; readonly model: ViewModel | null; readonly activeRun: string | null }
  | { readonly type: 'stream'; readonly items: readonly Streamed[] }
  | { readonly type: 'server'; readonly state: string; readonly detail: string }
  | { readonly type: 'chips'; readonly chips: readonly Chip[] }
  | { readonly type: 'labels'; readonly labels: Labels }
  | {
      readonly type: 'completed';
      readonly token: number;
      readonly items: readonly Completed[];
      /** The part of the text an item replaces. */
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly type: 'sessions';
      readonly query: string;
      readonly sessions: readonly SessionInfo[];
      readonly active: string | null;
    }
  | {
      readonly type: 'banner';
      readonly level: 'info' | 'warning' | 'error';
      /** Empty: what was said of the topic does not hold any more. */
      readonly text: string;
      /** A later one takes the place of an earlier one of its topic. */
      readonly topic?: string;
      readonly action?: { readonly label: string; readonly command: ViewCommand };
    }
  | { readonly type: 'insert'; readonly text: string }
  | { readonly type: 'queueText'; readonly messageId: string; readonly text: string }
  | { readonly type: 'focus'; readonly what: 'input' | 'permission' | 'sessions' }
  /** What became of a prompt. */
  | { readonly type: 'answered'; readonly text: string; readonly isAccepted: boolean };

export type ViewCommand =
  | 'new'
  | 'model'
  | 'mode'
  | 'attach'
  | 'trust'
  | 'trustFolder'
  | 'settings'
  | 'restart'
  | 'install'
  | 'log'
  | 'compact'
  | 'review'
  | 'keepAll'
  | 'undoAll';

export type QueueOp = 'edit' | 'remove' | 'sendNow' | 'move';

/** View to host. */
export type FromView =
  | { readonly type: 'ready' }
  | { readonly type: 'send'; readonly text: string; readonly how: 'default' | 'queue' | 'steer' | 'interrupt' }
  | { readonly type: 'stop' }
  | { readonly type: 'permit'; readonly requestId: string; readonly optionId: string; readonly message?: string }
  | {
      readonly type: 'queue';
      readonly op: QueueOp;
      readonly messageId: string;
      readonly text?: string;
      readonly index?: number;
    }
  | { readonly type: 'queueText'; readonly messageId: string }
  | { readonly type: 'removeChip'; readonly id: string }
  | { readonly type: 'image'; readonly data: string; readonly mimeType: string; readonly name: string }
  | { readonly type: 'attach'; readonly uris: readonly string[] }
  | { readonly type: 'attachText'; readonly text: string; readonly name: string }
  | { readonly type: 'attachItem'; readonly item: Completed }
  | { readonly type: 'complete'; readonly token: number; readonly text: string; readonly offset: number }
  | {
      readonly type: 'answer';
      readonly requestId: string;
      readonly action: 'accept' | 'decline';
      readonly content?: Json;
    }
  | { readonly type: 'sessions'; readonly query: string }
  | { readonly type: 'session'; readonly action: 'open' | 'rename' | 'fork' | 'export' | 'delete'; readonly id: string }
  | { readonly type: 'fork'; readonly messageId: string }
  | { readonly type: 'openFile'; readonly uri: string; readonly line?: number }
  | { readonly type: 'openDiff'; readonly toolCallId: string }
  | { readonly type: 'copy'; readonly text: string }
  | { readonly type: 'command'; readonly command: ViewCommand };
