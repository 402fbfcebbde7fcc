"""What the Neovim plugin shows of the server's other rooms: mentions, commands, trust, rules, MCP, sub-agents."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
YES: list[dict[str, Any]] = [TITLE, {"times": 0, "do": [{"text": "Yes."}]}]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    files = {"a.py": "def first():\n    return 1\n", "b c.py": "two\n", "AGENTS.md": "Be brief.\n"}
    return git_workspace(tmp_path / "w", files)


def words(nvim: PluginNvim) -> list[str]:
    """What the menu offers; nothing when there is none."""
    info = nvim.lua("return vim.fn.pumvisible() == 1 and vim.fn.complete_info({ 'items' }).items or {}")
    return [item["word"] for item in info]


def test_mentions_and_commands_are_completed_by_the_server_while_typing(tmp_path: Path, workspace: Path) -> None:
    (workspace / ".lsp-agent/commands").mkdir(parents=True)
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent open")
        nvim.until(lambda: nvim.lua("return require('lsp_agent.chat').here().ready"))
        nvim.api.input("see @c.p")
        nvim.until(lambda: '@"b c.py"' in words(nvim))
        nvim.api.input("<Tab><C-y> and @#fir")
        nvim.until(lambda: "@#first" in words(nvim))
        nvim.api.input("<Tab><C-y>, please")
        nvim.until(lambda: nvim.api.current.line.endswith("please"))
        assert nvim.api.current.line == 'see @"b c.py" and @#first, please'
        nvim.api.input("<C-s>")
        nvim.until(nvim.completes)
        attached = nvim.view()["messages"][0]["attachments"]
        assert sorted(item.get("path", "") for item in attached) == ["a.py", "a.py", "b c.py"]
        assert "symbol" in {item["type"] for item in attached}
        nvim.api.command("Agent open")
        nvim.api.input("/comp")
        nvim.until(lambda: "/compact" in words(nvim))


def test_trust_is_shown_and_given_only_by_a_choice(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.choose("Leave", "Trust this")
        nvim.api.command("Agent trust")
        prompt, names = nvim.shown()[0]
        assert "is not trusted" in prompt
        assert names == ["Leave it so", "Trust this folder"]
        nvim.api.command("Agent trust")
        nvim.until(lambda: any(said.endswith("trusted") for said in nvim.said()))
        nvim.choose()
        nvim.api.command("Agent trust")
        assert "is trusted" in nvim.shown()[0][0]


def test_rules_are_listed_and_opened(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.choose("AGENTS.md")
        nvim.api.command("Agent rules")
        nvim.until(lambda: nvim.text() == "Be brief.\n")


def test_mcp_servers_are_told_when_there_are_none(tmp_path: Path, workspace: Path) -> None:
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent mcp")
        nvim.until(lambda: any("no MCP servers" in said for said in nvim.said()))


SERVER = """
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("clock")

@server.tool()
def now() -> str:
    "What time it is."
    return "noon"

server.run("stdio")
"""


def test_an_mcp_server_is_listed_with_its_state_and_started_again(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "clock.py").write_text(SERVER)
    config = f'\n[mcp.clock]\ncommand = ["{sys.executable}", "{tmp_path / "clock.py"}"]\n'
    with PluginNvim(tmp_path / "home", workspace, YES, config=config) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask one")
        nvim.until(nvim.completes)
        nvim.choose()
        nvim.api.command("Agent mcp")
        assert nvim.shown()[0][1][0].startswith("clock (stdio) ")
        nvim.choose("clock", "restart")
        nvim.api.command("Agent mcp")
        assert nvim.shown(2)[1] == ["clock", ["restart", "login"]]
        nvim.until(lambda: any(said.startswith("lsp-agent: clock is ") for said in nvim.said()))


def test_a_sub_agent_is_seen_in_the_tool_call_it_works_for(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"when": "^begin", "after": "user", "do": [{"tool": "agent", "input": {"prompt": "child: look at a.py"}}]},
        {
            "when": "^child",
            "after": "user",
            "do": [{"text": "I look."}, {"tool": "view", "input": {"file_path": "a.py"}}],
        },
        {"when": "^child", "after": "tool", "do": [{"hold": "child"}, {"text": "It defines first."}]},
        {"after": "tool", "do": [{"text": "Done: {{tool_result}}"}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask begin")
        nvim.until(lambda: nvim.held("child"))
        chat = nvim.until(lambda: "╎ ▸ ✔ `view`" in nvim.chat() and nvim.chat())
        assert "  ╎ I look." in chat
        assert "· 1 tool call: " in chat
        nvim.focus_chat()
        head = next(n for n, line in enumerate(chat.splitlines(), 1) if line.startswith("▸ … `agent`"))
        assert [nvim.api.funcs.foldclosed(head), nvim.api.funcs.foldclosed(head + 1)] == [-1, head + 1]
        nvim.release("child")
        done = nvim.until(nvim.completes)
        assert len(done) == 1
        assert "It defines first." in done[0]["text"]
        nvim.until(lambda: "▸ ✔ `agent`" in nvim.chat())
        nvim.until(lambda: "  ╎ It defines first." in nvim.chat())


def test_a_sub_agent_is_seen_again_after_a_restart(tmp_path: Path, workspace: Path) -> None:
    script = [
        TITLE,
        {"when": "^begin", "after": "user", "do": [{"tool": "agent", "input": {"prompt": "child: look at a.py"}}]},
        {"when": "^child", "after": "user", "do": [{"text": "I have looked."}]},
        {"after": "tool", "times": 0, "do": [{"text": "Done."}]},
    ]
    with PluginNvim(tmp_path / "home", workspace, script) as nvim:
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask begin")
        nvim.until(nvim.completes)
    with PluginNvim(tmp_path / "home", workspace, script) as again:
        again.open(workspace / "a.py")
        again.api.command("Agent open")
        again.api.input("<Esc>")
        chat = again.until(lambda: "  ╎ I have looked." in again.chat() and again.chat())
        assert chat.index("`agent`") < chat.index("╎ I have looked.") < chat.index("Done.")


def test_children_of_children_are_shown_at_the_top(tmp_path: Path, workspace: Path) -> None:
    def event(session: str, seq: int, parent: Mapping[str, str] | None, **update: Any) -> dict[str, Any]:
        return {"sessionId": session, "seq": seq, **({"parent": parent} if parent else {}), "update": update}

    call = {"sessionUpdate": "tool_call_update", "name": "agent", "title": "", "kind": "other", "status": "in_progress"}
    events = [
        event("child", 1, {"sessionId": "root", "toolCallId": "t1"}, **call, toolCallId="t2", messageId="m2"),
        event("grandchild", 1, {"sessionId": "child", "toolCallId": "t2"}, **call, toolCallId="t3", messageId="m3"),
        event("child", 2, None, sessionUpdate="question_requested", requestId="q", message="?", createdAt="1"),
        event("stranger", 1, None, sessionUpdate="notice"),
    ]
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        found = nvim.lua(
            "local c, k, seen = require('lsp_agent.children'), {}, {} "
            "for _, e in ipairs(...) do local r, t = c.take(k, e) table.insert(seen, (r or 'none') .. ':' .. t) end "
            "return { seen, #c.below(k, 'root'), c.of_tool(k, 't2')[1].id, #k.child.session.questions }",
            events,
        )
        assert found == [["root:t1", "root:t1", "root:t1", "none:"], 2, "grandchild", 1]


def test_a_null_is_nothing_wherever_it_comes(tmp_path: Path, workspace: Path) -> None:
    """Neovim 0.12 hands JSON's nulls on, 0.11 drops them."""
    hunk = {"hunkId": "h", "range": None, "oldText": "", "newText": "", "state": "accepted", "runId": None}
    hunk["range"] = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    updates: list[dict[str, Any]] = [
        {"sessionUpdate": "user_message", "messageId": "m", "content": [{"type": "text", "text": "Hi."}]},
        {"sessionUpdate": "agent_message", "messageId": "n", "content": [], "model": None, "finish": None},
        {"sessionUpdate": "plan_update", "entries": [{"content": "a", "status": "in_progress", "activeForm": None}]},
        {"sessionUpdate": "config_option_update", "options": [{"optionId": "thinking", "name": "T", "value": None}]},
        {
            "sessionUpdate": "question_requested",
            "requestId": "q",
            "message": "Why?",
            "description": None,
            "schema": None,
        },
        {"sessionUpdate": "question_resolved", "requestId": "q", "outcome": None, "resolvedBy": None},
        {"sessionUpdate": "changes_update", "files": [{"uri": "file:///x", "baseVersion": None, "hunks": [hunk]}]},
        {"sessionUpdate": "tool_call_update", "toolCallId": "t", "messageId": "n", "name": "view", "locations": None},
        {"sessionUpdate": "session_info_update", "title": None, "todos": None},
    ]
    updates[4] |= {"createdAt": "1", "sessionId": "s", "runId": None, "questions": [{"key": "a", "type": "free_text"}]}
    updates[4]["questions"][0] |= {"text": "Why?", "description": None, "choices": None}
    with PluginNvim(tmp_path / "home", workspace, YES) as nvim:
        nvim.open(workspace / "a.py")
        nvim.lua("require('lsp_agent.chat').here():show('s')")
        nvim.focus_chat()
        for seq, update in enumerate(updates, 1):
            event = {"sessionId": "s", "seq": seq, "runId": None, "parent": None, "update": update}
            nvim.lua("require('lsp_agent.chat').here():event(...)", event)
        done = {"sessionId": "s", "seq": 50, "runId": None, "messageId": None, "error": None, "cancelled": False}
        nvim.lua("require('lsp_agent.chat').here():complete(...)", done | {"stopReason": "max_steps"})
        chat = nvim.until(lambda: "*max steps*" in nvim.chat() and nvim.chat())
        assert "⊘ resolved: Why?" in chat
        assert "- [~] a" in chat
        assert nvim.lua("return vim.v.errmsg") == ""
        assert nvim.view()["title"] == ""
