/** Requests that mean the same when they are made twice: a server that ends before it answers leaves them to the next. */
import { ConnectionError, ErrorCodes, ResponseError } from 'vscode-languageclient/node';
import type { Server } from './client.ts';

const START_MS = 30_000;
const MOST_TRIES = 3;
const LOST: readonly number[] = [ErrorCodes.PendingResponseRejected, ErrorCodes.ConnectionInactive];

/** What `ask` resolves to. Rejects with the server's own error, and when no server comes, or comes back, in time. */
export async function untilAnswered<T>(server: Server, ask: () => Promise<T>): Promise<T> {
  await server.ready(START_MS);
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isLost(error) || tries === MOST_TRIES) {
        throw error;
      }
      await server.ready(START_MS, true);
    }
  }
}

/** Whether nobody knows what the server made of the request. */
function isLost(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ResponseError && LOST.includes(error.code));
}
