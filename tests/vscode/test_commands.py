"""Commands of the extension in real VS Code: the doctor, and a problem fixed from the light bulb."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

ANSWER = '[[turn]]\nwhen = "."\ndo = [ { text = "You asked: {{last_user}}" } ]\n'


def test_the_doctor_opens_a_report_that_names_the_server_and_the_model(desk_for: Any) -> None:
    window = desk_for(ANSWER).window
    window.command("Agent: Doctor")
    until(lambda: "setting lspAgent.server.command" in window.text(), "the report is open", 40)
    assert "lsp-agent" in window.text()


def test_a_problem_of_another_server_is_sent_along_when_it_is_fixed(desk_for: Any) -> None:
    desk = desk_for(ANSWER)
    (desk.workspace / "broken.json").write_text(json.dumps({"a": 1})[:-1])
    window = desk.window
    window.open_file("broken.json")
    window.page.locator(".squiggly-error").first.wait_for()
    window.command("Agent: Fix Problems")
    asked = window.chat.locator(".message.user")
    asked.wait_for()
    assert "Fix these problems" in asked.inner_text()
    assert "line 1" in asked.inner_text()
    window.chat.locator(".message.assistant", has_text="You asked").wait_for()
