/** Small real wheels, Pythons that are shell scripts, and folders for the tests of installing. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bundle, bundleIn } from '../src/installed.ts';
import { type Interpreter, look } from '../src/interpreters.ts';

const PYTHON = process.env['LSP_AGENT_TEST_PYTHON'] ?? 'python3';
const MAKE = `
import sys, zipfile
path, version, needs, code = sys.argv[1:]
info = f"lsp_agent-{version}.dist-info"
files = {
    "lsp_agent/__init__.py": "def main():\\n    " + code.replace("VERSION", version) + "\\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: lsp-agent\\nVersion: {version}\\n" + needs,
    f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{info}/entry_points.txt": "[console_scripts]\\nlsp-agent = lsp_agent:main\\n",
}
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
    wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"]))
`;

export function folder(): string {
  return mkdtempSync(join(tmpdir(), 'installing-'));
}

/** What an extension brings along: a wheel that says its version, unless told otherwise. */
export async function bundle({
  version = '0.0.1',
  needs = '',
  code = 'print("lsp-agent VERSION")',
  constraints = '',
} = {}): Promise<Bundle> {
  const where = folder();
  execFileSync(PYTHON, ['-I', '-c', MAKE, join(where, `lsp_agent-${version}-py3-none-any.whl`), version, needs, code]);
  if (constraints) {
    writeFileSync(join(where, 'constraints.txt'), constraints);
  }
  const found = await bundleIn(where);
  if (!found) {
    throw new Error('the wheel was not found');
  }
  return found;
}

/** A program of /bin/sh. */
export function script(body: string, name = 'python3', where = folder()): string {
  const path = join(where, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** The Python of this machine. */
export async function realPython(): Promise<Interpreter> {
  const found = await look(PYTHON, 'the test', process.env);
  if (!found) {
    throw new Error(`${PYTHON} does not run`);
  }
  return found;
}

/** Something that says it is a good Python, and does this. */
export function fakePython(body: string): Interpreter {
  return { command: script(body), origin: 'the test', version: '3.12.1', isNewEnough: true, hasVenv: true };
}

/** One that makes environments in no time: what pip installs in them only says the name of the wheel. */
export function quickPython(): Interpreter {
  const program = 'printf "#!/bin/sh\\necho %s\\n" "$wheel" > "$bin/lsp-agent"; chmod +x "$bin/lsp-agent"';
  const pip = `#!/bin/sh\nfor wheel; do :; done; bin=$(dirname "$0"); ${program}`;
  return fakePython(`mkdir -p "$4/bin"; cat > "$4/bin/python" <<'EOF'\n${pip}\nEOF\nchmod +x "$4/bin/python"`);
}
