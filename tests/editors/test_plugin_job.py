"""The Neovim plugin does the main job: commands, chat, keys, undo, queue, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

SOURCE = "def greet():\n    return 'helo'\n"
TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}


def edit_script(file: Path) -> list[dict[str, Any]]:
    edit = {"file_path": str(file), "old_string": "'helo'", "new_string": "'hello'"}
    return [
        TITLE,
        {
            "after": "user",
            "do": [
                {"think": "A typing error.\nEasy.", "deltas": 3},
                {"text": "I will look.", "deltas": 4},
                {"tool": "view", "input": {"file_path": str(file)}},
            ],
        },
        {"after": "tool", "do": [{"text": "Correcting it."}, {"tool": "edit", "input": edit}]},
        {"after": "tool", "do": [{"text": "Done: it says **hello** now.", "deltas": 5}]},
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"greet.py": SOURCE})


def test_the_plugin_loads_only_when_it_is_used_and_is_healthy(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        nvim.lua(
            "for name in pairs(package.loaded) do if name:match('^lsp_agent') then package.loaded[name] = nil end end"
        )
        assert nvim.api.funcs.exists(":Agent") == 2
        assert nvim.lua("return require('lsp_agent').statusline()") == ""
        loaded = nvim.lua(
            "return vim.tbl_filter(function(n) return n:match('^lsp_agent') end, vim.tbl_keys(package.loaded))"
        )
        assert loaded == ["lsp_agent"]
        found = nvim.api.funcs.getcompletion("Agent ", "cmdline")
        for name in (
            "ask",
            "attach",
            "compact",
            "diff",
            "export",
            "fork",
            "log",
            "mode",
            "model",
            "new",
            "open",
            "queue",
        ):
            assert name in found
        assert nvim.api.funcs.getcompletion("Agent mode a", "cmdline") == ["ask", "accept-edits"]
        nvim.lua("require('lsp_agent').setup(...)", {"cmd": nvim.server, "cmd_env": nvim.server_env})
        nvim.api.command("checkhealth lsp_agent")
        report = nvim.text()
        assert "ERROR" not in report
        assert "lsp-agent 0.1.0" in report
        assert "WARNING" not in report


def test_a_wrong_setting_is_named(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        problem = nvim.lua("local _, e = pcall(require('lsp_agent').setup, { comand = {} }); return e")
        assert "comand" in problem


def test_ask_answer_by_key_and_undo(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "greet.py"
    with PluginNvim(tmp_path / "home", workspace, edit_script(file)) as nvim:
        nvim.open(file)
        nvim.api.input("ggO# not saved — ünsaved 😀<Esc>")
        nvim.until(lambda: "ünsaved" in nvim.text())
        before = nvim.text()
        nvim.api.command("Agent ask Correct the typing error")
        record = nvim.until(nvim.pending)[0]
        assert nvim.text() == before
        shown = nvim.until(lambda: "### Permission" in nvim.chat() and nvim.chat())
        assert "-    return 'helo'" in shown
        assert "+    return 'hello'" in shown
        assert "- `a` Allow once" in shown
        assert "1 to answer" in nvim.lua("return require('lsp_agent').statusline()")
        editor = nvim.api.current.window
        nvim.focus_chat()
        nvim.api.input("a")
        done = nvim.until(nvim.completes)
        nvim.api.current.window = editor
        assert done[0]["stopReason"] == "end_turn"
        assert nvim.text() == before.replace("helo", "hello")
        assert file.read_text() == SOURCE
        assert nvim.api.current.buffer.options["modified"]
        marks = nvim.lua("return require('lsp_agent.changes').count()")
        assert marks == 1
        nvim.api.command("undo")
        assert nvim.text() == before, "one step takes the edit back, and only the edit"
        nvim.api.command("redo")
        assert nvim.text() == before.replace("helo", "hello")
        model = nvim.view()
        assert [message["role"] for message in model["messages"]] == ["user", "assistant", "assistant", "assistant"]
        assert model["messages"][0]["attachments"][0]["type"] == "buffer"
        assert model["messages"][1]["thought"] == "A typing error.\nEasy."
        assert [tool["status"] for message in model["messages"] for tool in message["tools"]] == ["completed"] * 2
        assert model["messages"][3]["text"] == "Done: it says **hello** now."
        nvim.until(lambda: nvim.view()["state"] == "idle")
        nvim.until(lambda: record["title"] in "\n".join(nvim.chat().splitlines()))
        nvim.until(lambda: "allow once" in nvim.chat())
        assert len(nvim.completes()) == 1


def test_undo_command_leaves_what_was_typed_since(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "greet.py"
    with PluginNvim(tmp_path / "home", workspace, edit_script(file)) as nvim:
        nvim.open(file)
        nvim.api.command("Agent ask Correct it")
        nvim.until(nvim.pending)
        nvim.lua("require('lsp_agent.permission').answer(require('lsp_agent.chat').here(), 'allow_once')")
        nvim.until(nvim.completes)
        nvim.api.input("Go# typed since<Esc>")
        nvim.until(lambda: "typed since" in nvim.text())
        editor = nvim.api.current.window
        nvim.api.command("Agent changes")
        assert nvim.api.funcs.getqflist()[0]["lnum"] == 2
        nvim.api.command("cclose")
        nvim.api.current.window = editor
        nvim.api.command("normal! gg")
        nvim.api.command("Agent next")
        assert nvim.api.current.window.cursor[0] == 2
        nvim.api.command("Agent diff")
        assert "@@ line 2 @@\n-    return 'helo'\n+    return 'hello'\n" in nvim.text()
        nvim.api.command("close")
        nvim.api.command("Agent undo")
        nvim.until(lambda: nvim.text() == SOURCE + "# typed since\n")
        nvim.until(lambda: nvim.lua("return require('lsp_agent.changes').count()") == 0)


def test_a_rejection_with_a_message_reaches_the_model(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "greet.py"
    script = edit_script(file)
    script[-1] = {"after": "tool", "do": [{"text": "I see: {{tool_result}}"}]}
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(file)
        nvim.api.command("Agent ask Correct it")
        nvim.until(nvim.pending)
        nvim.lua("vim.ui.input = function(_, answer) answer('leave it, please') end")
        nvim.focus_chat()
        nvim.api.input("m")
        done = nvim.until(nvim.completes)[0]
        assert "leave it, please" in done["text"]
        assert file.read_text() == SOURCE


def test_a_range_is_attached_as_a_selection(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "greet.py"
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"do": [{"text": "I see."}]}]) as nvim:
        nvim.open(file)
        nvim.api.command("2,2Agent ask Explain this @greet.py")
        nvim.until(nvim.completes)
        attached = nvim.view()["messages"][0]["attachments"]
        assert [item["type"] for item in attached] == ["selection", "file"]
        assert (attached[0]["startLine"], attached[0]["endLine"]) == (1, 1)


def test_a_selection_of_characters_is_attached_as_it_is(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "greet.py"
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"do": [{"text": "I see."}]}]) as nvim:
        nvim.open(file)
        nvim.api.input("gg0wve<Esc>")
        nvim.lua(
            "Sent = {} local send = require('lsp_agent.sending').ask "
            "require('lsp_agent.sending').ask = function(c, p, o, a) table.insert(Sent, o) return send(c, p, o, a) end"
        )
        nvim.api.command("'<,'>Agent ask What is this?")
        nvim.until(nvim.completes)
        attached = nvim.lua("return Sent[1].attachments()")
        assert [item["type"] for item in attached] == ["selection"]
        assert attached[0]["range"] == {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 9}}
        assert nvim.view()["messages"][0]["attachments"][0]["type"] == "selection"


def test_a_second_prompt_waits_can_be_edited_and_cancelled(tmp_path: Path, workspace: Path) -> None:
    script = [TITLE, {"when": "first", "do": [{"text": "Thinking"}, {"hold": "first"}, {"text": " … done."}]}]
    script += [{"when": "secondly", "do": [{"text": "Second answer."}, {"hold": "second"}]}]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "greet.py")
        nvim.api.command("Agent ask first")
        nvim.until(lambda: nvim.held("first"))
        nvim.api.command("Agent ask second")
        nvim.until(lambda: nvim.view()["queue"]["count"] == 1)
        nvim.api.command("Agent ask third")
        nvim.until(lambda: nvim.view()["queue"]["count"] == 2)
        nvim.api.command("Agent queue")
        assert nvim.text().startswith("1  second\n2  third")
        nvim.api.input("e")
        nvim.until(lambda: nvim.text() == "second\n")
        nvim.api.input("Aly<Esc><CR>")
        nvim.api.command("Agent queue")
        nvim.until(lambda: nvim.text().startswith("1  secondly"))
        nvim.api.input("J")
        nvim.until(lambda: nvim.text().startswith("1  third\n2  secondly"))
        nvim.api.input("ggx")
        nvim.until(lambda: nvim.text().startswith("1  secondly\n"))
        nvim.release("first")
        nvim.until(lambda: nvim.held("second"))
        assert nvim.view()["messages"][1]["text"] == "Thinking … done."
        nvim.api.command("Agent stop")
        nvim.until(lambda: len(nvim.completes()) == 3)
        assert sorted(done["stopReason"] for done in nvim.completes()) == ["cancelled", "cancelled", "end_turn"]
        assert nvim.until(lambda: nvim.view()["state"] == "idle")


def test_sessions_are_listed_renamed_forked_exported_and_configured(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]) as nvim:
        nvim.open(workspace / "greet.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        first = nvim.view()["sessionId"]
        nvim.api.command("Agent rename The first")
        nvim.until(lambda: nvim.view()["title"] == "The first")
        nvim.until(lambda: nvim.chat().startswith("# The first\n"))
        nvim.api.command("Agent mode plan")
        nvim.until(lambda: "plan" in nvim.lua("return require('lsp_agent').statusline()"))
        nvim.api.command("Agent fork")
        nvim.until(lambda: nvim.view()["sessionId"] != first)
        assert [message["text"] for message in nvim.view()["messages"]] == ["one", "Yes."]
        nvim.api.command("Agent new")
        assert nvim.view() == {}
        nvim.api.command("Agent sessions")
        listed = nvim.until(lambda: "The first" in nvim.text() and nvim.text())
        assert len(listed.splitlines()) == 2
        nvim.api.input("G<CR>")
        nvim.until(lambda: nvim.view().get("sessionId") == first)
        nvim.until(lambda: "The first" in nvim.chat())
        nvim.api.command("Agent export")
        nvim.until(lambda: nvim.text().startswith("# The first"))
        assert "Yes." in nvim.text()


@pytest.mark.parametrize("by", ["the server", "the plugin"])
def test_a_hunk_has_its_signs_and_its_old_text_and_can_be_put_back(tmp_path: Path, workspace: Path, by: str) -> None:
    file = workspace / "greet.py"
    with PluginNvim(tmp_path / "home", workspace, edit_script(file)) as nvim:
        nvim.open(file)
        if by == "the plugin":  # as with a server that keeps no changes
            nvim.lua(
                "local c = require('lsp_agent.chat').here() c:when_ready(function() c.abilities.changes = nil end)"
            )
            nvim.until(lambda: nvim.lua("return require('lsp_agent.chat').here().ready"))
        nvim.api.command("Agent ask Correct it")
        nvim.until(nvim.pending)
        nvim.lua("require('lsp_agent.permission').answer(require('lsp_agent.chat').here(), 'allow_once')")
        nvim.until(nvim.completes)
        marks = nvim.lua(
            "return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('lsp_agent_changes'), 0, -1, "
            "{ details = true })"
        )
        assert [(mark[1], mark[3]["end_row"], mark[3]["virt_lines"][0][0][0]) for mark in marks] == [
            (1, 1, "    return 'helo'")
        ]
        nvim.api.command("normal! G")
        nvim.api.command("Agent reject")
        nvim.until(lambda: nvim.text() == SOURCE)
        nvim.api.command("undo")
        assert nvim.text() == SOURCE.replace("helo", "hello")


def test_the_users_own_enable_is_the_same_client(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"do": [{"text": "Yes."}]}]) as nvim:
        nvim.lua("vim.lsp.enable('lsp_agent')")
        nvim.api.command("filetype on")
        nvim.open(workspace / "greet.py")
        nvim.until(lambda: nvim.lua("return #vim.lsp.get_clients({ name = 'lsp_agent', bufnr = 0 }) == 1"))
        nvim.api.command("Agent ask go")
        nvim.until(nvim.completes)
        assert nvim.lua("return #vim.lsp.get_clients()") == 1
