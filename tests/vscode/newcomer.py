"""What a newcomer does in VS Code, from the README alone, each step timed (`python -m tests.vscode.newcomer`).

A fresh clone, an empty home directory, the machine's own Node and Python. The editor is a code-server that is there
already: its installation is not a step. Prints a table and leaves a picture. `test_install.py` uses the later steps.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vscode import code_server
from tests.vscode.code_server import (
    CHROMIUM_ARGUMENTS,
    ROOT,
    CodeServer,
    Window,
    chromium,
    install_extension,
    kept_servers,
    prepare,
    until,
)

OWN_PATH = "/usr/local/bin:/usr/bin:/bin"
# what would give away that this is a machine of developers
TELLING = re.compile(r"XDG_|VIRTUAL_ENV|PYTHON|PYENV|LSP_AGENT_|npm_|NODE_|.*_API_KEY$|.*_BASE_URL$")
INSTALL_S = 400
PROMPT = "Correct the spelling"
MISSPELLED = "teh_sum = add(1, 2)  # teh sum\n"
CORRECTED = "# the sum"
VIEWPORT = {"width": 1180, "height": 720}


@contextlib.contextmanager
def empty_environment(home: Path) -> Iterator[None]:
    """The process's environment as a newcomer's: this home, the system's programs, no keys."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if not TELLING.match(name)}
    os.environ.clear()
    os.environ.update(kept, HOME=str(home), PATH=OWN_PATH)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def notification(window: Window, text: str, timeout_s: float = 60) -> Any:
    """The notification that says this, when it is there.

    With its driver for tests VS Code shows none by itself: they wait behind the bell.
    """
    item = window.page.locator(".notification-list-item", has_text=text)
    bell = window.page.locator('[id="status.notifications"]:has(.codicon-notifications-bell-dot, .codicon-bell-dot)')

    def is_shown() -> bool:
        if item.count() == 0 and bell.count() > 0:
            bell.click()
            # or its tooltip covers the buttons
            window.page.mouse.move(600, 300)
        return bool(item.count())

    until(
        is_shown,
        lambda: f"{text!r} is said: {window.page.locator('.notification-list-item').all_inner_texts()}",
        timeout_s,
    )
    return item.first


def press(notice: Any, label: str) -> None:
    """Press a button of a notification."""
    notice.locator(".monaco-button", has_text=label).first.click()


def install_from_notification(window: Window) -> None:
    """Press Install, wait until the server is there and runs, and open the chat from there."""
    press(notification(window, "needs its server"), "Install")
    press(notification(window, "The server of LSP Agent is installed", INSTALL_S), "Open Chat")


def first_words(window: Window) -> Any:
    """Ask in the chat that has been opened; back when the answer begins."""
    chat = window.chat
    chat.locator('#head[data-server="running"]').wait_for()
    chat.locator("#prompt:focus").wait_for()
    window.page.wait_for_function("() => document.activeElement?.tagName === 'IFRAME'")
    window.page.keyboard.type(PROMPT)
    window.page.keyboard.press("Enter")
    chat.locator(".message.assistant", has_text="demonstration").first.wait_for()
    return chat


def answer_by_key(window: Window, chat: Any) -> None:
    """Allow the edit by the keyboard; back when it is in the buffer."""
    chat.locator(".permission button.answer:focus").wait_for()
    window.page.keyboard.press("Enter")
    until(lambda: CORRECTED in window.text(), lambda: f"the edit is in the buffer: {window.text()!r}")


def end_servers(server: CodeServer) -> None:
    """End what serves from this code-server."""
    for pid in kept_servers(server.runtime):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 15)
    until(lambda: not kept_servers(server.runtime), "the kept servers end", 15)


@dataclass
class Times:
    """Seconds a step, in order."""

    rows: list[tuple[str, float]] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.rows.append((name, time.monotonic() - began))
        print(f"{self.rows[-1][1]:7.1f} s  {name}", flush=True)


def run(*command: str, cwd: Path) -> None:
    """One step in a shell. Raises: SystemExit with what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _uncommitted() -> list[str]:
    """Files of the work tree that a clone would not have as they are."""
    command = ["git", "ls-files", "--modified", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in listed.stdout.split("\0") if name})


def _overlay(clone: Path, names: list[str]) -> None:
    for name in names:
        target = clone / name
        if (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        else:
            target.unlink(missing_ok=True)


def _package(times: Times, base: Path) -> Path:
    clone = base / "lsp-agent"
    with times.step("git clone"):
        run("git", "clone", "--quiet", str(ROOT), str(clone), cwd=base)
    names = _uncommitted()
    if names:
        print(f"           ({len(names)} files as they are in the work tree, not committed)")
        _overlay(clone, names)
    extension = clone / "editors/vscode"
    with times.step("npm ci --ignore-scripts"):
        run("npm", "ci", "--ignore-scripts", cwd=extension)
    with times.step("npm run package"):
        run("npm", "run", "package", cwd=extension)
    return extension / "lsp-agent.vsix"


def _use(times: Times, base: Path, vsix: Path) -> Path:
    from playwright.sync_api import sync_playwright

    home, extensions, folder = base / "home", base / "extensions", base / "project"
    folder.mkdir()
    (folder / "sums.py").write_text("def add(a, b):\n    return a + b\n\n\n")
    code_server.VSIX = vsix
    with times.step("install the .vsix"):
        install_extension(extensions, home)
    with CodeServer.run(home, extensions) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        window = Window(browser.new_page(viewport=VIEWPORT))
        with times.step("open a folder, to the offer of the server"):
            window.open(server.url(folder, folder / "sums.py"))
            window.editor.wait_for()
            notification(window, "needs its server")
        window.type_at_end(MISSPELLED)
        with times.step("Install, to the running server"):
            install_from_notification(window)
        with times.step("open the chat and ask, to the first words"):
            chat = first_words(window)
        with times.step("to the permission, answered by key, and the edit in the buffer"):
            answer_by_key(window, chat)
        picture = Path(tempfile.gettempdir()) / "newcomer-vscode.png"
        window.page.screenshot(path=str(picture), scale="css")
        window.close()
        browser.close()
        end_servers(server)
    return picture


def main() -> None:
    """Run all of it."""
    prepare()
    node = subprocess.run(["/usr/bin/node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(
        f"Node {node or 'none'}, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    times = Times()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as name:
        base = Path(name)
        (base / "home").mkdir()
        with empty_environment(base / "home"):
            picture = _use(times, base, _package(times, base))
    print(f"{sum(seconds for _, seconds in times.rows):7.1f} s  all of it; load {os.getloadavg()[0]:.1f}; {picture}")


if __name__ == "__main__":
    main()
