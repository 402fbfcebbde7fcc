"""Without any server the extension installs the one it carries, and then the chat answers. Real Python, real pip."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vscode.code_server import (
    EXTENSION,
    NODE_VENV,
    ROOT,
    VSIX,
    CodeServer,
    Window,
    install_extension,
    until,
)
from tests.vscode.newcomer import (
    MISSPELLED,
    answer_by_key,
    empty_environment,
    end_servers,
    first_words,
    install_from_notification,
    notification,
    press,
)

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packaged(browser: Any) -> None:
    """The .vsix carries the server as it is now."""
    newest = max(path.stat().st_mtime for path in (ROOT / "lsp_agent").rglob("*.py"))
    if VSIX.stat().st_mtime < newest or not list((EXTENSION / "server").glob("*.whl")):
        environment = {**os.environ, "PATH": f"{NODE_VENV / 'bin'}:{os.environ['PATH']}"}
        subprocess.run(["npm", "run", "package"], cwd=EXTENSION, env=environment, check=True, timeout=300)


@pytest.fixture
def newcomer(packaged: None, tmp_path: Path) -> Iterator[CodeServer]:
    """A code-server in an empty home directory, on a machine without the server."""
    home, extensions = tmp_path / "home", tmp_path / "extensions"
    home.mkdir()
    with empty_environment(home):
        install_extension(extensions, home)
        with CodeServer.run(home, extensions) as server:
            yield server
            end_servers(server)


def _window(server: CodeServer, pages: Any, folder: Path, **settings: Any) -> Window:
    (folder / ".vscode").mkdir(parents=True)
    (folder / ".vscode/settings.json").write_text(json.dumps(settings))
    (folder / "sums.py").write_text("def add(a, b):\n    return a + b\n\n\n")
    window = Window(pages.new_page())
    window.open(server.url(folder, folder / "sums.py"))
    window.editor.wait_for()
    return window


def _marks(home: Path) -> list[Path]:
    return list((home / "data/User/globalStorage/lsp-agent.lsp-agent/server").glob("*/installed.json"))


def test_without_a_server_the_extension_installs_its_own_and_the_chat_answers(
    newcomer: CodeServer, pages: Any, tmp_path: Path, record_property: Any
) -> None:
    window = _window(newcomer, pages, tmp_path / "project")
    notification(window, "needs its server")
    window.picture("vscode-install")
    window.type_at_end(MISSPELLED)
    began = time.monotonic()
    install_from_notification(window)
    record_property("seconds to install", round(time.monotonic() - began, 1))
    answer_by_key(window, first_words(window))
    assert (tmp_path / "project/sums.py").read_text() == "def add(a, b):\n    return a + b\n\n\n"
    assert len(_marks(newcomer.home)) == 1

    # it is there the next time, and not offered again
    window.reload()
    chat = window.open_chat()
    chat.locator(".message.assistant").first.wait_for()
    assert window.page.locator(".codicon-bell-dot").count() == 0
    window.close()


def test_not_now_leaves_a_button_and_without_a_fitting_python_it_says_what_was_found(
    newcomer: CodeServer, pages: Any, tmp_path: Path
) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$*" in *lsp_agent*) exit 1 ;; esac\necho 3.9.2; echo True\n')
    old.chmod(0o755)
    environment = {"PATH": str(tmp_path)}
    window = _window(newcomer, pages, tmp_path / "project", **{"lspAgent.server.environment": environment})
    press(notification(window, "needs its server"), "Not now")
    window.command("Agent: Open Chat")
    button = window.chat.locator("#head button", has_text="Install")
    button.wait_for()
    assert "No server found" in window.chat.locator("#head").inner_text()
    button.click()
    said = notification(window, "Python 3.11 or later is needed")
    assert "python3 is 3.9.2" in said.inner_text()
    press(said, "Choose Python")
    row = window.page.locator(".quick-input-list .monaco-list-row", has_text="Python 3.9.2")
    row.wait_for()
    assert "too old" in row.inner_text()
    assert _marks(newcomer.home) == []
    until(lambda: window.page.locator(".quick-input-list .monaco-list-row", has_text="Browse").count() == 1, "browsing")
    window.close()
