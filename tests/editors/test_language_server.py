"""Neovim with a real language server of its own: the model works through it, and hears what it says of edits."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
FILES = {
    "shop.py": (
        "class Basket:\n"
        "    def __init__(self) -> None:\n"
        "        self.items: list[str] = []\n"
        "\n"
        "    def add(self, name: str) -> int:\n"
        "        self.items.append(name)\n"
        "        return len(self.items)\n"
    ),
    "main.py": 'from shop import Basket\n\nbasket = Basket()\nprint("😀", basket.add("pear"))\n',
    "pyrightconfig.json": '{"typeCheckingMode": "standard"}\n',
}
PYRIGHT = r"""
vim.lsp.config('basedpyright', {
  cmd = { ..., '--stdio' }, filetypes = { 'python' }, root_dir = vim.fn.getcwd(),
})
vim.lsp.enable('basedpyright')
vim.cmd('doautoall FileType')
"""


def turn(tool: str, after: str = "tool", **arguments: Any) -> dict[str, Any]:
    return {"after": after, "do": [{"tool": tool, "input": arguments}]}


def results(nvim: PluginNvim) -> list[Mapping[str, Any]]:
    """Every tool result of the session, as the model read it."""
    session = nvim.view()["sessionId"]
    slot = nvim.lua(
        "local c = vim.lsp.get_clients({ name = 'lsp_agent' })[1]; Read = nil; "
        "c:request('agent/session/read', { sessionId = ..., limit = 100 }, "
        "function(err, result) Read = vim.json.encode(result or err) end)",
        session,
    )
    assert slot is None
    found = json.loads(nvim.until(lambda: nvim.lua("return Read")))
    return [part for message in found["messages"] for part in message["parts"] if part["type"] == "tool_result"]


def with_pyright(nvim: PluginNvim, file: Path) -> None:
    nvim.api.command("filetype on")
    nvim.open(file)
    nvim.lua(PYRIGHT, str(Path(sys.executable).with_name("basedpyright-langserver")))
    attached = "local c = vim.lsp.get_clients({ name = 'basedpyright', bufnr = 0 })[1]; return c and c.initialized"
    nvim.until(lambda: nvim.lua(attached))
    nvim.lua("require('lsp_agent.chat').here():when_ready()")
    nvim.until(lambda: nvim.lua("return require('lsp_agent.chat').here().ready"))


def test_the_model_renames_breaks_a_type_is_told_and_repairs_it(tmp_path: Path) -> None:
    workspace = git_workspace(tmp_path / "w", FILES)
    script = [
        TITLE,
        turn("lsp_definition", after="user", symbol="Basket.add", path="shop.py"),
        turn("lsp_references", symbol="basket.add", path="main.py"),
        turn("lsp_rename", symbol="Basket.add", new_name="put", path="shop.py"),
        turn("view", file_path="shop.py"),
        turn("edit", file_path="shop.py", old_string="return len(self.items)", new_string="return self.items"),
        turn("edit", file_path="shop.py", old_string="return self.items", new_string="return len(self.items)"),
        turn("lsp_diagnostics", file_path="shop.py"),
        {"after": "tool", "do": [{"text": "Done."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        with_pyright(nvim, workspace / "shop.py")
        nvim.api.command("Agent ask rename it")
        answered: set[str] = set()

        def allow_all() -> bool:
            for record in nvim.pending():
                if record["requestId"] not in answered:
                    answered.add(record["requestId"])
                    nvim.lua(
                        "local c = vim.lsp.get_clients({ name = 'lsp_agent' })[1]; "
                        "c:request('agent/permission/respond', { requestId = ..., "
                        "outcome = { type = 'selected', optionId = 'allow_once' } }, function() end)",
                        record["requestId"],
                    )
            return bool(nvim.completes())

        nvim.until(allow_all, timeout=60)
        definition, references, rename, _, broken, repaired, checked = results(nvim)
        assert "basedpyright (editor)" in definition["content"]
        # of a file that is not open: the server that would open it is asked, and columns count characters
        assert "2 references to basket.add (basedpyright (editor))" in references["content"]
        assert "main.py:4:19" in references["content"]
        assert "Renamed Basket.add to put in 2 files (basedpyright (editor))" in rename["content"]
        assert 'basket.put("pear")' in (workspace / "main.py").read_text()
        assert "def put(self" in nvim.text()
        assert (workspace / "shop.py").read_text() == FILES["shop.py"]  # the buffer was changed, not the file
        assert "1 new" in broken["content"]
        assert "new error shop.py:7:16" in broken["content"]
        assert "reportReturnType" in broken["content"]
        assert "1 fixed" in repaired["content"]
        assert "none" in checked["content"]
        assert nvim.text().count("return len(self.items)") == 1
