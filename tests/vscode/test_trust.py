"""Trust in real VS Code: a folder for the agent, the workspace for the editor; MCP servers, rules, a missing server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.vscode.code_server import ROOT, until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

ANSWER = '[[turn]]\nwhen = "."\ntimes = 0\ndo = [ { text = "You asked: {{last_user}}" } ]\n'
MCP = f"""
[mcp.sums]
type = "stdio"
command = ["{sys.executable}", "{ROOT / "tests/mcp/sdk_server.py"}", "stdio"]
sandbox = false
"""


def test_a_folder_is_trusted_from_the_banner_and_servers_and_rules_are_listed(desk_for: Any) -> None:
    desk = desk_for(ANSWER, extra=MCP, files={"AGENTS.md": "Always answer in verse.\n"})
    window = desk.window
    page = window.page
    chat = window.open_chat()
    banner = chat.locator(".banner", has_text="This folder is not trusted: 1 file")
    banner.wait_for()
    window.picture("vscode-trust")
    banner.get_by_role("button", name="Look and decide").press("Enter")
    page.locator(".quick-input-list .monaco-list-row", has_text="AGENTS.md").wait_for()
    window.choose("Trust this folder for the agent")
    banner.wait_for(state="detached")
    window.say("hello")
    chat.locator(".message.assistant").wait_for()
    notice = chat.locator(".banner.info", has_text="Rules in force: AGENTS.md")
    notice.wait_for()
    notice.get_by_label("Dismiss").press("Enter")
    notice.wait_for(state="detached")

    window.command("Agent: Rules in Force")
    window.choose("AGENTS.md")
    until(lambda: "Always answer in verse." in window.text(), "the rule is open")

    def is_connected() -> bool:
        window.command("Agent: MCP Servers")
        row = page.locator(".quick-input-list .monaco-list-row", has_text="sums").first
        row.wait_for()
        text: str = row.inner_text()
        if "connected" in text and "tool" in text:
            return True
        page.keyboard.press("Escape")
        return False

    until(is_connected, "the server is connected")
    window.choose("sums")
    window.choose("Connect again")
    window.notification("sums: ")


def test_nothing_is_started_in_a_workspace_the_editor_does_not_trust(prepared_desk: Any) -> None:
    desk = prepared_desk(ANSWER)
    window = desk.window
    with desk.server.settings(**{"security.workspace.trust.enabled": True}):
        desk.open()
        window.command("Agent: Open Chat")
        head = window.chat.locator('#head[data-server="untrusted"]')
        head.wait_for()
        assert "not trusted" in head.inner_text()
        assert not list(Path(desk.state).glob("**/*"))
        head.get_by_role("button", name="Manage trust").press("Enter")
        window.page.locator(".workspace-trust-editor").get_by_role("button", name="Trust", exact=True).first.click()
        window.chat.locator('#head[data-server="running"]').wait_for()


def test_where_there_is_no_server_one_is_offered(desk_for: Any) -> None:
    nowhere = {"lspAgent.server.command": [], "lspAgent.server.environment": {"PATH": "/nowhere"}}
    window = desk_for(ANSWER, **nowhere).window
    window.command("Agent: Open Chat")
    head = window.chat.locator('#head[data-server="missing"]')
    head.wait_for()
    assert "No server found" in head.inner_text()
    assert head.get_by_role("button", name="Settings").count() == 1
    assert head.get_by_role("button", name="Install").count() == 1
