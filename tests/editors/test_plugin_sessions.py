"""Sessions in the Neovim plugin: the list and its keys, models, modes, thinking, and what `:Agent` completes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
YES: list[dict[str, Any]] = [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.py": "x = 1\n"})


@pytest.fixture
def nvim(tmp_path: Path, workspace: Path) -> Iterator[PluginNvim]:
    """Two sessions, `apples` and `pears`; the second is shown."""
    with PluginNvim(tmp_path / "home", workspace, YES) as editor:
        editor.open(workspace / "a.py")
        for number, title in enumerate(("apples", "pears"), 1):
            editor.api.command("Agent new")
            editor.api.command(f"Agent ask about {title}")
            editor.until(lambda wanted=number: len(editor.completes()) == wanted)
            editor.api.command(f"Agent rename {title}")
            editor.until(lambda wanted=title: editor.view().get("title") == wanted)
        editor.api.command("wincmd t")
        yield editor


def open_list(nvim: PluginNvim, words: str = "") -> list[str]:
    nvim.api.command(f"Agent sessions {words}")
    nvim.until(lambda: "messages" in nvim.text())
    return nvim.text().splitlines()


def test_the_list_opens_renames_forks_exports_and_deletes(nvim: PluginNvim) -> None:
    lines = open_list(nvim)
    assert len(lines) == 2
    assert lines[0].startswith("● ")
    assert "pears (2 messages" in lines[0]
    pears = nvim.view()["sessionId"]
    nvim.lua("vim.ui.input = function(o, answer) Asked = o.default; answer('oranges') end")
    nvim.api.input("/apples<CR>r")
    nvim.until(lambda: "oranges" in nvim.text())
    assert nvim.lua("return Asked") == "apples"
    assert nvim.view()["sessionId"] == pears, "another one was renamed, this one is still shown"
    nvim.api.input("gg/oranges<CR>e")
    nvim.until(lambda: nvim.text().startswith("# oranges"))
    nvim.api.command("close")
    nvim.api.input("gg/oranges<CR><CR>")
    nvim.until(lambda: nvim.view().get("title") == "oranges")
    open_list(nvim)
    nvim.api.input("gg/pears<CR>f")
    nvim.until(lambda: nvim.view().get("sessionId") not in (None, pears) and nvim.view()["title"] == "pears (fork)")
    assert len(open_list(nvim)) == 3
    nvim.choose("Keep", "Delete it")
    nvim.api.input("gg/pears (2<CR>d")
    assert 'Delete "pears"' in nvim.shown()[0][0]
    assert len(nvim.text().splitlines()) == 3
    nvim.api.input("d")
    nvim.until(lambda: len(nvim.text().splitlines()) == 2)
    assert "pears (2" not in nvim.text()


def test_the_list_can_be_asked_for_words_and_begin_a_session(nvim: PluginNvim) -> None:
    lines = open_list(nvim, "apples")
    assert len(lines) == 1
    assert "  apples (2 messages)" in lines[0]
    nvim.api.input("n")
    nvim.until(lambda: nvim.view() == {})
    assert "New session" in nvim.chat()


def test_the_session_that_is_shown_is_deleted_when_the_user_says_so_twice(nvim: PluginNvim) -> None:
    nvim.choose("Delete it")
    nvim.api.command("Agent delete")
    nvim.until(lambda: nvim.view() == {})
    nvim.choose("apples")
    nvim.lua("require('lsp_agent.config').get().sessions = 'select'")
    nvim.api.command("Agent sessions")
    assert len(nvim.shown()[0][1]) == 1
    nvim.until(lambda: nvim.view().get("title") == "apples")


def test_models_modes_and_thinking_are_picked(nvim: PluginNvim) -> None:
    nvim.choose("scripted", "accept-edits")
    nvim.api.command("Agent model")
    prompt, names = nvim.shown()[0]
    assert prompt == "Model"
    assert [name for name in names if "in use" in name] == ["play/scripted  (in use)"]
    nvim.until(lambda: nvim.view()["options"])
    nvim.api.command("Agent mode")
    nvim.until(lambda: "accept-edits" in nvim.lua("return require('lsp_agent').statusline()"))
    assert nvim.shown(2)[1][0] == "Mode"
    assert nvim.api.funcs.getcompletion("Agent model pl", "cmdline") == ["play/scripted"]
    levels = nvim.api.funcs.getcompletion("Agent thinking ", "cmdline")
    assert "off" in levels
    nvim.choose("off")
    nvim.api.command("Agent thinking")
    assert min(nvim.shown()[0][1]).startswith("off")
    nvim.until(lambda: {"thinking": "off"} in [{o["optionId"]: o.get("value")} for o in nvim.view()["options"]])


def test_every_sub_command_completes_what_it_takes(nvim: PluginNvim) -> None:
    def found(line: str) -> list[str]:
        return list(nvim.api.funcs.getcompletion(line, "cmdline"))

    names = found("Agent ")
    help_of = nvim.lua("return require('lsp_agent.commands').help()")
    assert names == sorted(help_of)
    assert all(help_of.values())
    values = {
        "accept": ["all"],
        "export": ["markdown", "json"],
        "mode": ["ask", "plan", "accept-edits", "full-auto"],
        "permission": ["allow_once", "allow_session", "allow_always", "reject_once", "reject_always"],
        "queue": ["clear"],
        "reject": ["all"],
    }
    assert {name: found(f"Agent {name} ") for name in values} == values
    assert found("Agent export m") == ["markdown"]
    assert found("Agent attach a") == ["a.py"]
    assert found("Agent ask look at @a") == ["@a.py"]
    assert found("1,1Agent! ask look at @a") == ["@a.py"]


def test_every_sub_command_may_be_called_bare(nvim: PluginNvim, workspace: Path) -> None:
    nvim.lua("vim.ui.input = function(_, answer) answer(nil) end")
    nvim.choose()
    for name in nvim.api.funcs.getcompletion("Agent ", "cmdline"):
        if name not in ("new", "restart", "fork"):
            nvim.api.command(f"Agent {name}")
            nvim.api.input("<Esc>")
            nvim.until(lambda: nvim.api.eval("mode()") == "n")
            nvim.api.command("only")
            nvim.open(workspace / "a.py")
    assert nvim.lua("return vim.v.errmsg") == ""
    assert nvim.view()["title"] == "pears"


def test_every_sub_command_without_a_session_says_so_and_breaks_nothing(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.connect()
        nvim.lua("vim.ui.input = function(_, answer) answer(nil) end")
        nvim.choose()
        for name in nvim.api.funcs.getcompletion("Agent ", "cmdline"):
            if name not in ("restart", "log"):
                nvim.api.command(f"Agent {name}")
                nvim.api.input("<Esc>")
                nvim.api.command("only")
                nvim.open(workspace / "a.py")
        nvim.connect()
        assert nvim.lua("return vim.v.errmsg") == ""
        nvim.api.command("Agent nonsense")
        assert "there is no :Agent nonsense" in nvim.said()[-1]
