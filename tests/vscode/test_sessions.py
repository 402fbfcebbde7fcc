"""Sessions in real VS Code: searched, renamed, forked, exported and deleted by their list and by commands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

ANSWER = """
[[turn]]
when = "."
times = 0
do = [ { text = "You asked: {{last_user}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "A title" } ]
"""


def test_sessions_are_renamed_searched_forked_exported_and_deleted(desk_for: Any) -> None:
    desk = desk_for(ANSWER)
    window = desk.window
    chat = window.open_chat()
    title = chat.locator("#head .title")
    for number, word in enumerate(["first", "last"], 1):
        window.say(f"the {word} question")
        until(lambda number=number: chat.locator(".message.assistant").count() == number, "it is answered")
        chat.locator('#head[data-state="idle"]').wait_for()

    window.command("Agent: Rename Session")
    window.answer("Gardening")
    until(lambda: title.inner_text() == "Gardening", "the session has its name")

    chat.locator(".message.user", has_text="the last question").get_by_label("Fork from here").press("Enter")
    until(lambda: chat.locator(".message.user").count() == 1, "the fork has what was before")
    until(lambda: chat.locator("#prompt").input_value() == "the last question", "and the prompt to be changed")
    chat.locator("#prompt").fill("")
    window.command("Agent: Fork Session")
    window.command("Agent: Rename Session")
    window.answer("Plumbing")
    until(lambda: title.inner_text() == "Plumbing", "the fork has its own name")

    window.command("Agent: Sessions")
    search = chat.locator('#sessions input[type="search"]')
    rows = chat.locator("#sessions li[data-id]")
    until(lambda: rows.count() == 3, "three sessions are listed")
    search.fill("plumb")
    until(lambda: rows.count() == 1, "one fits")
    assert "Plumbing" in rows.first.inner_text()
    rows.first.locator(".session").focus()
    rows.first.get_by_label("Delete").press("Enter")
    window.page.locator(".monaco-dialog-box").get_by_role("button", name="Delete", exact=True).click()
    until(lambda: title.inner_text() == "New session", "it is gone")
    search.fill("")
    until(lambda: rows.count() == 2, "the others are there")
    rows.last.locator(".session").press("Enter")
    until(lambda: title.inner_text() == "Gardening", "the first one is shown")

    window.command("Agent: Export Session")
    window.choose("Markdown")
    window.page.locator(".tab.active", has_text="Untitled").wait_for()
    until(lambda: "the last question" in window.text(), "the session is a text")
