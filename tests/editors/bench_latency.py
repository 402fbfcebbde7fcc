"""`python -m tests.editors.bench_latency`: how soon Neovim answers a key while ten thousand deltas stream in.

A real Neovim with a screen attached (`nvim_ui_attach`), the real server, the scripted provider. One probe at a time: a
digit is typed in insert mode into a file beside the chat, and the time runs until the screen was drawn with it. At the
end the text must be the provider's, byte for byte, in the view model and in the chat. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.editors.plugin import PluginNvim, git_workspace

PIECE = "wörd 😀 `x`\n"
DEADLINE_S = 120.0


class NotExact(Exception):
    """The text in the editor is not what was sent."""


@dataclass(slots=True)
class Probe:
    """Types digits one after the other; `waits` in seconds, each from the key to the screen."""

    nvim: PluginNvim
    waits: list[float] = field(default_factory=list)
    is_finished: bool = False
    _sent_at: float = 0.0
    _awaited: str = ""
    _row: str = ""

    def press(self) -> None:
        self._awaited = str(len(self.waits) % 10)
        self._sent_at = time.perf_counter()
        self.nvim.api.input(self._awaited)

    def drawn(self, events: Sequence[Any]) -> bool:
        """Take in a `redraw`; True when it shows the key that was pressed, and it was flushed."""
        seen = False
        for name, *calls in events:
            if name != "grid_line":
                continue
            for _, _, _, cells, *_ in calls:
                seen = seen or (bool(self._awaited) and any(cell[0] == self._awaited for cell in cells))
        if seen:
            self.waits.append(time.perf_counter() - self._sent_at)
            self._awaited = ""
        return seen


def measure(folder: Path, deltas: int) -> dict[str, Any]:
    """One run. Raises: NotExact, TimeoutError."""
    workspace = git_workspace(folder / "w", {"a.txt": "\n"})
    script = [
        {"aside": True, "times": 0, "do": [{"text": "Many"}]},
        {"do": [{"hold": "start"}, {"text": PIECE, "repeat": deltas, "deltas": 1}]},
    ]
    with PluginNvim(folder / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.txt")
        nvim.api.command("set nonumber noruler noshowcmd noshowmode laststatus=0 shortmess+=I")
        nvim.api.ui_attach(120, 40, rgb=True, ext_linegrid=True)
        nvim.api.command("Agent ask go")
        nvim.until(lambda: nvim.held("start"))
        nvim.api.command("wincmd t")
        nvim.api.input("i")
        probe = Probe(nvim)
        idle = _probed(probe, lambda: len(probe.waits) >= 100)
        probe.waits = []
        nvim.lua(
            "vim.api.nvim_create_autocmd('User', { pattern = 'LspAgentRunComplete', "
            "callback = function() vim.rpcnotify(0, 'finished') end })"
        )
        started = time.perf_counter()
        nvim.release("start")
        busy = _probed(probe, lambda: probe.is_finished)
        took = time.perf_counter() - started
        expected = PIECE * deltas
        nvim.until(lambda: nvim.chat().count(PIECE.strip()) == deltas)
        if nvim.view()["messages"][-1]["text"] != expected or expected not in nvim.chat() + "\n":
            raise NotExact
    return {
        "deltas": deltas,
        "deltas_per_s": round(deltas / took),
        "keys": len(busy),
        **{f"idle_{name}": value for name, value in figures(idle).items()},
        **{f"busy_{name}": value for name, value in figures(busy).items()},
    }


def figures(waits: Sequence[float]) -> dict[str, float]:
    """Milliseconds: median, 95th and 99th percentile, worst."""
    ordered = sorted(waits)
    parts = {"median_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {
        name: round(1000 * ordered[min(int(part * len(ordered)), len(ordered) - 1)], 1) for name, part in parts.items()
    }


def _probed(probe: Probe, is_over: Any) -> list[float]:
    """Press a key, wait for it on the screen, again, until it is over."""
    deadline = time.monotonic() + DEADLINE_S
    while not is_over():
        probe.press()
        while not _next_redraw_shows(probe):
            if time.monotonic() > deadline:
                raise TimeoutError("a key was not shown")
    return list(probe.waits)


def _next_redraw_shows(probe: Probe) -> bool:
    message = probe.nvim.api.next_message()
    if message is not None and message[1] == "finished":
        probe.is_finished = True
    return message is not None and message[1] == "redraw" and probe.drawn(message[2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deltas", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory(prefix="lsp-agent-bench-") as folder:
            sys.stdout.write(json.dumps(measure(Path(folder), arguments.deltas)) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
