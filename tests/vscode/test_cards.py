"""Cards of the chat in real VS Code: questions by keyboard, sub-agents with what they do, commands, dropped files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

QUESTIONS = """
[[turn]]
when = "paint"
after = "user"
do = [ { text = "There are some things I should know." }, { tool = "question", input = '''{
  "title": "Before I begin", "questions": [
    {"type": "yes_no", "text": "Shall the tests be kept?", "description": "They fail at present."},
    {"type": "multi_choice", "text": "Which files?", "description": "The others stay as they are.", "choices": [
      {"id": "a", "label": "sums.py"}, {"id": "b", "label": "notes.md", "description": "the manual"}]},
    {"type": "free_text", "text": "What is it for?", "description": "One sentence."}]}''' } ]
[[turn]]
when = "colour"
after = "user"
do = [ { tool = "question", input = '''{"questions": [{"type": "single_choice", "text": "Which colour?",
  "description": "It is painted with it.",
  "choices": [{"id": "red", "label": "Red"}, {"id": "green", "label": "Green"}]}]}''' } ]
[[turn]]
after = "tool"
times = 0
do = [ { text = "I was told: {{tool_result}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Painting" } ]
"""

HELPER = """
[[turn]]
when = "look around"
after = "user"
do = [
  { tool = "agent", input = { prompt = "You are the helper: list the files" } },
]
[[turn]]
when = "helper"
after = "user"
do = [ { tool = "ls", input = { path = "." } } ]
[[turn]]
when = "helper"
after = "tool"
do = [ { text = "There is one file, said the helper. " }, { hold = "helper" } ]
[[turn]]
when = "look around"
after = "tool"
do = [ { text = "Only sums.py is here." } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Looking around" } ]
"""


def say(window: Any, text: str) -> None:
    window.chat.locator("#prompt").fill(text)
    window.page.keyboard.press("Enter")


def test_several_questions_are_answered_by_keyboard_and_survive_a_reload(desk_for: Any) -> None:
    desk = desk_for(QUESTIONS)
    window = desk.window
    window.open_chat()
    say(window, "paint it")
    card = window.chat.locator(".question")
    card.wait_for()
    until(lambda: card.locator("input:focus").count() == 1, "the question has the focus")

    window.reload()
    chat = window.open_chat()
    card = chat.locator(".question")
    card.wait_for()
    assert "Before I begin" in card.inner_text()
    window.page.keyboard.press("Control+Alt+p")
    until(lambda: card.locator("input:focus").count() == 1, "the key goes to the question")
    press = window.page.keyboard.press
    press("1")
    press("Tab")
    press("1")
    press("2")
    press("Tab")
    until(lambda: card.locator('input[name="answer_2_other"]:focus').count() == 1, "own words have the focus")
    press("Tab")
    window.page.keyboard.type("For the fun of it")
    window.picture("vscode-question")
    press("Control+Enter")
    card.wait_for(state="detached")
    said = chat.locator(".message.assistant", has_text="I was told")
    said.wait_for()
    text = said.inner_text()
    assert "yes" in text
    assert '"a", "b"' in text.replace("\u201c", '"').replace("\u201d", '"')
    assert "For the fun of it" in text

    say(window, "which colour")
    card = chat.locator(".question")
    card.wait_for()
    until(lambda: card.locator("input:focus").count() == 1, "the question has the focus")
    press("2")
    chat.locator(".message.assistant", has_text='I was told: The user chose: ["green"]').wait_for()


def test_a_sub_agent_is_nested_in_its_card_while_it_works_and_after_a_reload(desk_for: Any) -> None:
    desk = desk_for(HELPER)
    window = desk.window
    chat = window.open_chat()
    say(window, "look around")
    desk.until_held("helper")
    nested = '.tool[data-tool="agent"] .child .tool[data-tool="ls"][data-status="completed"]'
    chat.locator(nested).wait_for()
    chat.locator(".child .said", has_text="said the helper").wait_for()
    window.picture("vscode-subagent")
    window.reload()
    chat = window.open_chat()
    chat.locator(nested).wait_for(state="attached")
    desk.release("helper")
    chat.locator(".message.assistant", has_text="Only sums.py is here.").wait_for()


def test_commands_are_completed_after_a_slash_and_a_dropped_text_file_becomes_a_chip(desk_for: Any) -> None:
    desk = desk_for(QUESTIONS)
    window = desk.window
    chat = window.open_chat()
    prompt = chat.locator("#prompt")
    prompt.click()
    window.page.keyboard.type("/sess")
    chat.locator(".completion li", has_text="/sessions").wait_for()
    window.page.keyboard.press("Enter")
    until(lambda: prompt.input_value().strip() == "/sessions", "the command is completed")
    window.page.keyboard.press("Enter")
    chat.locator('#sessions input[type="search"]').wait_for()
    window.page.keyboard.press("Escape")

    chat.locator("#composer").evaluate(
        """(box) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(['one line\\n'], 'notes.txt', { type: 'text/plain' }));
            box.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
    )
    chat.locator("#composer .chip", has_text="notes.txt").wait_for()
    prompt.click()
    window.page.keyboard.type("see @#ad")
    chat.locator(".completion li", has_text="@#add").wait_for()
    window.page.keyboard.press("Enter")
    chat.locator("#composer .chip", has_text="add").wait_for()
