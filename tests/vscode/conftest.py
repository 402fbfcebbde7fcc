"""The editor of these tests: one browser and one code-server for all, a fresh folder, server and window for each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.vscode.code_server import (
    CHROMIUM_ARGUMENTS,
    CodeServer,
    NotAvailable,
    Window,
    chromium,
    install_extension,
    kept_servers,
    prepare,
    until,
)

VIEWPORT = {"width": 1180, "height": 720}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        prepare()
    except NotAvailable as reason:
        pytest.skip(str(reason))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def code_server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    home, extensions = tmp_path_factory.mktemp("code-server"), tmp_path_factory.mktemp("extensions")
    install_extension(extensions, home)
    with CodeServer.run(home, extensions) as server:
        yield server


@pytest.fixture(scope="session")
def pages(browser: Any) -> Iterator[Any]:
    """One profile of the browser: what a first window has loaded, the next one has in its cache."""
    context = browser.new_context(viewport=VIEWPORT)
    yield context
    context.close()


@dataclass
class Desk:
    """A folder with a scripted model behind the agent, and a window on it."""

    window: Window
    workspace: Path
    file: Path
    holds: Path
    state: Path
    server: CodeServer

    def open(self) -> None:
        """Load the workbench with the file open."""
        self.window.open(self.server.url(self.workspace, self.file))
        self.window.editor.wait_for()

    def release(self, name: str) -> None:
        """Let the script go on behind a `hold`."""
        (self.holds / name).touch()

    def until_held(self, name: str) -> None:
        """Wait until the script has come to a `hold`."""
        until((self.holds / f"{name}.held").exists, f"the script holds at {name}")


@pytest.fixture
def prepared_desk(code_server: CodeServer, pages: Any, tmp_path: Path) -> Iterator[Any]:
    """Makes desks whose window is still empty."""
    with ExitStack() as stack:

        def make(
            script: str,
            text: str = "def add(a, b):\n    return a - b\n",
            extra: str = "",
            files: Mapping[str, str] | None = None,
            **settings: Any,
        ) -> Desk:
            workspace, holds, state = tmp_path / "workspace", tmp_path / "holds", tmp_path / "state"
            for folder in (workspace / ".vscode", holds):
                folder.mkdir(parents=True)
            file = workspace / "sums.py"
            file.write_text(text)
            for name, content in (files or {}).items():
                (workspace / name).write_text(content)
            (tmp_path / "script.toml").write_text(script)
            (tmp_path / "config.toml").write_text(
                f'{extra}\n[models]\nlarge = "play/script"\n[providers.play]\ntype = "scripted"\n'
                f'script = "{tmp_path / "script.toml"}"\noptions = {{ hold_dir = "{holds}" }}\n'
                '[[providers.play.models]]\nid = "script"\nname = "Scripted"\ncontext_window = 200000\n'
                "input_usd_per_mtok = 3.0\noutput_usd_per_mtok = 15.0\n"
            )
            environment = {"LSP_AGENT_CONFIG": str(tmp_path / "config.toml"), "LSP_AGENT_DATA_DIR": str(state)}
            chosen = {
                "lspAgent.server.command": [sys.executable, "-m", "lsp_agent", "serve"],
                "lspAgent.server.environment": environment,
                **settings,
            }
            (workspace / ".vscode/settings.json").write_text(json.dumps(chosen))
            stack.callback(_end_kept, code_server.runtime)
            window = Window(pages.new_page())
            stack.callback(window.close)
            return Desk(window, workspace, file, holds, state, code_server)

        yield make


@pytest.fixture
def desk_for(prepared_desk: Any) -> Any:
    """Makes desks with the workbench loaded."""

    def make(*args: Any, **options: Any) -> Desk:
        desk: Desk = prepared_desk(*args, **options)
        desk.open()
        return desk

    return make


def _end_kept(runtime: Path) -> None:
    for pid in kept_servers(runtime):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not kept_servers(runtime), "the kept servers end", 15)
