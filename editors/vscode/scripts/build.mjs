/**
 * Bundles the extension, the keeper and the chat view into dist/. `--host`: the tests for the extension host, too, into
 * build/, which is not packaged.
 *
 * Plain JavaScript, so that Node 20 can run it.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

rmSync(path('dist'), { recursive: true, force: true });
mkdirSync(path('dist'));
const shared = { bundle: true, minify: true, sourcemap: false, logLevel: 'warning', legalComments: 'none' };
const node = { ...shared, platform: 'node', format: 'cjs', target: 'node20' };
await Promise.all([
  build({
    ...node,
    entryPoints: [path('src/extension.ts')],
    outfile: path('dist/extension.cjs'),
    external: ['vscode'],
  }),
  build({ ...node, entryPoints: [path('src/keeper.ts')], outfile: path('dist/keeper.cjs') }),
  build({
    ...shared,
    entryPoints: [path('src/view/client/main.ts')],
    outfile: path('dist/view.js'),
    format: 'iife',
    target: 'chrome128',
  }),
  build({ ...shared, entryPoints: [path('src/view/client/view.css')], outfile: path('dist/view.css') }),
]);
for (const asset of ['codicon.css', 'codicon.ttf']) {
  copyFileSync(path(`node_modules/@vscode/codicons/dist/${asset}`), path(`dist/${asset}`));
}

if (process.argv.includes('--host')) {
  await build({
    ...node,
    minify: false,
    entryPoints: [path('test/host/index.ts')],
    outfile: path('build/host.cjs'),
    external: ['vscode'],
  });
}
