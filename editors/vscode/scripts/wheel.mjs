/**
 * The server's wheel into server/, with the versions it was tested with, for `Agent: Install Server`. Built from a copy,
 * so that nothing is left in the sources; the same sources give the same bytes. Without a Python, or without the
 * network its build needs, the extension is packaged without a server, and says so.
 *
 * Plain JavaScript, so that Node 20 can run it.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUILD_MS = 300_000;
const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = fileURLToPath(new URL('../server/', import.meta.url));
const pythons = [process.env['PYTHON'], 'python3', 'python3.13', 'python3.12', 'python3.11', 'python', 'py'];

rmSync(target, { recursive: true, force: true });
const copy = mkdtempSync(join(tmpdir(), 'lsp-agent-wheel-'));
try {
  const problem = existsSync(join(root, 'pyproject.toml')) ? make() : 'its sources are not beside the extension';
  process.stderr.write(problem ? `packaged WITHOUT the server: ${problem}\n` : `packaged with the server: ${told()}\n`);
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function make() {
  for (const name of ['pyproject.toml', 'README.md', 'LICENSE']) {
    copyFileSync(join(root, name), join(copy, name));
  }
  const filter = (source) => !/__pycache__|\.pyc$/.test(source);
  cpSync(join(root, 'lsp_agent'), join(copy, 'lsp_agent'), { recursive: true, filter });
  const python = pythons.find((each) => each && runs(each));
  if (!python) {
    return 'no Python 3.11 or later with pip was found to build it (set PYTHON)';
  }
  mkdirSync(target);
  const args = ['-m', 'pip', 'wheel', '--no-deps', '--disable-pip-version-check', '--wheel-dir', target, copy];
  try {
    // 1980 is where the times of a zip begin
    const env = { ...process.env, SOURCE_DATE_EPOCH: '315532800' };
    execFileSync(python, args, { env, cwd: copy, timeout: BUILD_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    rmSync(target, { recursive: true, force: true });
    return String(error.stderr || error.message)
      .trim()
      .split('\n')
      .slice(-3)
      .join('\n');
  }
  copyFileSync(join(root, 'requirements.lock'), join(target, 'constraints.txt'));
  return '';
}

function runs(python) {
  try {
    const probe = 'import sys, pip; sys.exit(sys.version_info < (3, 11))';
    execFileSync(python, ['-I', '-c', probe], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function told() {
  const [name] = readdirSync(target).filter((each) => each.endsWith('.whl'));
  return `${name} (${Math.round(statSync(join(target, name)).size / 1024)} KB)`;
}
