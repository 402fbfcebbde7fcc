"""`python -m tests.demo`: the product's main job as a short story, in a real Neovim, with no key and no network.

Headless Neovim with the plugin opens a file of a copy of this repository, something is typed and not saved, the agent
is asked. The built-in scripted provider stands in for a model; server, tools, permission, edit and undo are real.
Exit status 0 only when everything that is told here really happened.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.editors.nvim import ROOT
from tests.editors.plugin import PluginNvim

TYPED = "# teh version of the package, typed just now and not saved"
PROMPT = "Correct the spelling in this file"
COLOURS = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34"}

LISTEN = r"""
_G.Story = {}
local chat = require('lsp_agent.chat')
local client = require('lsp_agent.client')
local config = client.lsp_config()
for _, method in ipairs({ 'agent/event', 'agent/runComplete' }) do
  local inner = config.handlers[method]
  config.handlers[method] = function(err, params, ctx)
    table.insert(Story, params.update or { sessionUpdate = 'run_complete', params = params })
    return inner(err, params, ctx)
  end
end
vim.lsp.config('lsp_agent', config)
"""


class Failed(Exception):
    """Something that should have happened did not."""


def say(text: str, colour: str = "") -> None:
    if colour and sys.stdout.isatty():
        text = f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"
    print(text, flush=True)


def check(claim: str, *, holds: bool) -> None:
    say(f"  {'✔' if holds else '✘'} {claim}", "green" if holds else "red")
    if not holds:
        raise Failed(claim)


class Story:
    """Prints what the editor hears, as it hears it; counts so that the end can be checked."""

    def __init__(self, nvim: PluginNvim) -> None:
        self._nvim = nvim
        self._told = 0
        self._in_text = False
        self.chunks = 0
        self.completes: list[Mapping[str, Any]] = []

    def follow(self) -> None:
        """Tell what is new."""
        news = self._nvim.lua("return vim.list_slice(Story, ...)", self._told + 1) or []
        self._told += len(news)
        for update in news:
            self._tell(update)

    def _tell(self, update: Mapping[str, Any]) -> None:
        kind = update["sessionUpdate"]
        if kind == "agent_message_chunk":
            if not self._in_text:
                print("  agent │ ", end="")
            self.chunks += 1
            self._in_text = True
            print(update["content"]["text"].replace("\n", "\n        │ "), end="", flush=True)
            return
        if kind == "tool_call_update" and update["status"] in ("in_progress", "completed", "failed", "rejected"):
            self._line(f"  tool  │ {update['name']}: {update['title']} — {update['status'].replace('_', ' ')}", "blue")
        elif kind == "permission_requested":
            self._line(f"  asks  │ {update['title']}", "yellow")
            for hunk in [hunk for change in update["subject"].get("changes", ()) for hunk in change["hunks"]]:
                self._line(f"        │ - {hunk['oldText'].rstrip()}", "red")
                self._line(f"        │ + {hunk['newText'].rstrip()}", "green")
        elif kind == "changes_update":
            self._line("  edit  │ applied in the editor", "blue")
        elif kind == "run_complete":
            params = update["params"]
            self.completes.append(params)
            ended = f"  end   │ {params['stopReason']} after {params['steps']} steps, {params['durationMs']} ms"
            self._line(ended, "bold")

    def _line(self, text: str, colour: str) -> None:
        if self._in_text:
            print()
        self._in_text = False
        say(text, colour)


def copy_of_repository(folder: Path) -> Path:
    """This repository as git has it, or a copy of the package where there is no git."""
    target = folder / "lsp-agent"
    cloned = subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(target)], capture_output=True)
    if cloned.returncode != 0:
        shutil.copytree(ROOT / "lsp_agent", target / "lsp_agent", ignore=shutil.ignore_patterns("__pycache__"))
    return target


def show(nvim: PluginNvim, title: str) -> None:
    say(f"\n{title}", "bold")
    for number, line in enumerate(nvim.text().splitlines(), 1):
        say(f"  {number:>3} {line}", "dim")


def tell(nvim: PluginNvim, file: Path) -> None:
    """The story; raises Failed where it does not come true."""
    on_disk = file.read_bytes()
    nvim.lua(LISTEN)
    nvim.open(file)
    nvim.api.input(f"Go{TYPED}<Esc>")
    nvim.until(lambda: TYPED in nvim.text())
    show(nvim, f"1. {file.name} in Neovim, with a line that is not saved")
    before = nvim.text()
    say(f"\n2. :Agent ask {PROMPT}", "bold")
    story = Story(nvim)
    nvim.api.command(f"Agent ask {PROMPT}")

    def until(condition: Any) -> None:
        def step() -> Any:
            story.follow()
            return condition()

        nvim.until(step, timeout=12)

    until(nvim.pending)
    story.follow()
    unchanged = nvim.text() == before
    say("  key   │ a  (allow once, pressed in the chat buffer)", "yellow")
    editor = nvim.api.current.window
    nvim.focus_chat()
    nvim.api.input("a")
    until(lambda: story.completes)
    nvim.api.current.window = editor
    after = nvim.text()
    show(nvim, "3. The same buffer now")
    nvim.api.command("undo")
    undone = nvim.text()
    show(nvim, "4. After one undo")
    say("\n5. What happened", "bold")
    check("the edit waited for the permission", holds=unchanged)
    check("the answer was streamed", holds=story.chunks > 3)
    check("the edit landed on top of the unsaved text", holds=after == before.replace("teh version", "the version"))
    check("one undo took the edit back, and only the edit", holds=undone == before)
    check("the file on disk was not touched", holds=file.read_bytes() == on_disk)
    check("exactly one runComplete came, with end_turn", holds=_ends(nvim, story) == ["end_turn"])
    check("the chat shows the whole conversation", holds=PROMPT in nvim.chat() and "allow once" in nvim.chat())


def _ends(nvim: PluginNvim, story: Story) -> list[str]:
    """Stop reasons of every terminal event, once nothing is left to come."""
    nvim.until(lambda: nvim.view()["state"] == "idle")
    story.follow()
    return [params["stopReason"] for params in story.completes]


def main() -> int:
    started = time.monotonic()
    say("lsp-agent: an agent inside a language server, on the text in your editor", "bold")
    with tempfile.TemporaryDirectory(prefix="lsp-agent-demo-") as name:
        folder = Path(name)
        workspace = copy_of_repository(folder)
        try:
            with PluginNvim(folder / "home", workspace, None) as nvim:
                tell(nvim, workspace / "lsp_agent/__init__.py")
        except (Failed, TimeoutError) as problem:
            say(f"\nThe demo failed: {problem}", "red")
            return 1
    say(f"\nAll of it came true, in {time.monotonic() - started:.1f} s.", "green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
