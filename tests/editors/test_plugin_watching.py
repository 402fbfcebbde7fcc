"""What the Neovim plugin shows of a run as it goes: plan, commands, progress, files; and that it can be turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
SPY = (
    "Sent = {} local c = require('lsp_agent.chat').here():client() local request = c.request "
    "c.request = function(self, m, p, ...) table.insert(Sent, { m, vim.deepcopy(p) }) "
    "return request(self, m, p, ...) end"
)
INPUT = (
    "local b = require('lsp_agent.input').bufnr(require('lsp_agent.chat').here()) "
    "return table.concat(vim.api.nvim_buf_get_lines(b, 0, -1, false), '\\n')"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    files = {"a.py": "x = 1\n", "b.py": "\n".join(f"line {number}" for number in range(1, 60)) + "\n"}
    return git_workspace(tmp_path / "w", files)


def held(**more: Any) -> list[dict[str, Any]]:
    return [TITLE, {"when": "one", "do": [{"text": "Half"}, {"hold": "half"}, {"text": "."}]}, {**more}]


def test_the_plan_is_shown_once_where_it_was_told_last(tmp_path: Path, workspace: Path) -> None:
    def todos(*states: str) -> dict[str, Any]:
        entries = [
            {"content": f"Step {number}", "status": state, "active_form": f"Stepping {number}"}
            for number, state in enumerate(states, 1)
        ]
        return {"tool": "todos", "input": {"todos": entries}}

    script = [
        TITLE,
        {"after": "user", "do": [{"text": "I plan."}, todos("in_progress", "pending")]},
        {"after": "tool", "do": [{"hold": "first"}, {"text": "On."}, todos("completed", "in_progress")]},
        {"after": "tool", "do": [{"hold": "second"}, {"text": "Done.", "deltas": 2}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("first"))
        nvim.until(lambda: "**Plan** 0/2\n- [~] Stepping 1\n- [ ] Step 2" in nvim.chat())
        assert "plan 0/2" in nvim.lua("return require('lsp_agent').statusline()")
        nvim.release("first")
        nvim.until(lambda: nvim.held("second"))
        chat = nvim.until(lambda: "**Plan** 1/2\n- [x] Step 1\n- [~] Stepping 2" in nvim.chat() and nvim.chat())
        assert chat.count("**Plan**") == 1
        assert chat.index("On.") < chat.index("**Plan**")
        nvim.api.command("Agent restart")
        nvim.until(nvim.completes)
        nvim.until(nvim.is_ready)
        nvim.until(lambda: nvim.chat().count("**Plan** 1/2") == 1)


def test_a_command_is_seen_while_it_runs(tmp_path: Path, workspace: Path) -> None:
    command = "for n in $(seq 30); do echo row $n; done; while [ ! -e go ]; do sleep 0.02; done; echo last"
    script = [
        TITLE,
        {"after": "user", "do": [{"tool": "bash", "input": {"command": command, "description": "count"}}]},
        {"after": "tool", "do": [{"text": "Ran."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.pending)
        nvim.api.command("Agent permission allow_once")
        chat = nvim.until(lambda: "▏ row 30" in nvim.chat() and nvim.chat())
        assert "… 15 lines before" in chat
        assert "▏ row 15\n" not in chat
        assert "▏ row 16\n" in chat
        nvim.focus_chat()
        row = next(number for number, line in enumerate(chat.splitlines(), 1) if "▏ row 30" in line)
        assert nvim.api.funcs.foldclosed(row) == -1
        nvim.api.command("Agent terminals")
        nvim.until(lambda: nvim.text().startswith("running  for n in"))
        nvim.api.input("<CR>")
        nvim.until(lambda: "row 30" in nvim.text() and nvim.text().startswith("$ for n in"))
        nvim.api.command("close")
        nvim.api.command("Agent open")
        nvim.api.input("@term")
        offered = "return vim.tbl_map(function(i) return i.word end, vim.fn.complete_info({ 'items' }).items)"
        nvim.until(lambda: any(word.startswith("@terminal:") for word in nvim.lua(offered)))
        nvim.api.input("<Esc>")
        (workspace / "go").touch()
        nvim.until(nvim.completes)
        nvim.until(lambda: "│ row 1\n" in nvim.chat())  # the whole of it, once it is over
        chat = nvim.chat()
        assert "│ last" in chat
        nvim.focus_chat()
        row = next(number for number, line in enumerate(chat.splitlines(), 1) if "│ last" in line)
        nvim.until(lambda: nvim.api.funcs.foldclosed(row) > 0)


def test_the_run_is_the_progress_of_the_client(tmp_path: Path, workspace: Path) -> None:
    script = held(when="two", do=[{"text": "Yes."}])
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.lua(
            "Kinds = {} vim.api.nvim_create_autocmd('LspProgress', { callback = function(a) "
            "local v = a.data.params.value table.insert(Kinds, { v.kind, v.title, v.message }) end })"
        )
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.until(lambda: ["Agent", "writes"] in [rest for _, *rest in nvim.lua("return Kinds")])
        assert "Agent: writes" in nvim.lua("return vim.lsp.status()")
        nvim.release("half")
        nvim.until(nvim.completes)
        nvim.until(lambda: nvim.view()["state"] == "idle")
        nvim.until(lambda: nvim.lua("return Kinds")[-1][0] == "end")
        kinds = [kind for kind, *_ in nvim.lua("return Kinds")]
        assert kinds[0] == "begin"
        assert kinds.count("begin") == kinds.count("end") == 1


def test_the_file_the_agent_reads_is_shown_beside_the_focus(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"when": "see", "after": "user", "do": [{"tool": "view", "input": {"file_path": "b.py", "offset": 40}}]},
        {"after": "tool", "times": 0, "do": [{"text": "Seen."}]},
        {"times": 0, "do": [{"text": "Yes."}]},
    ]
    shown = "return vim.tbl_map(function(w) return vim.fs.basename(vim.api.nvim_buf_get_name("
    shown += "vim.api.nvim_win_get_buf(w))) end, vim.api.nvim_tabpage_list_wins(0))"
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent follow")
        assert nvim.said()[-1] == "lsp-agent: following"
        nvim.api.command("Agent open")
        nvim.api.input("see<C-s>")
        nvim.until(nvim.completes)
        assert "b.py" in nvim.until(lambda: "b.py" in nvim.lua(shown) and nvim.lua(shown))
        assert "agent://input" in nvim.api.current.buffer.name, "the focus is where it was"
        rows = "return vim.tbl_map(function(w) return { vim.fs.basename(vim.api.nvim_buf_get_name("
        rows += "vim.api.nvim_win_get_buf(w))), vim.api.nvim_win_get_cursor(w)[1] } end, vim.api.nvim_list_wins())"
        assert ["b.py", 41] in nvim.lua(rows)
        nvim.api.command("Agent follow")
        assert nvim.said()[-1] == "lsp-agent: not following"


def test_a_prompt_steers_the_running_turn(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {
            "when": "one",
            "after": "user",
            "do": [{"text": "Half"}, {"hold": "half"}, {"tool": "view", "input": {"file_path": "a.py"}}],
        },
        {"times": 0, "do": [{"text": "You said: {{prompt}}"}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.api.command("Agent open")
        assert "<M-CR> into the turn" in nvim.lua("return require('lsp_agent.input').winbar(vim.b.lsp_agent_root)")
        nvim.api.input("rather in French<M-CR>")
        nvim.until(lambda: any("the turn takes it in" in said for said in nvim.said()))
        nvim.release("half")
        nvim.until(nvim.completes)
        texts = [message["text"] for message in nvim.view()["messages"] if message["role"] == "user"]
        assert texts == ["one", "rather in French"]
        assert len(nvim.completes()) == 1
        nvim.api.command("Agent steer on its own")
        nvim.until(lambda: len(nvim.completes()) == 2)


def test_a_long_prompt_that_waits_is_edited_whole(tmp_path: Path, workspace: Path) -> None:
    long = "two " + "and more " * 30
    script = held(when="^two", times=0, do=[{"text": "Yes."}])
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.lua("require('lsp_agent').ask(...)", f"{long}\nlast line")
        nvim.until(lambda: nvim.view()["queue"]["count"] == 1)
        nvim.api.command("Agent queue")
        nvim.api.input("e")
        nvim.until(lambda: nvim.text() == f"{long}\nlast line\n")
        assert "puts it back" in nvim.lua("return require('lsp_agent.input').winbar(vim.b.lsp_agent_root)")
        nvim.api.input("A, really<Esc><CR>")
        nvim.until(lambda: nvim.lua(INPUT) == "")
        nvim.release("half")
        nvim.until(lambda: len(nvim.completes()) == 2)
        assert nvim.view()["messages"][2]["text"] == f"{long}\nlast line, really"


def test_an_edited_prompt_that_is_gone_meanwhile_stays_in_the_input(tmp_path: Path, workspace: Path) -> None:
    script = held(when="^two", times=0, do=[{"text": "Yes."}])
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(lambda: nvim.held("half"))
        nvim.api.command("Agent ask two")
        nvim.until(lambda: nvim.view()["queue"]["count"] == 1)
        nvim.api.command("Agent queue")
        nvim.api.input("e")
        nvim.until(lambda: nvim.text() == "two\n")
        nvim.release("half")
        nvim.until(lambda: len(nvim.completes()) == 2)
        nvim.api.input("A b<Esc><CR>")
        nvim.until(lambda: any("waits no longer" in said for said in nvim.said()))
        assert nvim.lua(INPUT) == "two b"


@pytest.mark.parametrize("prompts", [1, 2])
def test_a_conversation_taken_back_is_shown_as_it_is_now(tmp_path: Path, workspace: Path, prompts: int) -> None:
    """Whoever took it back: the request does not go through the plugin here, only the event comes."""
    write = {"tool": "write", "input": {"file_path": "new.txt", "content": "{{last_user}} {{step}}\n"}}
    script = [
        TITLE,
        {"after": "user", "times": 0, "do": [write]},
        {"after": "tool", "times": 0, "do": [{"text": "Yes."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent mode full-auto")
        for number in range(prompts):
            nvim.api.command(f"Agent ask prompt {number}")
            nvim.until(lambda wanted=number + 1: len(nvim.completes()) == wanted)
        nvim.until(lambda: nvim.view()["state"] == "idle")
        session = nvim.view()["sessionId"]
        nvim.lua(SPY)
        nvim.lua(
            "local c = require('lsp_agent.chat').here():client() "
            "c:request('agent/checkpoint/list', { sessionId = ... }, function(_, r) Listed = r.checkpoints end)",
            session,
        )
        assert "full-auto" in nvim.lua("return require('lsp_agent').statusline()"), "chosen before there was a session"
        before = nvim.until(lambda: nvim.lua("return Listed"))
        assert len(nvim.api.funcs.getcompletion("Agent restore ", "cmdline")) == 0
        runs = sorted((point for point in before if point["kind"] == "run"), key=lambda point: point["createdAt"])
        nvim.lua(
            "local c = require('lsp_agent.chat').here():client() c:request('agent/checkpoint/restore', "
            "{ checkpointId = ..., files = false, conversation = true }, function() end)",
            runs[-1]["checkpointId"],
        )
        nvim.until(lambda: len(nvim.view()["messages"]) == 3 * (prompts - 1))
        attached = [params for method, params in nvim.lua("return Sent") if method == "agent/session/attach"]
        assert attached == [{"sessionId": session}], "without afterSeq: the snapshot takes the place of what is shown"
        nvim.until(lambda: f"prompt {prompts - 1}" not in nvim.chat())
        nvim.choose()
        nvim.api.command("Agent checkpoints")
        nvim.shown()
        ids = nvim.api.funcs.getcompletion("Agent restore ", "cmdline")
        assert runs[-1]["checkpointId"] in ids
        nvim.api.command("Agent ask another")
        nvim.until(lambda: len(nvim.completes()) == prompts + 1)
        texts = [message["text"] for message in nvim.view()["messages"] if message["role"] == "user"]
        assert texts == [*(f"prompt {number}" for number in range(prompts - 1)), "another"]
        nvim.until(lambda: nvim.chat().count("Yes.") == prompts)


def test_a_session_that_is_not_shown_stays_out_of_sight_when_it_is_taken_back(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        first = nvim.view()["sessionId"]
        nvim.api.command("Agent new")
        nvim.api.command("Agent ask two")
        nvim.until(lambda: len(nvim.completes()) == 2)
        second = nvim.view()["sessionId"]
        event = {"sessionId": first, "seq": 10_000, "update": {"sessionUpdate": "session_info_update"}}
        event["update"]["messageCount"] = 0
        nvim.lua(SPY)
        nvim.lua("require('lsp_agent.chat').here():event(...)", event)
        nvim.until(lambda: "agent/queue" in [method for method, _ in nvim.lua("return Sent")])
        assert nvim.view()["sessionId"] == second
