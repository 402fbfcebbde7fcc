"""The Neovim plugin when things go wrong: no server, a broken or killed one, buffers taken away, a hurried leave."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.editors.nvim import close
from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
YES: list[dict[str, Any]] = [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]
HALF: list[dict[str, Any]] = [
    TITLE,
    {"when": "one", "do": [{"text": "Half", "deltas": 2}, {"hold": "half"}, {"text": " and whole.", "deltas": 3}]},
    {"times": 0, "do": [{"text": "Yes."}]},
]
INPUT = (
    "local b = require('lsp_agent.input').bufnr(require('lsp_agent.chat').here()) "
    "return b and table.concat(vim.api.nvim_buf_get_lines(b, 0, -1, false), '\\n')"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.py": "x = 1\n", "b.py": "y = 2\n"})


def write_prompt(nvim: PluginNvim, text: str) -> None:
    """Open the input and send."""
    nvim.api.command("Agent open")
    nvim.api.input(f"{text}<C-s>")
    nvim.until(lambda: nvim.api.eval("mode()") == "n")


def test_a_server_that_is_not_there_is_told_with_what_to_do_and_the_prompt_comes_back(
    tmp_path: Path, workspace: Path
) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES, cmd=["/nowhere/lsp-agent", "serve"]) as nvim:
        nvim.open(workspace / "a.py")
        write_prompt(nvim, "what is x?")
        said = nvim.until(nvim.said)[-1]
        assert "/nowhere/lsp-agent" in said
        assert "pip install" in said
        assert "setup({ cmd =" in said
        assert nvim.until(lambda: nvim.lua(INPUT)) == "what is x?"
        nvim.lua("require('lsp_agent').setup(...)", {"cmd": nvim.server, "cmd_env": nvim.server_env})
        nvim.api.input("<CR>")
        assert nvim.until(nvim.completes)[0]["stopReason"] == "end_turn"
        assert [message["text"] for message in nvim.view()["messages"]] == ["what is x?", "Yes."]
        assert nvim.lua(INPUT) == ""


def test_a_server_that_dies_at_once_is_given_up_with_its_last_words(tmp_path: Path, workspace: Path) -> None:
    dying = [sys.executable, "-c", "import sys; print('no such \"thing\"', file=sys.stderr); sys.exit(3)"]
    with PluginNvim(tmp_path / "home", workspace, YES, cmd=dying, restarts=1) as nvim:
        nvim.open(workspace / "a.py")
        write_prompt(nvim, "what is x?")
        last = nvim.until(lambda: next((said for said in nvim.said() if ":Agent restart" in said), None))
        assert "code 3" in last
        assert 'no such "thing"' in last
        assert nvim.until(lambda: nvim.lua(INPUT)) == "what is x?"
        assert sum("starting it again" in said for said in nvim.said()) == 1


def test_a_prompt_the_killed_server_had_not_answered_is_run_once_by_the_next(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.connect()
        server = psutil.Process(nvim.server_pid())
        server.suspend()
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.lua("return next(require('lsp_agent.chat').here().unanswered) ~= nil"))
        os.kill(server.pid, signal.SIGKILL)
        done = nvim.until(nvim.completes)
        assert done[0]["stopReason"] == "end_turn"
        assert [message["text"] for message in nvim.view()["messages"]] == ["one", "Yes."]
        assert nvim.lua("return next(require('lsp_agent.chat').here().unanswered)") is None
        assert len(nvim.completes()) == 1


def test_prompts_sent_at_once_begin_one_session_and_keep_their_order_over_a_killed_server(
    tmp_path: Path, workspace: Path
) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.connect()
        server = psutil.Process(nvim.server_pid())
        server.suspend()
        for name in ("one", "two", "three"):
            nvim.api.command(f"Agent ask {name}")
        nvim.until(lambda: nvim.lua("return #require('lsp_agent.chat').here().behind") == 2)
        os.kill(server.pid, signal.SIGKILL)
        nvim.until(lambda: len(nvim.completes()) == 3)
        texts = [message["text"] for message in nvim.view()["messages"]]
        assert texts == ["one", "Yes.", "two", "Yes.", "three", "Yes."]
        server = psutil.Process(nvim.server_pid())
        server.suspend()
        for name in ("four", "five", "six"):
            nvim.api.command(f"Agent ask {name}")
        nvim.until(lambda: nvim.lua("return vim.tbl_count(require('lsp_agent.chat').here().unanswered)") == 3)
        os.kill(server.pid, signal.SIGKILL)
        nvim.until(lambda: len(nvim.completes()) == 6)
        asked = [message["text"] for message in nvim.view()["messages"] if message["role"] == "user"]
        assert asked == ["one", "two", "three", "four", "five", "six"]


def test_what_cannot_be_sent_comes_back_in_order_below_what_is_written(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES, cmd=["/nowhere/lsp-agent", "serve"]) as nvim:
        nvim.open(workspace / "a.py")
        for name in ("one", "two"):
            nvim.api.command(f"Agent ask {name}")
        assert nvim.until(lambda: nvim.lua(INPUT)) == "one\n\ntwo"


def test_a_word_for_a_turn_that_died_with_its_server_comes_back_to_the_input(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half") and "Half" in nvim.chat())
        server = psutil.Process(nvim.server_pid())
        server.suspend()
        nvim.api.command("Agent steer be brief")
        nvim.until(lambda: nvim.lua("return next(require('lsp_agent.chat').here().unanswered) ~= nil"))
        os.kill(server.pid, signal.SIGKILL)
        assert nvim.until(lambda: nvim.lua(INPUT)) == "be brief"
        assert nvim.lua("return next(require('lsp_agent.chat').here().unanswered)") is None


def test_an_edited_prompt_comes_back_to_the_input_when_the_server_dies_over_it(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.api.command("Agent ask two")
        nvim.until(lambda: "1 queued" in nvim.lua("return require('lsp_agent').statusline()"))
        nvim.api.command("Agent queue")
        nvim.api.input("e")
        nvim.until(lambda: nvim.lua(INPUT) == "two")
        server = psutil.Process(nvim.server_pid())
        server.suspend()
        nvim.api.input("A, edited<Esc><CR>")
        nvim.until(lambda: nvim.lua("return next(require('lsp_agent.chat').here().unanswered) ~= nil"))
        assert nvim.lua(INPUT) == ""
        os.kill(server.pid, signal.SIGKILL)
        assert nvim.until(lambda: nvim.lua(INPUT)) == "two, edited"
        nvim.until(lambda: len(nvim.completes()) == 2)


def test_a_late_word_about_the_queue_does_not_undo_a_later_one(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        for number, name in enumerate(("two", "three"), 1):
            nvim.api.command(f"Agent ask {name}")
            nvim.until(lambda wanted=number: nvim.view()["queue"]["count"] == wanted)
        # its event comes when it is stored, and the answer to the next request may be faster
        late = (
            "local chat = require('lsp_agent.chat').here() local queue = chat:session().queue "
            "chat:event({ sessionId = chat.current, seq = chat:session().seq + 1, update = "
            "{ sessionUpdate = 'queue_update', revision = queue.revision - 1, count = 1, items = { queue.items[1] } } }) "
            "return chat:session().queue.count"
        )
        assert nvim.lua(late) == 2
        nvim.api.command("Agent queue clear")
        nvim.until(lambda: nvim.view()["queue"]["count"] == 0)
        assert nvim.said() == []


def test_a_refused_prompt_comes_back_to_the_input(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF, when_busy="reject") as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        write_prompt(nvim, "two")
        nvim.until(lambda: any("busy" in said for said in nvim.said()))
        assert nvim.lua(INPUT) == "two"
        nvim.release("half")
        nvim.until(nvim.completes)


def test_setup_may_be_called_again(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.lua("require('lsp_agent').setup(...)", {"cmd": ["/nowhere"], "keys": {"stop": "X"}})
        nvim.lua("require('lsp_agent').setup(...)", {"cmd": nvim.server, "cmd_env": nvim.server_env})
        assert nvim.lua("return require('lsp_agent.config').get().keys.stop") == "<C-c>"
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        nvim.lua("require('lsp_agent').setup(...)", {"cmd": nvim.server, "cmd_env": nvim.server_env})
        nvim.api.command("runtime plugin/lsp_agent.lua")
        nvim.api.command("Agent ask two")
        nvim.until(lambda: len(nvim.completes()) == 2)
        assert len(nvim.server_pids()) == 1
        assert len(nvim.view()["messages"]) == 4


@pytest.mark.parametrize("command", ["bwipeout!", "bdelete!", "bunload!"])
def test_the_chat_buffer_may_be_thrown_away_in_the_middle_of_an_answer(
    tmp_path: Path, workspace: Path, command: str
) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half") and "Half" in nvim.chat())
        nvim.focus_chat()
        nvim.api.command(command)
        nvim.release("half")
        nvim.until(nvim.completes)
        nvim.api.command("Agent open")
        nvim.api.input("<Esc>")
        nvim.until(lambda: "Half and whole." in nvim.chat())
        nvim.focus_chat()
        assert nvim.api.funcs.maparg("i", "n") != "", "its keys are there again"
        assert nvim.lua("return vim.v.errmsg") == ""


def test_what_is_written_into_the_chat_by_hand_is_put_right_with_the_next_word(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, HALF) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half") and "Half" in nvim.chat())
        nvim.focus_chat()
        # in one go: what is drawn in between makes the buffer unmodifiable again
        nvim.api.command("setlocal modifiable | %delete | normal! oscribbled")
        nvim.release("half")
        nvim.until(nvim.completes)
        chat = nvim.until(lambda: "Half and whole." in nvim.chat() and nvim.chat())
        assert chat.startswith("# ")
        assert "scribbled" not in chat
        assert chat.count("Half") == 1


def test_the_input_may_be_thrown_away_too(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        for command in ("bdelete!", "bwipeout!"):
            nvim.api.command("Agent open")
            nvim.api.input("<Esc>")
            nvim.until(lambda: nvim.api.eval("mode()") == "n")
            nvim.api.command(command)
        write_prompt(nvim, "one")
        nvim.until(nvim.completes)


def test_a_second_tab_page_has_windows_of_its_own(tmp_path: Path, workspace: Path) -> None:
    shown = "return vim.tbl_map(function(w) return vim.fn.bufname(vim.fn.winbufnr(w)):match('agent://%a+') or '' end, "
    shown += "vim.api.nvim_tabpage_list_wins(0))"
    script = [TITLE, {"times": 0, "do": [{"tool": "write", "input": {"file_path": "c.py", "content": "z\n"}}]}]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent open")
        nvim.api.input("<Esc>")
        nvim.api.command(f"tabedit {workspace / 'b.py'}")
        nvim.api.command("Agent ask write it")
        nvim.until(nvim.pending)
        nvim.until(lambda: "### Permission" in nvim.chat())
        assert nvim.api.funcs.tabpagenr() == 2
        assert nvim.lua(shown) == ["", "agent://chat"]
        nvim.api.command("Agent open")
        nvim.api.input("<Esc>")
        assert nvim.api.funcs.tabpagenr() == 2
        assert nvim.lua(shown) == ["", "agent://chat", "agent://input"]
        nvim.api.command("Agent close")
        nvim.api.command("Agent stop")
        nvim.until(nvim.completes)


def test_leaving_while_a_run_is_active_is_quick_and_leaves_no_server_behind(tmp_path: Path, workspace: Path) -> None:
    nvim = PluginNvim(tmp_path / "home", workspace, HALF)
    nvim.__enter__()
    nvim.open(workspace / "a.py")
    nvim.api.command("Agent open")
    nvim.api.input("<Esc>")
    nvim.api.command("Agent ask one")
    nvim.until(lambda: nvim.held("half"))
    server = psutil.Process(nvim.server_pid())
    editor = psutil.Process(int(nvim.lua("return vim.uv.os_getpid()")))
    before = time.monotonic()
    try:
        nvim.api.command("qa")
    except (OSError, EOFError):
        pass  # it was gone before it could answer
    _, alive = psutil.wait_procs([editor], timeout=3)
    took = time.monotonic() - before
    close(nvim.api)
    assert alive == []
    assert took < 3
    assert psutil.wait_procs([server], timeout=10)[1] == []


def test_a_second_editor_in_the_same_workspace_is_told_who_holds_it(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as first:
        first.open(workspace / "a.py")
        first.api.command("Agent ask one")
        first.until(first.completes)
        with PluginNvim(tmp_path / "home", workspace, YES) as second:
            second.open(workspace / "b.py")
            second.api.command("Agent ask two")
            second.until(lambda: any("in use by" in said for said in second.said()))
        first.api.command("Agent ask three")
        first.until(lambda: len(first.completes()) == 2)
