"""The chat of real VS Code while the agent works: queue, steering, live output, thinking, context and cost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

STORY = """
[[turn]]
when = "story"
after = "user"
do = [
  { think = "A story should have a beginning.", deltas = 3 },
  { text = "Once upon a time. ", deltas = 2 },
  { hold = "middle" },
  { tool = "view", input = { file_path = "{{attachment_path}}" } },
  { usage = { input = 24180, output = 310 } },
]
[[turn]]
when = "brief"
do = [ { text = "Briefly: the end." }, { usage = { input = 30000, output = 20 } } ]
[[turn]]
when = "third"
do = [ { text = "The third begins. " }, { hold = "third" }, { text = "The third ends." } ]
[[turn]]
when = "second"
do = [ { text = "You asked: {{last_user}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "A story" } ]
"""


def test_prompts_are_moved_edited_whole_and_sent_now_and_one_joins_the_running_turn(desk_for: Any) -> None:
    desk = desk_for(STORY)
    window = desk.window
    chat = window.open_chat()
    window.say("tell a story")
    desk.until_held("middle")
    thought = chat.locator("details.thought")
    thought.wait_for()
    assert not thought.locator(".thought-text").is_visible()
    thought.locator("summary").press("Enter")
    thought.locator(".thought-text", has_text="should have a beginning").wait_for()

    long = "second one, " + "with many words, " * 8 + "and\nof two lines"
    window.say(long)
    rows = chat.locator(".queue li")
    chat.locator(".queue li", has_text="second one").wait_for()
    window.say("third one")
    until(lambda: rows.count() == 2, "two prompts wait")
    rows.nth(1).get_by_label("Earlier").press("Enter")
    until(lambda: "third one" in rows.nth(0).inner_text(), "the third is the first")

    rows.nth(1).get_by_label("Edit", exact=True).press("Enter")
    box = rows.nth(1).get_by_label("Edit the prompt")
    box.wait_for()
    until(lambda: chat.locator(".queue textarea:focus").count() == 1, "the prompt has the focus")
    assert box.input_value() == long
    box.fill(long.replace("two lines", "two edited lines"))
    window.picture("vscode-queue")
    box.press("Enter")
    box.wait_for(state="detached")

    chat.locator("#prompt").fill("be brief")
    chat.locator("#prompt").press("Control+Enter")
    chat.locator(".queue .codicon-git-merge").wait_for()
    desk.release("middle")
    chat.locator(".message.assistant", has_text="Briefly: the end.").wait_for()
    texts = chat.locator(".message.user .bubble").all_inner_texts()
    assert texts[:2] == ["tell a story", "be brief"]

    desk.until_held("third")
    meter = chat.locator(".meter")
    assert "15%" in meter.inner_text()
    assert "$0." in meter.inner_text()
    assert "30,020 of 200,000 tokens of context" in str(meter.get_attribute("aria-label"))
    rows.first.get_by_label("Send now").press("Enter")
    chat.locator(".message.assistant", has_text="of two edited lines").wait_for()
    chat.locator('#head[data-state="idle"]').wait_for()
    assert chat.locator(".message.assistant", has_text="The third ends.").count() == 0


def test_what_was_typed_into_a_prompt_whose_turn_came_meanwhile_is_kept(desk_for: Any) -> None:
    desk = desk_for(STORY)
    chat = desk.window.open_chat()
    desk.window.say("tell a story")
    desk.until_held("middle")
    desk.window.say("second one")
    chat.locator(".queue li", has_text="second one").get_by_label("Edit", exact=True).press("Enter")
    box = chat.get_by_label("Edit the prompt")
    box.fill("second one, and more")
    desk.release("middle")
    chat.locator(".message.assistant", has_text="You asked: second one").wait_for()
    prompt = chat.locator("#prompt")
    until(lambda: prompt.input_value() == "second one, and more", lambda: f"it is kept: {prompt.input_value()!r}")


COMMAND = """
[[turn]]
when = "run"
after = "user"
do = [ { tool = "bash", input = '''{"description": "Wait for it",
  "command": "echo one; until test -e go; do sleep 0.05; done; echo two"}''' } ]
[[turn]]
after = "tool"
do = [ { text = "It said: {{tool_result}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "A command" } ]
"""
SECOND_MODEL = """
[providers.other]
type = "scripted"
[[providers.other.models]]
id = "second"
name = "Second model"
"""


def test_a_command_shows_its_output_while_it_runs_and_model_and_mode_are_picked(desk_for: Any) -> None:
    desk = desk_for(COMMAND, extra=SECOND_MODEL)
    window = desk.window
    chat = window.open_chat()
    window.say("run it")
    chat.locator(".permission pre", has_text="echo one").wait_for()
    until(lambda: chat.locator("button.answer:focus").count() == 1, "the permission has the focus")
    window.page.keyboard.press("1")
    card = chat.locator('.tool[data-tool="bash"]')
    live = chat.locator('.tool[data-tool="bash"][data-status="in_progress"][open] .output')
    live.wait_for()
    until(lambda: live.inner_text().strip() == "one", lambda: f"what it has said so far: {live.inner_text()!r}")
    window.picture("vscode-command")
    (desk.workspace / "go").touch()
    chat.locator(".message.assistant", has_text="It said: one two").wait_for()
    assert card.get_attribute("data-status") == "completed"
    assert card.get_attribute("open") is None
    card.locator("summary").press("Enter")
    card.locator(".output", has_text="two").wait_for()

    chat.locator(".pick[title^='Model']").click()
    window.choose("Second model")
    chat.locator(".pick", has_text="Second model").wait_for()
    chat.locator(".pick[title^='What the agent may do']").click()
    window.choose("Plan")
    chat.locator(".pick", has_text="Plan").wait_for()
    window.reload()
    chat = window.open_chat()
    chat.locator(".pick", has_text="Plan").wait_for()
    chat.locator(".pick", has_text="Second model").wait_for()
