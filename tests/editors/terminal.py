"""A real Neovim in a real terminal (tmux): what a user would see, as text and as a picture.

The pane is read with its colours, written as a page of HTML, and Chromium makes the picture. Nothing here sleeps for a
fixed time: everything waits for something on the screen, with a deadline.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.editors.nvim import nvim_binary

TMUX = shutil.which("tmux")
CHROMIUM = shutil.which("chromium")
CELL_PX, LINE_PX = 8, 15
_ESCAPE = re.compile(r"\x1b\[([0-9;:]*)m")
_BASE = ("#2e3440", "#bf616a", "#7a9a5f", "#b48a3c", "#5e81ac", "#a0709a", "#4f9aa5", "#c8ccd4")
_PAGE = (
    "<meta charset=utf-8><style>body{{margin:8px;background:#e0e2ea}}"
    "pre{{margin:0;font:13px/{line}px 'DejaVu Sans Mono',monospace;color:#24292f}}</style><pre>{text}</pre>"
)


class Terminal:
    """One tmux server with one window that runs Neovim. Use as a context manager."""

    def __init__(self, home: Path, workspace: Path, *arguments: str, columns: int = 110, lines: int = 30) -> None:
        assert TMUX is not None, "tmux is not installed"
        # a socket's path is at most 108 bytes
        self._sockets = tempfile.TemporaryDirectory(prefix="lsp-agent-tmux-")
        self._command = [TMUX, "-S", f"{self._sockets.name}/s", "-f", os.devnull]
        self._size = (columns, lines)
        self._workspace = workspace
        self._argv = [nvim_binary(), "--clean", "--cmd", "let g:loaded_python3_provider=0", *arguments]
        self._env = {
            **{f"XDG_{name.upper()}_HOME": str(home / name) for name in ("config", "data", "state", "cache")},
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "tmux-256color",
        }

    def __enter__(self) -> Terminal:
        columns, lines = self._size
        settings = ["set", "-g", "status", "off", ";", "set", "-g", "default-terminal", "tmux-256color", ";"]
        settings += ["set", "-ga", "terminal-overrides", ",*:Tc", ";", "set", "-sg", "escape-time", "0", ";"]
        start = ["new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(self._workspace), *self._argv]
        self._run(*settings, *start, env=self._env)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._command, "kill-server"], capture_output=True, check=False, timeout=10)
        self._sockets.cleanup()

    def _run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=20, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `C-s`, `Escape`, or characters."""
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._run("send-keys", "-l", text)

    def screen(self, *, colours: bool = False) -> str:
        """What is on the screen."""
        return self._run("capture-pane", "-p", *(["-e", "-N"] if colours else []))

    def until(self, condition: str | Callable[[str], object], timeout: float = 40) -> str:
        """The first screen that holds the text, or of which the condition is true."""
        deadline = time.monotonic() + timeout
        while True:
            screen = self.screen()
            if condition in screen if isinstance(condition, str) else condition(screen):
                return screen
            assert time.monotonic() < deadline, f"{condition} was not shown:\n{screen}"

    def picture(self, path: Path) -> None:
        """The screen as a PNG. Without Chromium nothing is written."""
        if CHROMIUM is None:
            return
        columns, lines = self._size
        page = _PAGE.format(text=as_html(self.screen(colours=True)), line=LINE_PX)
        with tempfile.TemporaryDirectory(prefix="lsp-agent-picture-") as folder:
            source = Path(folder) / "screen.html"
            source.write_text(page)
            size = f"--window-size={columns * CELL_PX + 16},{lines * LINE_PX + 16}"
            flags = [
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
            ]
            command = [CHROMIUM, *flags, f"--user-data-dir={folder}/profile", size, f"--screenshot={path}"]
            subprocess.run([*command, source.as_uri()], capture_output=True, check=True, timeout=60)


def as_html(text: str) -> str:
    """A captured pane as HTML."""
    parts, style = [], _Style()
    position = 0
    for match in _ESCAPE.finditer(text):
        parts.append(style.wrap(text[position : match.start()]))
        style.take(match[1])
        position = match.end()
    parts.append(style.wrap(text[position:]))
    return "".join(parts)


class _Style:
    """The colours and faces in force between two escape sequences."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.fore: str | None = None
        self.back: str | None = None
        self.faces: set[str] = set()

    def wrap(self, text: str) -> str:
        if not text:
            return ""
        fore, back = self.fore, self.back
        if "reverse" in self.faces:
            fore, back = back or "#e0e2ea", fore or "#24292f"
        rules = [f"color:{fore}"] if fore else []
        rules += [f"background:{back}"] if back else []
        rules += ["font-weight:bold"] if "bold" in self.faces else []
        rules += ["font-style:italic"] if "italic" in self.faces else []
        rules += ["text-decoration:underline"] if "underline" in self.faces else []
        shown = html.escape(text)
        return f'<span style="{";".join(rules)}">{shown}</span>' if rules else shown

    def take(self, codes: str) -> None:
        """Select Graphic Rendition, as far as tmux writes it."""
        numbers = [int(code or 0) for code in re.split("[;:]", codes)]
        while numbers:
            number = numbers.pop(0)
            faces = {1: "bold", 3: "italic", 4: "underline", 7: "reverse"}
            if number == 0:
                self._reset()
            elif number in faces:
                self.faces.add(faces[number])
            elif number in (22, 23, 24, 27):
                self.faces.discard(faces[{22: 1}.get(number, number - 20)])
            elif number in (38, 48):
                colour = _extended(numbers)
                self.fore, self.back = (colour, self.back) if number == 38 else (self.fore, colour)
            elif number == 39:
                self.fore = None
            elif number == 49:
                self.back = None
            elif 30 <= number % 60 <= 37:
                self.fore = _BASE[number % 60 - 30]
            elif 40 <= number % 60 <= 47:
                self.back = _BASE[number % 60 - 40]


def _extended(numbers: list[int]) -> str:
    kind = numbers.pop(0)
    if kind == 2:
        red, green, blue = (numbers.pop(0) for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    number = numbers.pop(0)
    if number < 16:
        return _BASE[number % 8]
    if number >= 232:
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "#" + "".join(f"{steps[number // 6**power % 6]:02x}" for power in (2, 1, 0))
