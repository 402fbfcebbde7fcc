"""A real Kate on a screen of its own (Xvfb), driven by the keyboard as a user would.

What the screen shows is waited for by the windows that are there, what the agent does by a second client on the
server's socket. Nothing sleeps for a fixed time.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.harness.client import isolated_environment
from tests.tier0.plain import block_of, configure

ROOT = Path(__file__).parents[2]
PROGRAMS = ("kate", "Xvfb", "xdotool", "dbus-daemon", "import")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
ROW_PX = 18
"""A row of a menu is at least so high."""
KATERC = """\
[Kate Plugins]
lspclientplugin=true
[General]
Show welcome view for new window=false
Startup Session=new
[KTextEditor View]
Auto Completion=false
[lspclient]
AllowedServerCommandLines={command}
"""


def until(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """What the condition gives, once it gives something."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
    return found


class Kate:
    """One window. `home` holds `project`, `data` and the server's socket `s.sock`."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home = home
        self.env = env

    def open(self, path: Path) -> None:
        """Show a file in the window that is there."""
        self._run("kate", str(path))
        self.until_window(path)

    def focus(self, file: Path) -> None:
        """Put the keyboard into the text of the file that is shown, at its beginning."""
        window = self.until_window(file)
        self._run("xdotool", "mousemove", "--window", window, "300", "250", "click", "1", "mousemove", "799", "519")
        self.keys("ctrl+Home")

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self._run("xdotool", "key", "--clearmodifiers", "--delay", "20", *keys)

    def type(self, text: str) -> None:
        """Type into the text."""
        self._run("xdotool", "type", "--clearmodifiers", "--delay", "10", text)

    def act(self, titles: Sequence[str], title: str) -> None:
        """Open the code actions of the line, which are `titles`, and click on the one that begins with `title`."""
        number = next(number for number, each in enumerate(titles) if each.startswith(title))
        self.keys("alt+Return")
        menu = until(self._menus, "the code actions are shown")[0]
        # an empty menu comes first, and is filled by the answer
        height = until(lambda: self._height(menu) >= ROW_PX * len(titles) and self._height(menu), "the menu is filled")
        middle = int((number + 0.5) * height / len(titles))
        self._run("xdotool", "mousemove", "--window", menu, "60", str(middle), "click", "1", "mousemove", "799", "519")
        until(lambda: not self._menus(), "the code actions are gone")

    def until_window(self, file: Path) -> str:
        """Wait until a file is shown; the window's number."""
        found: list[str] = until(lambda: self._windows(f"^{file.name}"), f"{file.name} is shown")
        return found[0]

    def picture(self, path: Path) -> None:
        """What is on the screen."""
        self._run("import", "-window", "root", str(path))

    def _windows(self, title: str) -> list[str]:
        return self._run("xdotool", "search", "--onlyvisible", "--name", title).split()

    def _menus(self) -> list[str]:
        """Windows that are neither the screen, which is seen first, nor a window of Kate with a title."""
        return [number for number in self._windows("")[1:] if number not in self._windows(".")]

    def _height(self, window: str) -> int:
        said = self._run("xdotool", "getwindowgeometry", "--shell", window)
        return int(next((line[7:] for line in said.splitlines() if line.startswith("HEIGHT=")), "0"))

    def _run(self, *command: str) -> str:
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30).stdout


@contextmanager
def kate(home: Path, file: Path, command: Sequence[str] | None = None) -> Iterator[Kate]:
    """Kate with `file` of `home/project` open, set up as its page says; `command` in place of the real server."""
    server = list(command or [sys.executable, "-m", "lsp_agent", "serve", "--socket", str(home / "s.sock")])
    env = _settle(home, server)
    with ExitStack() as stack:
        env["DISPLAY"] = (
            f":{_started(stack, ['Xvfb', '-noreset', '-displayfd', '{fd}', '-screen', '0', '800x520x24'], env)}"
        )
        bus = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={fd}"]
        env["DBUS_SESSION_BUS_ADDRESS"] = _started(stack, bus, env)
        log = stack.enter_context((home / "kate.log").open("wb"))
        process = subprocess.Popen(
            ["kate", "--block", str(file)],
            env=env,
            cwd=home / "project",
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        stack.callback(_end, process)
        window = Kate(home, env)
        try:
            window.until_window(file)
            yield window
        except BaseException:
            window.picture(home / "failed.png")
            raise


def _settle(home: Path, command: Sequence[str]) -> dict[str, str]:
    """Kate's settings and the server's; the environment of both."""
    settings = home / "home/.config"
    (settings / "kate/lspclient").mkdir(parents=True)
    (home / "run").mkdir(mode=0o700)
    page: dict[str, Any] = json.loads(block_of("kate.md", "json"))
    page["servers"]["python"]["command"] = list(command)
    (settings / "kate/lspclient/settings.json").write_text(json.dumps(page))
    # Kate asks once whether a server may be started; the user of this home has said yes
    (settings / "katerc").write_text(KATERC.format(command=" ".join(command)))
    return {
        **isolated_environment(home / "home", configure(home)),
        "LSP_AGENT_DATA_DIR": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PYTHONPATH": str(ROOT),
        "QT_LOGGING_RULES": "*=false",
    }


def _started(stack: ExitStack, command: Sequence[str], env: Mapping[str, str]) -> str:
    """Start a program that writes its address to a descriptor (`{fd}` in its arguments), and wait for the address."""
    read_fd, write_fd = os.pipe()
    argv = [part.format(fd=write_fd) for part in command]
    process = subprocess.Popen(argv, env=env, pass_fds=[write_fd], stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(write_fd)
    stack.callback(_end, process)
    with os.fdopen(read_fd, encoding="ascii") as pipe:
        address = pipe.readline().strip()
    assert address, f"{command[0]} did not start"
    return address


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
