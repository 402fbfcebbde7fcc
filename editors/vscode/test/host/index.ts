/** Tests inside the real extension host. Writes what came of them beside the workspace; rejects when one failed. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { folder } from './desk.ts';
import { runAll } from './harness.ts';
import './editing.test.ts';
import './extension.test.ts';
import './sessions.test.ts';

export async function run(): Promise<void> {
  const path = join(dirname(folder()), 'results.json');
  const results = await runAll((known) => writeFileSync(path, JSON.stringify(known)));
  const failed = results.filter(({ error }) => error !== undefined);
  if (failed.length > 0) {
    throw new Error(`${failed.length} of ${results.length} failed`);
  }
}
