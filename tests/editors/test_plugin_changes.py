"""Changes in the Neovim plugin with a server that keeps them: decide by hunk, by run, again after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
LINES = [f"line {number}" for number in range(1, 21)]
SOURCE = "\n".join(LINES) + "\n"
CHANGED = SOURCE.replace("line 3\n", "drei\n").replace("line 15\n", "fünfzehn\n")


def script(name: str) -> list[dict[str, Any]]:
    edits = [
        {"old_string": old, "new_string": new} for old, new in (("line 3\n", "drei\n"), ("line 15\n", "fünfzehn\n"))
    ]
    return [
        TITLE,
        {"after": "user", "do": [{"tool": "view", "input": {"file_path": name}}]},
        {"after": "tool", "do": [{"tool": "multiedit", "input": {"file_path": name, "edits": edits}}]},
        {"after": "tool", "times": 0, "do": [{"text": "Done."}]},
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.txt": SOURCE})


def changed(nvim: PluginNvim, workspace: Path) -> None:
    """The two hunks are made, in an unsaved buffer."""
    nvim.open(workspace / "a.txt")
    nvim.api.command("Agent mode accept-edits")
    nvim.api.command("Agent ask translate")
    nvim.until(nvim.completes)
    assert nvim.text() == CHANGED
    nvim.until(lambda: count(nvim) == 2)


def count(nvim: PluginNvim) -> int:
    return int(nvim.lua("return require('lsp_agent.changes').count()"))


def test_hunks_are_decided_by_the_server_and_a_decision_can_be_taken_back(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, script("a.txt")) as nvim:
        changed(nvim, workspace)
        assert nvim.lua("return require('lsp_agent.chat').here().abilities.changes ~= nil")
        nvim.api.input("gg]a")
        nvim.until(lambda: nvim.api.current.window.cursor[0] == 3)
        nvim.api.input("\\ar")
        nvim.until(lambda: nvim.text() == CHANGED.replace("drei\n", "line 3\n"))
        nvim.until(lambda: count(nvim) == 1)
        nvim.api.command("Agent undo")
        nvim.until(lambda: nvim.text() == CHANGED and count(nvim) == 2)
        nvim.api.command("Agent redo")
        nvim.until(lambda: nvim.text() == CHANGED.replace("drei\n", "line 3\n") and count(nvim) == 1)
        nvim.api.command("Agent undo")
        nvim.until(lambda: nvim.text() == CHANGED and count(nvim) == 2)
        nvim.api.input("gg]a]a\\aa")
        nvim.until(lambda: count(nvim) == 1)
        assert nvim.text() == CHANGED
        nvim.api.command("Agent undo")
        nvim.until(lambda: count(nvim) == 2)
        nvim.api.command("Agent undo")
        nvim.until(lambda: nvim.text() == SOURCE and count(nvim) == 0)
        assert nvim.api.funcs.maparg("]a", "n", False, True).get("buffer", 0) == 0
        assert (workspace / "a.txt").read_text() == SOURCE


def test_the_marks_come_back_when_the_file_is_read_again(tmp_path: Path, workspace: Path) -> None:
    marks = "return #vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('lsp_agent_changes'), 0, -1, {})"
    with PluginNvim(tmp_path / "home", workspace, script("a.txt")) as nvim:
        changed(nvim, workspace)
        nvim.api.command("write")
        assert nvim.lua(marks) == 2
        nvim.api.command("edit")
        nvim.until(lambda: nvim.lua(marks) == 2)
        nvim.api.command("Agent accept all")
        nvim.until(lambda: count(nvim) == 0)
        assert nvim.lua(marks) == 0


def test_what_was_typed_since_stays_and_is_told(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, script("a.txt")) as nvim:
        changed(nvim, workspace)
        nvim.api.input("3GA und mehr<Esc>")
        nvim.until(lambda: "drei und mehr" in nvim.text())
        nvim.api.command("Agent undo")
        nvim.until(lambda: any("changed since" in said for said in nvim.said()))
        nvim.until(lambda: nvim.text() == SOURCE.replace("line 3\n", "drei und mehr\n"))


def test_pending_changes_are_shown_again_after_attaching(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, script("a.txt")) as nvim:
        changed(nvim, workspace)
        nvim.api.command("write")
        nvim.api.command("Agent restart")
        nvim.until(lambda: nvim.lua("local c = require('lsp_agent.chat').here(); return c.ready and c:client() ~= nil"))
        nvim.until(lambda: count(nvim) == 2)
        editor = nvim.api.current.window
        nvim.api.command("Agent changes")
        assert [(item["lnum"], item["text"]) for item in nvim.api.funcs.getqflist()] == [(3, "drei"), (15, "fünfzehn")]
        nvim.api.command("cclose")
        nvim.api.current.window = editor
        nvim.api.command("Agent reject all")
        nvim.until(lambda: nvim.text() == SOURCE)


def test_a_checkpoint_is_restored_and_the_restore_taken_back(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, script("a.txt")) as nvim:
        changed(nvim, workspace)
        nvim.lua(
            "Shown = {} vim.ui.select = function(all, o, pick) "
            "table.insert(Shown, o.prompt) pick(all[o.prompt == 'Restore' and 2 or #all]) end"
        )
        nvim.api.command("Agent checkpoints")
        nvim.until(lambda: nvim.text() == SOURCE)
        assert nvim.lua("return Shown") == ["Go back to", "Restore"]
        nvim.until(lambda: any("restored" in said for said in nvim.said()))
        nvim.api.command("Agent restore")
        nvim.until(lambda: nvim.text() == CHANGED)
