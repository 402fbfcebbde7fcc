"""Streams in real VS Code: a reload in the middle, a queue, a stop, two sessions at once, ten thousand deltas."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

HELD = """
[[turn]]
when = "story"
do = [
  { text = "Once upon a time there was a buffer. ", deltas = 8 },
  { hold = "middle" },
  { text = "And it was saved happily ever after.", deltas = 8 },
]
[[turn]]
when = "second"
do = [ { text = "The second answer.", deltas = 3 } ]
[[turn]]
when = "third"
do = [ { text = "The third answer.", deltas = 3 } ]
[[turn]]
when = "story"
aside = true
times = 0
do = [ { text = "A story of a buffer" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Another question" } ]
"""


def say(window: Any, text: str) -> None:
    window.chat.locator("#prompt").fill(text)
    window.page.keyboard.press("Enter")


def test_a_reload_in_the_middle_of_a_stream_loses_nothing(desk_for: Any) -> None:
    desk = desk_for(HELD)
    window = desk.window
    chat = window.open_chat()
    say(window, "tell a story")
    desk.until_held("middle")
    chat.locator(".message.assistant", has_text="there was a buffer").wait_for()

    window.reload()
    chat = window.open_chat()
    chat.locator(".message.user", has_text="tell a story").wait_for()
    chat.locator(".message.assistant", has_text="there was a buffer").wait_for()
    assert chat.locator("#head").get_attribute("data-state") == "running"

    desk.release("middle")
    chat.locator(".message.assistant", has_text="happily ever after.").wait_for()
    whole = "Once upon a time there was a buffer. And it was saved happily ever after."
    assert chat.locator(".message.assistant .markdown").inner_text().strip() == whole
    chat.locator('#head[data-state="idle"]').wait_for()


def test_prompts_queue_while_busy_are_edited_and_removed_and_a_stop_lets_them_start(desk_for: Any) -> None:
    desk = desk_for(HELD)
    window = desk.window
    chat = window.open_chat()
    say(window, "tell a story")
    desk.until_held("middle")
    say(window, "second one")
    chat.locator(".queue li", has_text="second one").wait_for()
    say(window, "third one")
    row = chat.locator(".queue li", has_text="third one")
    row.wait_for()
    row.get_by_label("Remove").click()
    row.wait_for(state="detached")
    chat.get_by_label("Stop (Escape twice)").click()
    chat.locator(".message.assistant", has_text="The second answer.").wait_for()
    # the one that was stopped, and the one that was removed before it began: the conversation tells of both
    assert chat.locator(".end.canceled").count() == 2
    assert chat.locator(".message.assistant", has_text="The third answer.").count() == 0


def test_two_sessions_stream_at_once_and_the_list_shows_both(desk_for: Any) -> None:
    desk = desk_for(HELD)
    window = desk.window
    chat = window.open_chat()
    say(window, "tell a story")
    desk.until_held("middle")
    window.command("Agent: New Session")
    chat.locator(".empty").wait_for()
    say(window, "second session")
    chat.locator(".message.assistant", has_text="The second answer.").wait_for()
    window.command("Agent: Sessions")
    rows = chat.locator("#sessions li[data-id]")
    until(lambda: rows.count() == 2, "two sessions are listed")
    window.picture("vscode-sessions")
    chat.locator("#sessions li", has_text="A story of a buffer").locator(".session").click()
    chat.locator(".message.assistant", has_text="there was a buffer").wait_for()
    desk.release("middle")
    chat.locator(".message.assistant", has_text="happily ever after.").wait_for()


def test_ten_thousand_deltas_arrive_whole_and_the_editor_stays_usable(desk_for: Any, record_property: Any) -> None:
    desk = desk_for('[[turn]]\nwhen = "much"\ndo = [ { text = "some words here\\n\\n", repeat = 2500, deltas = 4 } ]\n')
    window = desk.window
    chat = window.open_chat()
    say(window, "much")
    chat.locator(".message.assistant").wait_for()
    window.type_at_end("typed = 1\n")
    until(lambda: "typed = 1" in window.text(), "typing works while it streams")
    chat.locator('#head[data-state="idle"]').wait_for(timeout=90_000)
    chars = int(chat.locator(".message.assistant").get_attribute("data-chars"))
    assert chars == len("some words here\n\n") * 2500


def test_a_pasted_image_becomes_a_chip_and_a_file_is_completed_after_an_at_sign(desk_for: Any) -> None:
    desk = desk_for('[[turn]]\nwhen = "picture"\ndo = [ { text = "I see {{attachment_path}}." } ]\n')
    (desk.workspace / "notes.md").write_text("hello\n")
    window = desk.window
    chat = window.open_chat()
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    assert base64.b64decode(dot)
    chat.locator("#prompt").evaluate(
        """(input, data) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], 'dot.png', { type: 'image/png' }));
            const pasted = { clipboardData: transfer, bubbles: true, cancelable: true };
            input.dispatchEvent(new ClipboardEvent('paste', pasted));
        }""",
        dot,
    )
    chip = chat.locator("#composer .chip", has_text="dot.png")
    chip.wait_for()
    assert chip.locator("img").count() == 1
    chat.locator("#prompt").click()
    window.page.keyboard.type("what is in this picture, see @not")
    chat.locator(".completion li", has_text="notes.md").wait_for()
    window.picture("vscode-attach")
    window.page.keyboard.press("Enter")
    chat.locator("#composer .chip", has_text="notes.md").wait_for()
    chat.locator("#composer .chip.automatic").get_by_role("button").click()
    chat.locator("#composer .chip.automatic").wait_for(state="detached")
    chat.locator("#prompt").click()
    window.page.keyboard.press("Enter")
    chat.locator(".message.user .chip", has_text="notes.md").wait_for()
    assert chat.locator(".message.user .chip").count() == 2
