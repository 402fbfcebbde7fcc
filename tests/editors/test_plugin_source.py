"""Budgets of the Neovim plugin's source: what a linter would hold if one were installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.editors import lua_types
from tests.editors.nvim import ROOT, nvim_binary

PLUGIN = ROOT / "editors/neovim"
SOURCES = sorted(path for path in PLUGIN.rglob("*.lua") if path != lua_types.TARGET)
HELP = PLUGIN / "doc/lsp-agent.txt"
_FUNCTION = re.compile(r"^( *)(?:local )?(?:\S+ = )?function\b|^( *)return function\b")


def long_functions(path: Path, limit: int) -> list[str]:
    found, open_at = [], {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = _FUNCTION.match(line)
        indent = len(line) - len(line.lstrip())
        if match and not re.search(r"\bend\)?$", line):
            open_at[indent] = number
        elif re.match(r"^ *end\b", line) and indent in open_at:
            length = number - open_at.pop(indent) + 1
            if length > limit:
                found.append(f"{path.name}:{number} is {length} lines")
    return found


def test_files_functions_and_lines_keep_their_budgets() -> None:
    assert len(SOURCES) > 20
    for path in SOURCES:
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, path.name
        assert [line for line in lines if len(line) > 120] == [], path.name
        assert long_functions(path, 50) == []


def test_the_protocols_types_are_what_the_schema_says() -> None:
    assert lua_types.TARGET.read_text() == lua_types.rendered(), "run `python -m tests.editors.lua_types`"


def test_every_public_function_is_annotated() -> None:
    missing = []
    for path in SOURCES:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            named = re.match(r"function M[.:](\w+)\(([^)]*)\)", line)
            above = lines[number - 1] if number else ""
            if named and named[2].replace("_", "").strip() and not above.startswith("---"):
                missing.append(f"{path.name}: {named[1]}")
    assert missing == []


@pytest.mark.editor
def test_the_help_names_every_command_and_setting_and_has_no_broken_tags(tmp_path: Path) -> None:
    text = HELP.read_text()
    code = (
        f"vim.opt.rtp:prepend('{PLUGIN}') "
        "for n in pairs(require('lsp_agent.commands').help()) do io.stdout:write('*:Agent-' .. n .. '*\\n') end "
        "for n in pairs(require('lsp_agent.config').get()) do io.stdout:write(n .. '\\n') end"
    )
    script = tmp_path / "names.lua"
    script.write_text(code)
    done = subprocess.run([nvim_binary(), "--clean", "-l", str(script)], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert len(names) > 30
    assert [name for name in names if name not in text] == []
    tags = re.findall(r"\*(\S+)\*", text)
    assert len(tags) == len(set(tags))
    ours = [link for link in re.findall(r"\|(\S+?)\|", text) if link.startswith(("lsp-agent", ":Agent"))]
    assert [link for link in ours if link not in tags] == []


@pytest.mark.editor
def test_nothing_but_the_command_is_loaded_at_the_start(tmp_path: Path) -> None:
    script = tmp_path / "loaded.lua"
    script.write_text(
        "for name in pairs(package.loaded) do if name:match('^lsp_agent') then print(name) end end "
        "print(vim.fn.exists(':Agent'))"
    )
    flags = ["--clean", "--headless", "--cmd", f"set rtp^={PLUGIN}", "-c", f"luafile {script}", "-c", "qa!"]
    done = subprocess.run([nvim_binary(), *flags], capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr.split() == ["2"]
