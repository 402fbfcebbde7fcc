/** Bundles the extension, the keeper and the chat view into dist/. `--watch` is left to the editor's tasks. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const path = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url));

rmSync(path('dist'), { recursive: true, force: true });
mkdirSync(path('dist'));
const shared = { bundle: true, minify: true, sourcemap: false, logLevel: 'warning', legalComments: 'none' } as const;
const node = { ...shared, platform: 'node', format: 'cjs', target: 'node20' } as const;
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
