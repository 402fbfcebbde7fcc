"""The main job in real VS Code: ask about an unsaved buffer, answer by keyboard, see the edit, undo it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

FIX = """
[[turn]]
when = "fix"
do = [
  { think = "The name says add, the code subtracts.", deltas = 3 },
  { text = "`add` subtracts. I will look at the file and correct it.", deltas = 6 },
  { tool = "todos", input = { todos = [
      { content = "Read the file", status = "completed", active_form = "Reading the file" },
      { content = "Correct add", status = "in_progress", active_form = "Correcting add" },
      { content = "Explain", status = "pending", active_form = "Explaining" } ] } },
  { tool = "view", input = { file_path = "{{attachment_path}}" } },
]
[[turn]]
after = "tool"
do = [
  { tool = "edit", input = { file_path = "{{attachment_path}}", old_string = "a - b", new_string = "a + b" } },
]
[[turn]]
after = "tool"
do = [
  { text = "`add` adds now:\\n\\n```python\\ndef add(a, b):\\n    return a + b\\n```\\n\\n", deltas = 9 },
  { text = "The line you have not saved is untouched.", deltas = 4 },
  { usage = { input = 24180, output = 310 } },
]
[[turn]]
aside = true
times = 0
do = [ { text = "Correct add" } ]
"""


def test_an_unsaved_buffer_is_edited_after_a_permission_given_by_keyboard_and_undone(desk_for: Any) -> None:
    desk = desk_for(FIX)
    window = desk.window
    on_disk = desk.file.read_text()
    window.type_at_end("unsaved = add(1, 2)\n")
    assert window.is_dirty

    chat = window.open_chat()
    assert "sums.py (unsaved)" in chat.locator("#composer .chip").first.inner_text()
    window.page.keyboard.type("fix add")
    window.picture("vscode-ask")
    window.page.keyboard.press("Enter")

    card = chat.locator(".permission")
    card.wait_for()
    assert "return a + b" in card.inner_text()
    assert chat.locator("button.answer:focus").get_attribute("data-option") == "allow_once"
    chat.locator("#composer .pick", has_text="Ask").wait_for()
    window.picture("vscode-permission")
    assert "return a - b" in window.text()
    window.page.keyboard.press("Enter")

    chat.locator(".message.assistant", has_text="is untouched").wait_for()
    until(lambda: "return a + b" in window.text(), "the edit is visible")
    assert "unsaved = add(1, 2)" in window.text()
    assert window.is_dirty
    assert desk.file.read_text() == on_disk
    window.page.locator(".codelens-decoration", has_text="Keep").wait_for()
    chat.locator('.tool[data-tool="edit"][data-status="completed"]').wait_for()
    window.picture("vscode-edited")

    window.editor.locator(".view-lines").click()
    window.page.keyboard.press("Control+z")
    until(lambda: "return a - b" in window.text(), "one undo takes the edit back")
    assert "unsaved = add(1, 2)" in window.text()
    assert desk.file.read_text() == on_disk


def test_a_hunk_is_undone_by_its_lens_and_what_was_typed_since_stays(desk_for: Any) -> None:
    desk = desk_for(FIX)
    window = desk.window
    chat = window.open_chat()
    window.page.keyboard.type("fix add")
    window.page.keyboard.press("Enter")
    chat.locator(".permission").wait_for()
    window.page.keyboard.press("1")
    chat.locator(".message.assistant", has_text="is untouched").wait_for()
    window.type_at_end("typed_since = True\n")
    window.page.locator(".codelens-decoration a", has_text="Undo").click()
    until(lambda: "return a - b" in window.text(), "the hunk is undone")
    assert "typed_since = True" in window.text()


def test_a_rejection_with_a_message_changes_nothing_and_goes_on(desk_for: Any) -> None:
    desk = desk_for(FIX)
    window = desk.window
    chat = window.open_chat()
    window.page.keyboard.type("fix add")
    window.page.keyboard.press("Enter")
    chat.locator(".permission .why").fill("Leave it, it is a joke")
    window.page.keyboard.press("Enter")
    chat.locator(
        '.tool[data-tool="edit"][data-status="rejected"], .tool[data-tool="edit"][data-status="failed"]'
    ).wait_for()
    chat.locator(".message.assistant", has_text="is untouched").wait_for()
    assert "return a - b" in window.text()
    assert not window.is_dirty
