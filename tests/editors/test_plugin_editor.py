"""The editor's side of the protocol, as the Neovim plugin keeps it: other servers, diagnostics, edits, completion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}

OTHER_SERVER = r"""
-- a language server inside Neovim that speaks UTF-16 and knows one definition
vim.lsp.start({ name = 'other', root_dir = vim.fn.getcwd(), cmd = function(dispatchers)
  local closing = false
  return {
    request = function(method, params, callback)
      if method == 'initialize' then
        callback(nil, { capabilities = { definitionProvider = true, positionEncoding = 'utf-16' } })
      elseif method == 'textDocument/definition' then
        Asked = params
        vim.schedule(function()
          local at = { line = 0, character = 3 }
          callback(nil, { { uri = params.textDocument.uri, range = { start = at, ['end'] = at } } })
        end)
      elseif method == 'shutdown' then
        callback(nil, nil)
      end
      return true, 1
    end,
    notify = function(method)
      if method == 'exit' then
        closing = true
        dispatchers.on_exit(0, 0)
      end
      return true
    end,
    is_closing = function() return closing end,
    terminate = function() closing = true end,
  }
end })
"""
ASK_EDITOR = r"""
local method, params = ...
local client = vim.lsp.get_clients({ name = 'lsp_agent' })[1]
Answer = nil
coroutine.wrap(function()
  local question = { method = method, params = params, timeoutMs = 2000 }
  Answer = client.handlers['agent/editor/lsp'](nil, question, { client_id = client.id })
end)()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.py": "😀 = one\n", "b.py": "two\n"})


def started(nvim: PluginNvim, file: Path) -> None:
    nvim.open(file)
    nvim.lua("require('lsp_agent.chat').here():when_ready()")
    nvim.until(lambda: nvim.lua("return require('lsp_agent.chat').here().ready"))


def test_the_agent_is_answered_by_the_users_other_servers(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        started(nvim, workspace / "a.py")
        nvim.lua(OTHER_SERVER)
        nvim.until(lambda: nvim.lua("return #vim.lsp.get_clients({ name = 'other' }) == 1"))
        # byte 5 is behind the emoji: 3 code units of UTF-16, and the answer comes back in bytes
        question = {"textDocument": {"uri": nvim.uri()}, "position": {"line": 0, "character": 5}}
        nvim.lua(ASK_EDITOR, "textDocument/definition", question)
        answer = nvim.until(lambda: nvim.lua("return Answer"))
        assert nvim.lua("return Asked.position.character") == 3
        assert answer["results"][0]["server"] == "other"
        assert answer["results"][0]["result"][0]["range"]["start"] == {"line": 0, "character": 5}
        nvim.lua(ASK_EDITOR, "textDocument/hover", question)
        assert nvim.until(lambda: nvim.lua("return Answer")) == {"results": []}


def test_diagnostics_of_others_selection_and_focus_are_pushed(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE], selection_debounce_ms=1) as nvim:
        started(nvim, workspace / "a.py")
        nvim.lua(
            "Sent = {}; local c = vim.lsp.get_clients({ name = 'lsp_agent' })[1]; local notify = c.notify; "
            "c.notify = function(self, m, p) table.insert(Sent, { m, p }); return notify(self, m, p) end"
        )

        def sent(method: str) -> list[Any]:
            return [params for name, params in nvim.lua("return Sent") if name == method]

        one = {"lnum": 0, "col": 7, "end_col": 10, "message": "no such name", "severity": 1, "source": "checker"}
        nvim.lua("Space = vim.api.nvim_create_namespace('checker'); vim.diagnostic.set(Space, 0, { ... })", one)
        pushed = nvim.until(lambda: sent("agent/editor/didPublishDiagnostics"))[0]
        assert pushed["server"] == "checker"
        assert pushed["items"][0]["range"]["start"] == {"line": 0, "character": 7}
        nvim.lua("vim.diagnostic.reset(Space, 0)")
        nvim.until(lambda: sent("agent/editor/didPublishDiagnostics")[-1]["items"] == [])
        nvim.api.input("vl")
        nvim.until(lambda: sent("agent/editor/didChangeSelection"))
        nvim.until(
            lambda: (
                sent("agent/editor/didChangeSelection")[-1]["selections"]
                == [{"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 5}}]
            )
        )
        nvim.api.input("<Esc>")
        nvim.open(workspace / "b.py")
        assert sent("agent/editor/didFocus")[-1]["uri"].endswith("/b.py")


def test_an_edit_for_an_older_version_is_refused_and_several_edits_are_one_step(
    tmp_path: Path, workspace: Path
) -> None:
    apply = (
        "local edits, version = ...; local c = vim.lsp.get_clients({ name = 'lsp_agent' })[1]; "
        "local document = { uri = vim.uri_from_bufnr(0), version = version }; "
        "local edit = { documentChanges = { { textDocument = document, edits = edits } } }; "
        "return c.handlers['workspace/applyEdit'](nil, { label = 'x', edit = edit }, { client_id = c.id })"
    )

    def insert(line: int, text: str) -> dict[str, Any]:
        place = {"line": line, "character": 0}
        return {"range": {"start": place, "end": place}, "newText": text}

    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        started(nvim, workspace / "a.py")
        old = nvim.version()
        nvim.api.input("Gotyped<Esc>")
        nvim.until(lambda: nvim.version() > old)
        typed = nvim.text()
        refused = nvim.lua(apply, [insert(0, "# no\n")], old)
        assert refused["applied"] is False
        assert "changed meanwhile" in refused["failureReason"]
        assert nvim.text() == typed
        assert nvim.lua(apply, [insert(0, "# first\n"), insert(1, "# second\n")], nvim.version())["applied"] is True
        assert nvim.lua(apply, [insert(0, "# third\n")], nvim.version())["applied"] is True
        assert nvim.text() == "# third\n# first\n😀 = one\n# second\ntyped\n"
        nvim.api.command("undo")
        assert nvim.text() == "# first\n😀 = one\n# second\ntyped\n"
        nvim.api.command("undo")
        assert nvim.text() == typed


def test_the_input_completes_files_and_commands_and_sends(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]) as nvim:
        started(nvim, workspace / "a.py")
        nvim.api.command("Agent open")
        nvim.api.input("look at @b")
        complete = "return vim.tbl_map(function(i) return i.word end, require('lsp_agent.completing').omnifunc(0, ...))"
        nvim.until(lambda: "@b" in nvim.text())
        assert nvim.lua(complete, "@b") == ["@b.py"]
        assert nvim.lua(complete, "/com") == ["/compact"]
        nvim.api.input("<C-e><C-u>/rename A new name<Esc><CR>")
        nvim.until(lambda: any("no session yet" in said for said in nvim.said()))
        nvim.api.input("iexplain @b.py, please<C-s>")
        nvim.until(nvim.completes)
        assert [item["path"] for item in nvim.view()["messages"][0]["attachments"]] == ["a.py", "b.py"]
        assert nvim.text() == "\n"


def test_thinking_and_tool_output_are_folded(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"after": "user", "do": [{"think": "one\ntwo\nthree"}, {"tool": "view", "input": {"file_path": "b.py"}}]},
        {"after": "tool", "do": [{"text": "> not thinking but a quote\n\nDone."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        started(nvim, workspace / "a.py")
        nvim.api.command("Agent ask go")
        nvim.until(nvim.completes)
        nvim.focus_chat()
        chat = nvim.until(lambda: "Done." in nvim.chat() and nvim.chat()).splitlines()
        first = chat.index("  ┊ one") + 1
        assert [nvim.api.funcs.foldclosed(line) for line in range(first - 1, first + 4)] == [
            -1,
            first,
            first,
            first,
            -1,
        ]
        tool = next(number for number, line in enumerate(chat, 1) if line.startswith("▸ ✔ `view`"))
        assert nvim.api.funcs.foldclosed(tool) == -1
        assert nvim.api.funcs.foldclosed(tool + 1) == tool + 1
        assert nvim.api.funcs.foldclosed(chat.index("> not thinking but a quote") + 1) == -1
        assert not nvim.api.current.buffer.options["modifiable"]


def test_a_fold_that_was_opened_stays_open_while_its_tool_goes_on(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        nvim.open(workspace / "a.py")
        nvim.lua("require('lsp_agent.chat').here():show('s')")
        nvim.focus_chat()

        def tool(seq: int, status: str, text: str) -> None:
            update = {"sessionUpdate": "tool_call_update", "toolCallId": "t", "messageId": "m", "name": "view"}
            update |= {"status": status, "content": [{"type": "text", "text": text}], "title": f"Step {seq}"}
            event = {"sessionId": "s", "seq": seq, "update": update}
            nvim.lua("require('lsp_agent.chat').here():event(...)", event)
            nvim.until(lambda: f"Step {seq}" in nvim.chat())

        tool(1, "in_progress", "one\ntwo")
        row = nvim.chat().splitlines().index("  │ one") + 1
        nvim.until(lambda: nvim.api.funcs.foldclosed(row) == row)
        nvim.api.command(f"{row}foldopen")
        tool(2, "in_progress", "one\ntwo\nthree")
        tool(3, "completed", "one\ntwo\nthree\nfour")
        assert nvim.chat().splitlines()[row - 1 :] == ["  │ one", "  │ two", "  │ three", "  │ four"]
        assert nvim.api.funcs.foldclosed(row) == -1


def test_an_edit_that_arrives_while_the_user_types_is_still_one_step(tmp_path: Path, workspace: Path) -> None:
    apply = (
        "local c = vim.lsp.get_clients({ name = 'lsp_agent' })[1]; local at = { line = 0, character = 0 }; "
        "local edit = { changes = { [vim.uri_from_bufnr(0)] = "
        "{ { range = { start = at, ['end'] = at }, newText = '# agent\\n' } } } }; "
        "return c.handlers['workspace/applyEdit'](nil, { label = 'x', edit = edit }, { client_id = c.id })"
    )
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        started(nvim, workspace / "b.py")
        nvim.api.input("A abc")
        nvim.until(lambda: "abc" in nvim.text())
        assert nvim.lua(apply)["applied"] is True
        nvim.api.input(" def")
        nvim.until(lambda: "def" in nvim.text())
        nvim.api.input("<Esc>")
        nvim.until(lambda: nvim.api.eval("mode()") == "n")
        texts = [nvim.text()]
        for _ in range(3):
            nvim.api.command("undo")
            texts.append(nvim.text())
        assert texts == ["# agent\ntwo abc def\n", "# agent\ntwo abc\n", "two abc\n", "two\n"]


def test_permission_by_a_menu_when_the_user_prefers_that(tmp_path: Path, workspace: Path) -> None:
    edit = {"file_path": "b.py", "old_string": "two", "new_string": "zwei"}
    script = [
        TITLE,
        {"after": "user", "do": [{"tool": "view", "input": {"file_path": "b.py"}}]},
        {"after": "tool", "do": [{"tool": "edit", "input": edit}]},
        {"after": "tool", "do": [{"text": "Done."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script, permission="select") as nvim:
        started(nvim, workspace / "a.py")
        nvim.choose()
        nvim.api.command("Agent ask translate b.py")
        prompt, names = nvim.shown()[0]
        assert "b.py" in prompt
        assert names[0] == "Allow once"
        assert len(nvim.until(nvim.pending)) == 1, "closing the menu answers nothing"
        nvim.choose("Allow once")
        nvim.api.command("Agent permission")
        done = nvim.until(nvim.completes)[0]
        assert done["stopReason"] == "end_turn"
        # b.py is open nowhere: it was written to disk, and its hunk is shown when it is opened
        assert (workspace / "b.py").read_text() == "zwei\n"
        nvim.api.command("wincmd t")
        nvim.open(workspace / "b.py")
        nvim.api.command("Agent reject")
        nvim.until(lambda: nvim.text() == "two\n")
