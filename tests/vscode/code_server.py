"""A real VS Code (code-server and Chromium) with the extension and the server in it, driven by Playwright.

`prepare` installs what is missing into `.cache/` and builds the extension; `CodeServer` is the running editor, one for
all tests; `Window` is one browser window of it, on a folder of its own. Nothing sleeps for a fixed time: everything
waits for a condition.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
EXTENSION = ROOT / "editors/vscode"
NODE_VENV = CACHE / "node24"
ENTRY = CACHE / "code-server/node_modules/code-server/out/node/entry.js"
VSIX = EXTENSION / "lsp-agent.vsix"
HOST_TESTS = EXTENSION / "build/host.cjs"
IMAGES = ROOT / "docs/images"
START_S = 90
STEP_MS = 45_000
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS: dict[str, Any] = {
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.tips.enabled": False,
    "chat.disableAIFeatures": True,
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "update.mode": "none",
    "files.autoSave": "off",
    "git.enabled": False,
    "editor.minimap.enabled": False,
    "window.commandCenter": False,
    "security.workspace.trust.enabled": False,
    "security.workspace.trust.startupPrompt": "never",
    "files.exclude": {"**/.vscode": True},
}


class NotAvailable(Exception):
    """Why the editor cannot be had on this machine."""


def prepare() -> None:
    """Install and build what is missing. Raises: NotAvailable."""
    done = subprocess.run(
        [str(EXTENSION / "scripts/install-code-server")],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode != 0 or not ENTRY.exists() or chromium() is None:
        raise NotAvailable(f"code-server or chromium could not be installed: {done.stderr[-300:].strip()}")
    site = next((NODE_VENV / "lib").glob("python3*/site-packages"))
    if str(site) not in sys.path:
        sys.path.append(str(site))
    _build()


def chromium() -> str | None:
    """The browser's path."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def _build() -> None:
    environment = {**os.environ, "PATH": f"{NODE_VENV / 'bin'}:{os.environ['PATH']}"}
    sources = [path for folder in ("src", "scripts", "media", "test") for path in (EXTENSION / folder).rglob("*")]
    sources += [EXTENSION / "package.json", EXTENSION / "README.md", *(ROOT / "lsp_agent").rglob("*.py")]
    if VSIX.exists() and HOST_TESTS.exists() and VSIX.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    commands = [["npm", "run", "package"]]
    if not (EXTENSION / "node_modules/esbuild").exists():
        commands.insert(0, ["npm", "ci", "--ignore-scripts"])
    for command in commands:
        done = subprocess.run(command, cwd=EXTENSION, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise NotAvailable(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-500:]}")


def until(condition: Callable[[], Any], what: str | Callable[[], str], timeout_s: float = 40) -> Any:
    """Wait until the condition holds; returns what it gave."""
    deadline = time.monotonic() + timeout_s
    while True:
        # read before the condition: a slow last look still counts
        is_over = time.monotonic() > deadline
        found = condition()
        if found:
            return found
        if is_over:
            raise AssertionError(f"not in {timeout_s} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


@dataclass
class CodeServer:
    """One code-server process with the extension installed. Which server a window uses is a setting of its folder."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    @contextlib.contextmanager
    def run(cls, home: Path, extensions: Path) -> Iterator[CodeServer]:
        """Start it with quiet settings of the user; ends with everything it started."""
        (home / "data/User").mkdir(parents=True, exist_ok=True)
        write_settings(home)
        port = _free_port()
        arguments = [
            *("--auth", "none", "--bind-addr", f"127.0.0.1:{port}"),
            *("--config", str(home / "config.yaml"), "--user-data-dir", str(home / "data")),
            *("--extensions-dir", str(extensions), "--ignore-last-opened"),
            *("--disable-telemetry", "--disable-update-check"),
            *("--disable-getting-started-override", "--reconnection-grace-time", "5"),
            # without it tests inside the extension host are silently ignored
            *("--vscode-option", "enable-smoke-test-driver"),
        ]
        with (home / "code-server.log").open("wb") as log:
            process = subprocess.Popen(
                [str(NODE_VENV / "bin/node"), str(ENTRY), *arguments],
                stdout=log,
                stderr=log,
                env=_environment(home),
                start_new_session=True,
            )
            try:
                until(lambda: _answers(f"http://127.0.0.1:{port}/healthz"), "code-server answers", START_S)
                yield cls(home, port, process)
            finally:
                _end_group(process)

    @contextlib.contextmanager
    def settings(self, **changed: Any) -> Iterator[None]:
        """Other settings of the user, for the windows that are opened meanwhile."""
        write_settings(self.home, **changed)
        try:
            yield
        finally:
            write_settings(self.home)

    @property
    def runtime(self) -> Path:
        """Where sockets and process ids of kept servers are."""
        return self.home / "run"

    def url(self, folder: Path, file: Path | None = None) -> str:
        """The address of a window with this folder and file open."""
        return self._url(folder, [["openFile", f"{self._remote}{file}"]] if file else [])

    def tests_url(self, folder: Path, tests: Path) -> str:
        """The address of a window that runs `tests` (a module with `run`) beside the extension, unpacked."""
        places = (("extensionDevelopmentPath", EXTENSION), ("extensionTestsPath", tests))
        return self._url(folder, [*[[key, f"{self._remote}{path}"] for key, path in places], ["skipWelcome", "true"]])

    @property
    def _remote(self) -> str:
        return f"vscode-remote://127.0.0.1:{self.port}"

    def _url(self, folder: Path, payload: list[list[str]]) -> str:
        return f"http://127.0.0.1:{self.port}/?folder={quote(str(folder))}&payload={quote(json.dumps(payload))}"


def write_settings(home: Path, **changed: Any) -> None:
    """The settings of the user of this code-server."""
    (home / "data/User/settings.json").write_text(json.dumps({**SETTINGS, **changed}))


def install_extension(extensions: Path, home: Path) -> None:
    """Install the .vsix into a folder of extensions."""
    done = subprocess.run(
        [
            *(str(NODE_VENV / "bin/node"), str(ENTRY), "--config", str(home / "config.yaml")),
            *("--user-data-dir", str(home / "data"), "--extensions-dir", str(extensions)),
            *("--install-extension", str(VSIX)),
        ],
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Window:
    """One window of the editor: what a user sees and does in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.set_default_timeout(STEP_MS)
        page.on("dialog", lambda dialog: dialog.accept())

    def close(self) -> None:
        """Leave the page as a user does, so that its extension host ends at once."""
        from playwright.sync_api import Error  # it is there only after `prepare`

        with contextlib.suppress(Error):  # a page that has crashed cannot be left
            self.page.goto("about:blank", timeout=5_000)
        self.page.close()

    def open(self, url: str) -> None:
        """Load the workbench and wait for the extension."""
        self.page.goto(url)
        self.page.locator(".monaco-workbench").wait_for(timeout=90_000)
        self.page.locator(".statusbar-item", has_text="Agent").first.wait_for(timeout=90_000)

    def reload(self) -> None:
        """Reload the window, as the command does."""
        self.page.reload()
        self.page.locator(".statusbar-item", has_text="Agent").first.wait_for(timeout=90_000)

    def command(self, title: str) -> None:
        """Run a command by the palette."""
        self.page.keyboard.press("F1")
        box = self.page.locator(".quick-input-widget input")
        box.wait_for()
        box.fill(f">{title}")
        self.page.locator(".quick-input-list .monaco-list-row", has_text=title).first.wait_for()
        self.page.keyboard.press("Enter")

    def choose(self, text: str) -> None:
        """Take the row with this text in the list that is open."""
        row = self.page.locator(".quick-input-widget .quick-input-list .monaco-list-row", has_text=text).first
        row.wait_for()
        row.click()

    def answer(self, text: str) -> None:
        """Type into the input box that is open, and confirm."""
        box = self.page.locator(".quick-input-widget input[type='text']:focus")
        box.wait_for()
        box.fill(text)
        self.page.keyboard.press("Enter")

    def open_file(self, name: str) -> None:
        """Open a file of the folder by its name."""
        self.page.keyboard.press("Control+p")
        self.page.locator(".quick-input-widget input").fill(name)
        self.choose(name)
        self.page.locator(".tab.active", has_text=name).wait_for()

    def focus_editor(self, line: int = 1) -> None:
        """Put the cursor at the beginning of a line of the text editor."""
        self.editor.locator(".view-lines").click(position={"x": 40, "y": 5})
        self.page.locator(".editor-group-container .monaco-editor.focused").first.wait_for()
        self.page.keyboard.press("Control+Home")
        for _ in range(line - 1):
            self.page.keyboard.press("ArrowDown")

    def notification(self, text: str) -> Any:
        """What the editor was told, in the list of it: on a slow machine the toast has gone by then."""
        self.command("Notifications: Show Notifications")
        found = self.page.locator(".notifications-center .notification-list-item", has_text=text).first
        found.wait_for()
        return found

    def say(self, text: str) -> None:
        """Send a prompt in the chat."""
        prompt = self.chat.locator("#prompt")
        prompt.fill(text)
        prompt.press("Enter")

    def open_chat(self) -> Any:
        """Show the chat and return its frame."""
        self.command("Agent: Open Chat")
        chat = self.chat
        chat.locator("#prompt").wait_for()
        self.page.wait_for_function("() => document.activeElement?.tagName === 'IFRAME'")
        # the frame has the focus before what is in it: keys typed in between would be lost
        focused = chat.locator("#prompt:focus, .asked :focus")
        until(lambda: focused.count() > 0, "the prompt or a question has the focus")
        head = chat.locator("#head")
        until(lambda: head.get_attribute("data-server") == "running", lambda: f"the agent runs: {head.inner_text()!r}")
        return chat

    @property
    def chat(self) -> Any:
        """The page of the chat view."""
        return self.page.frame_locator("iframe.webview").frame_locator("iframe#active-frame")

    @property
    def editor(self) -> Any:
        """The text editor."""
        return self.page.locator(".editor-group-container .monaco-editor").first

    def text(self) -> str:
        """The lines of the editor that are on the screen, blanks as blanks."""
        lines: list[list[Any]] = self.page.evaluate(
            """() => [...document.querySelectorAll('.editor-group-container .monaco-editor .view-line')]
                .map((line) => [parseFloat(line.style.top), line.textContent])"""
        )
        return "\n".join(text for _, text in sorted(lines)).replace("\u00a0", " ")

    def type_at_end(self, text: str) -> None:
        """Type into the editor behind everything; leaves it unsaved."""
        self.editor.locator(".view-lines").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)

    @property
    def is_dirty(self) -> bool:
        """Whether the open tab is unsaved."""
        return bool(self.page.locator(".tabs-container .tab.active.dirty").count())

    def picture(self, name: str) -> None:
        """Write docs/images/<name>.png when pictures are wanted, small."""
        if os.environ.get("LSP_AGENT_PICTURES"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(IMAGES / f"{name}.png"), scale="css")


def kept_servers(socket_dir: Path) -> list[int]:
    """Process ids of the keepers that serve from this runtime directory."""
    found: list[int] = []
    for path in socket_dir.glob("lsp-agent-*/*.pid"):
        with contextlib.suppress(FileNotFoundError, ValueError):  # it ends just now, or has just begun
            found.append(int(path.read_text()))
    return found


def _environment(home: Path) -> dict[str, str]:
    nowhere = json.dumps({"serviceUrl": "http://127.0.0.1:9/none", "itemUrl": "http://127.0.0.1:9/none"})
    kept = {key: value for key, value in os.environ.items() if not re.match(r"VSCODE_|npm_|XDG_", key)}
    return {**kept, "EXTENSIONS_GALLERY": nowhere, "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
