"""The editor of these tests: one browser a session, a fresh code-server and workspace a test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
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
def extensions(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extensions")
    install_extension(folder, tmp_path_factory.mktemp("installing"))
    return folder


@dataclass
class Desk:
    """A window on a workspace, with a scripted model behind the agent."""

    window: Window
    workspace: Path
    file: Path
    holds: Path
    server: CodeServer
    browser: Any

    def release(self, name: str) -> None:
        """Let the script go on behind a `hold`."""
        (self.holds / name).touch()

    def until_held(self, name: str) -> None:
        """Wait until the script has come to a `hold`."""
        until((self.holds / f"{name}.held").exists, f"the script holds at {name}")


@pytest.fixture
def desk_for(browser: Any, extensions: Path, tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:

        def make(script: str, text: str = "def add(a, b):\n    return a - b\n", **settings: Any) -> Desk:
            workspace, holds, runtime = tmp_path / "workspace", tmp_path / "holds", tmp_path / "run"
            for folder in (workspace, holds, runtime):
                folder.mkdir()
            file = workspace / "sums.py"
            file.write_text(text)
            (tmp_path / "script.toml").write_text(script)
            (tmp_path / "config.toml").write_text(
                '[models]\nlarge = "play/script"\n[providers.play]\ntype = "scripted"\n'
                f'script = "{tmp_path / "script.toml"}"\noptions = {{ hold_dir = "{holds}" }}\n'
                '[[providers.play.models]]\nid = "script"\nname = "Scripted"\ncontext_window = 200000\n'
                "input_usd_per_mtok = 3.0\noutput_usd_per_mtok = 15.0\n"
            )
            stack.callback(_end_kept, runtime)
            environment = {
                "LSP_AGENT_CONFIG": str(tmp_path / "config.toml"),
                "LSP_AGENT_DATA_DIR": str(tmp_path / "state"),
            }
            chosen = {
                "lspAgent.server.command": [sys.executable, "-m", "lsp_agent", "serve"],
                "lspAgent.server.environment": environment,
                **settings,
            }
            server = stack.enter_context(CodeServer.run(tmp_path, extensions, chosen))
            context = browser.new_context(viewport={"width": 1180, "height": 720})
            stack.callback(context.close)
            window = Window(context.new_page())
            window.open(server.url(workspace, file))
            window.editor.wait_for()
            return Desk(window, workspace, file, holds, server, context)

        yield make


def _end_kept(runtime: Path) -> None:
    for pid in kept_servers(runtime):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not kept_servers(runtime), "the kept servers end", 15)
