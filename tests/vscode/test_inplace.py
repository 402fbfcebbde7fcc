"""From the text, in real VS Code: code actions on a selection, edits in place, mentions, a file dragged in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """
[[turn]]
when = "Edit the selected code"
after = "user"
do = [ { tool = "view", input = { file_path = "sums.py" } } ]
[[turn]]
when = "Edit the selected code"
after = "tool"
do = [ { tool = "edit", input = { file_path = "sums.py", old_string = "a - b", new_string = "a + b" } } ]
[[turn]]
when = "Edit the selected code"
after = "tool"
do = [ { text = "Done." } ]
[[turn]]
when = "."
after = "user"
times = 0
do = [ { text = "You asked: {{last_user}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "A title" } ]
"""


def test_a_selection_is_edited_in_place_and_the_other_actions_take_it_along(desk_for: Any) -> None:
    desk = desk_for(SCRIPT, **{"lspAgent.attachments.selection": False})
    window = desk.window
    page = window.page
    window.focus_editor(2)
    page.keyboard.press("Shift+End")
    page.keyboard.press("Control+.")
    actions = page.locator(".action-widget")
    for title in ("ask about the selection", "explain", "write tests", "edit the selection"):
        actions.get_by_text(f"Agent: {title}").wait_for()
    actions.get_by_text("Agent: edit the selection").click()
    window.answer("make it add")
    row = page.locator(".quick-input-list .monaco-list-row", has_text="Allow once")
    row.wait_for()
    assert "+ return a + b" in row.first.inner_text()
    page.keyboard.press("Enter")
    until(lambda: "return a + b" in window.text(), "it is edited")
    page.locator(".codelens-decoration", has_text="Keep").wait_for()
    assert page.locator("iframe.webview").count() == 0

    window.focus_editor(2)
    page.keyboard.press("Shift+End")
    window.command("Agent: Write Tests")
    asked = window.chat.locator(".message.user", has_text="Write tests for this code.")
    asked.wait_for()
    asked.locator(".chip", has_text="sums.py:2").wait_for()
    window.chat.locator(".message.assistant", has_text="You asked: Write tests").wait_for()


def test_a_wish_that_cannot_be_sent_is_in_the_chat_where_it_can_be_sent_again(desk_for: Any) -> None:
    desk = desk_for(SCRIPT, **{"lspAgent.server.command": ["/nowhere/lsp-agent"]})
    window = desk.window
    window.focus_editor(2)
    window.command("Agent: Edit Selection in Place")
    window.answer("make it add")
    prompt = window.chat.locator("#prompt")
    prompt.wait_for()
    until(lambda: prompt.input_value() == "Edit this file: make it add", "the wish is there")


WORK = """
[[turn]]
when = "work"
after = "user"
do = [
  { tool = "write", input = { file_path = "new.md", content = "one" } },
  { tool = "bash", input = { description = "Say hello", command = "echo hello" } },
]
[[turn]]
after = "tool"
do = [ { text = "Written." } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Work" } ]
"""


def test_problems_changes_and_terminals_are_mentioned_and_a_file_is_dragged_from_the_explorer(desk_for: Any) -> None:
    allowed = '[permissions]\nmode = "accept-edits"\n'
    desk = desk_for(WORK, extra=allowed, files={"notes.md": "hello\n", "broken.json": '{"a": 1'})
    window = desk.window
    page = window.page
    window.open_file("broken.json")
    page.locator(".squiggly-error").first.wait_for()
    chat = window.open_chat()
    window.say("work")
    chat.locator(".message.assistant", has_text="Written.").wait_for()
    chat.locator('#head[data-state="idle"]').wait_for()
    prompt = chat.locator("#prompt")
    for typed, offered in (("@diag", "diagnostics"), ("@chan", "changes"), ("@term", "terminal:")):
        prompt.press_sequentially(f" {typed}")
        chat.locator(".completion li", has_text=offered).first.wait_for()
        assert str(prompt.get_attribute("aria-activedescendant")).startswith("suggestion-")
        page.keyboard.press("Enter")
        chat.locator("#composer .chip", has_text=offered).wait_for()

    row = page.locator(".explorer-folders-view .monaco-list-row", has_text="notes.md")
    start, end = row.bounding_box(), page.locator("iframe.webview").bounding_box()
    page.mouse.move(start["x"] + 40, start["y"] + 10)
    page.mouse.down()
    page.keyboard.down("Shift")
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=8)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] - 60, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    chat.locator("#composer .chip", has_text="notes.md").wait_for()
