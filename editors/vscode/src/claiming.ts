/**
 * One at a time, among windows that know nothing of each other: a folder of claims, a file for each that wants to work.
 *
 * Names are never used twice, so nobody can take away a claim that is not the one it looked at: whoever finds itself
 * alone has the work, whoever finds another takes its own back and waits. A claim of a process that is gone, or one
 * that was not renewed while somebody watched for half a minute (its number was given to another), does not count.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Cancelled } from './processes.ts';

const NAME = /^(\d+)-[0-9a-f]+\.claim$/;
const POLL_MS = 100;

export interface Patience {
  readonly renewMs: number;
  /** How long a claim may go without being renewed. */
  readonly silentMs: number;
}

const PATIENCE: Patience = { renewMs: 5_000, silentMs: 30_000 };

/** Do the work when nobody else does; `waits` is called when somebody does. Rejects with `Cancelled`, and as `work`. */
export async function alone<T>(
  folder: string,
  work: () => Promise<T>,
  signal: AbortSignal,
  waits: () => void,
  patience: Patience = PATIENCE,
): Promise<T> {
  await mkdir(folder, { recursive: true });
  const watch = new Watch(folder, patience.silentMs);
  for (let isFirst = true; ; isFirst = false) {
    const claim = (await watch.others()).length === 0 ? await makeClaim(folder) : undefined;
    if (claim) {
      if ((await watch.others(claim)).length === 0) {
        return await holding(claim, patience.renewMs, work);
      }
      await rm(claim, { force: true });
    }
    if (isFirst) {
      waits();
    }
    // two that came at the same moment must not do so again
    await pause(POLL_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => {
      throw new Cancelled();
    });
  }
}

async function makeClaim(folder: string): Promise<string> {
  const claim = join(folder, `${process.pid}-${randomBytes(6).toString('hex')}.claim`);
  await writeFile(claim, '', { flag: 'wx' });
  return claim;
}

async function holding<T>(claim: string, renewMs: number, work: () => Promise<T>): Promise<T> {
  const renew = setInterval(() => {
    const now = new Date();
    // a failure shows as silence, which is what it is
    utimes(claim, now, now).catch(() => undefined);
  }, renewMs);
  try {
    return await work();
  } finally {
    clearInterval(renew);
    await rm(claim, { force: true });
  }
}

/** Sees which claims count. Time is measured here, not read from the files: a computer may have slept. */
class Watch {
  readonly #folder: string;
  readonly #silentMs: number;
  readonly #seen = new Map<string, { readonly renewed: number; readonly at: number }>();

  constructor(folder: string, silentMs: number) {
    this.#folder = folder;
    this.#silentMs = silentMs;
  }

  /** The claims that count, without one's own; the others are taken away. */
  async others(own = ''): Promise<string[]> {
    const counted: string[] = [];
    for (const name of await readdir(this.#folder)) {
      const claim = join(this.#folder, name);
      const pid = Number(NAME.exec(name)?.[1] ?? 0);
      if (pid === 0 || claim === own) {
        continue;
      }
      if (isAlive(pid) && (await this.#isRenewed(claim))) {
        counted.push(claim);
      } else {
        await rm(claim, { force: true });
      }
    }
    return counted;
  }

  async #isRenewed(claim: string): Promise<boolean> {
    const renewed = await stat(claim).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    const known = this.#seen.get(claim);
    if (renewed !== undefined && known?.renewed !== renewed) {
      this.#seen.set(claim, { renewed, at: performance.now() });
      return true;
    }
    return renewed !== undefined && known !== undefined && performance.now() - known.at < this.#silentMs;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
