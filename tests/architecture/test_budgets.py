"""Files and functions stay small. The lists of exceptions may only shrink."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_LIMIT = 400
FUNCTION_LIMIT = 60
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def sources() -> list[Path]:
    return sorted((ROOT / "lsp_agent").rglob("*.py"))


def test_every_file_fits_in_a_head():
    long = {str(path.relative_to(ROOT)) for path in sources() if len(path.read_text().splitlines()) > FILE_LIMIT}
    assert long == LONG_FILES


def test_every_function_fits_on_a_screen():
    long = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno > FUNCTION_LIMIT:
                    long.add(f"{path.relative_to(ROOT)}:{node.name}")
    assert long == LONG_FUNCTIONS


def test_nobody_keeps_module_level_mutable_state_by_global():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Global)
    ]
    assert found == []


def test_initialize_needs_no_heavy_import():
    import subprocess
    import sys

    code = (
        "import sys, lsp_agent.app\n"
        "heavy = 'pydantic pygls lsprotocol anthropic openai httpx httpx2 anyio cattrs mcp'\n"
        "print(','.join(sorted(set(heavy.split()) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
