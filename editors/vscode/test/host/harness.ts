/** A runner of a few lines for tests inside the extension host: one after another, each with a deadline. */

export interface Result {
  readonly name: string;
  readonly ms: number;
  /** What went wrong; absent when nothing did. */
  readonly error?: string;
}

const STEP_MS = 20_000;
const TEST_MS = 90_000;
const POLL_MS = 20;

const tests: { readonly name: string; readonly body: () => Promise<void> }[] = [];

export function test(name: string, body: () => Promise<void>): void {
  tests.push({ name, body });
}

/** `told`: what is known so far, before each test and at the end; the test that runs has `ms` -1. */
export async function runAll(told: (results: readonly Result[]) => void): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name, body } of tests) {
    told([...results, { name, ms: -1 }]);
    const began = performance.now();
    const error = await within(body(), TEST_MS, name).then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)),
    );
    results.push({ name, ms: Math.round(performance.now() - began), ...(error === undefined ? {} : { error }) });
  }
  told(results);
  return results;
}

/** Wait until `look` gives something, and return that. */
export async function until<T>(look: () => T | Promise<T>, what: string): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = performance.now() + STEP_MS;
  for (;;) {
    const isOver = performance.now() > deadline;
    const found = await look();
    if (found) {
      return found as Exclude<NonNullable<T>, false>;
    }
    if (isOver) {
      throw new Error(`not in ${STEP_MS} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function within<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not in ${ms} ms: ${what}`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
