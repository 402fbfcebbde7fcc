"""The Neovim plugin after a death: of the editor, of the server, of neither but under ten thousand deltas."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
DELTAS = 10_000


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.py": "x = 1\n"})


def test_a_killed_editor_finds_its_session_again(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"when": "one", "do": [{"text": "The first answer."}]},
        {"when": "two", "do": [{"text": "Half of the second", "deltas": 5}, {"hold": "half"}]},
        {"when": "three", "times": 0, "do": [{"text": "The third answer."}]},
    ]
    nvim = PluginNvim(tmp_path / "home", workspace, script)
    nvim.__enter__()
    nvim.open(workspace / "a.py")
    nvim.api.command("Agent ask one")
    nvim.until(nvim.completes)
    nvim.api.command("Agent ask two")
    nvim.until(lambda: nvim.held("half") and "Half of the second" in nvim.chat())
    before, server = nvim.view(), nvim.server_pid()
    nvim.kill()
    # the server ends with its editor
    psutil.wait_procs([psutil.Process(server)] if psutil.pid_exists(server) else [], timeout=20)
    assert not psutil.pid_exists(server)

    with PluginNvim(tmp_path / "home", workspace, script) as again:
        again.open(workspace / "a.py")
        again.api.command("Agent open")
        again.api.input("<Esc>")
        again.until(lambda: len(again.view().get("messages", [])) == 4)
        model = again.view()
        assert model["sessionId"] == before["sessionId"]
        texts = [(message["role"], message["text"]) for message in model["messages"]]
        assert texts == [
            ("user", "one"),
            ("assistant", "The first answer."),
            ("user", "two"),
            ("assistant", "Half of the second"),
        ]
        assert model["messages"][3]["finish"]["reason"] != "end_turn"
        assert "Half of the second" in again.chat()
        again.api.command("wincmd t")
        again.api.command("Agent ask three")
        again.until(lambda: again.view()["messages"][-1]["text"] == "The third answer.")
        assert again.view()["sessionId"] == before["sessionId"]


def stored(nvim: PluginNvim, session_id: str) -> list[str]:
    """The texts of the session's messages in the database."""
    messages = nvim.lua(
        "local client = require('lsp_agent.chat').here():client() "
        "return client:request_sync('agent/session/read', { sessionId = ... }, 10000).result.messages",
        session_id,
    )
    return ["".join(part["text"] for part in message["parts"] if part["type"] == "text") for message in messages]


def test_a_killed_server_comes_back_and_the_chat_goes_on(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"when": "one", "do": [{"text": "Half", "deltas": 2}, {"hold": "half"}]},
        {"when": "two", "times": 0, "do": [{"text": "Alive again."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.until(lambda: [message["text"] for message in nvim.view()["messages"]] == ["one", "Half"])
        session = nvim.view()["sessionId"]
        nvim.until(lambda: stored(nvim, session) == ["one", "Half"])  # what is shown may be a moment ahead of the store
        os.kill(nvim.server_pid(), signal.SIGKILL)
        done = nvim.until(nvim.completes)[0]
        assert done["stopReason"] == "interrupted"
        nvim.api.command("Agent ask two")
        nvim.until(lambda: nvim.view()["messages"][-1]["text"] == "Alive again.")
        model = nvim.view()
        assert model["sessionId"] == session
        assert [message["text"] for message in model["messages"]] == ["one", "Half", "two", "Alive again."]
        assert nvim.chat().count("Half") == 1
        assert any("starting it again" in said for said in nvim.said())


def test_restart_on_request_keeps_the_session(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        first, before = nvim.server_pid(), nvim.view()
        nvim.api.command("Agent restart")
        nvim.until(lambda: nvim.is_ready() and first not in nvim.server_pids())
        nvim.api.command("Agent ask two")
        nvim.until(lambda: len(nvim.completes()) == 2)
        assert nvim.view()["sessionId"] == before["sessionId"]
        assert [message["text"] for message in nvim.view()["messages"]] == ["one", "Yes.", "two", "Yes."]


def test_ten_thousand_deltas_are_byte_exact_and_the_editor_answers_meanwhile(
    tmp_path: Path, workspace: Path, record_property: Any
) -> None:
    piece = "wörd 😀 `x`\n"
    script = [TITLE, {"do": [{"text": piece, "repeat": DELTAS, "deltas": 1}, {"think": "Hm.\n" * 50, "deltas": 200}]}]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent open")
        nvim.api.input("<Esc>")
        nvim.api.command("wincmd t")
        started = time.monotonic()
        nvim.api.command("Agent ask go")
        waits = []
        while not nvim.completes():
            before = time.monotonic()
            nvim.api.command("normal! l")
            waits.append(time.monotonic() - before)
            assert time.monotonic() - started < 50
        took = time.monotonic() - started
        waits.sort()
        record_property("deltas_per_s", round(DELTAS / took))
        record_property("input_ms_median", round(1000 * waits[len(waits) // 2], 1))
        record_property("input_ms_max", round(1000 * waits[-1], 1))
        print(
            f"{DELTAS / took:.0f} deltas/s, input {1000 * waits[len(waits) // 2]:.1f} ms, {1000 * waits[-1]:.1f} ms max"
        )
        expected = piece * DELTAS
        assert nvim.view()["messages"][-1]["text"] == expected
        nvim.until(lambda: expected in nvim.chat() + "\n")  # the last frame is drawn a moment after the end
        assert nvim.chat().count(piece.strip()) == DELTAS


def test_the_mode_in_force_is_shown_from_the_first_prompt_on_and_after_a_restart(
    tmp_path: Path, workspace: Path
) -> None:
    """It is that of the configuration: no event tells it."""
    script = [{"times": 0, "do": [{"text": "Yes."}]}]
    full_auto = '[permissions]\nmode = "full-auto"\n'

    def shown(nvim: PluginNvim) -> bool:
        return "full-auto" in nvim.lua("return require('lsp_agent').statusline()")

    with PluginNvim(tmp_path / "home", workspace, script, config=full_auto) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        nvim.until(lambda: shown(nvim))
    with PluginNvim(tmp_path / "home", workspace, script, config=full_auto) as nvim:
        nvim.open(workspace / "a.py")
        nvim.connect()
        nvim.until(lambda: nvim.view().get("messages"))
        nvim.until(lambda: shown(nvim))
