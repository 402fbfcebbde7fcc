"""The chat of real VS Code when the server is killed under it: a prompt is neither lost nor answered twice."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from tests.vscode.code_server import kept_servers, until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

ANSWER = """
[[turn]]
when = "one"
times = 0
do = [ { text = "Answered." } ]
[[turn]]
when = "two"
times = 0
do = [ { text = "Answered, too." } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Questions" } ]
"""


def test_a_prompt_the_killed_server_had_not_answered_is_run_once_by_the_next(desk_for: Any) -> None:
    desk = desk_for(ANSWER)
    window = desk.window
    chat = window.open_chat()
    (keeper,) = kept_servers(desk.server.runtime)
    (server,) = psutil.Process(keeper).children()
    server.suspend()
    prompt = chat.locator("#prompt")
    prompt.fill("one")
    prompt.press("Enter")
    chat.locator('.submit[aria-busy="true"]').wait_for()
    prompt.press("Enter")  # impatient: it is on its way already
    prompt.press("End")
    prompt.press_sequentially(", and then")
    server.kill()
    chat.locator(".message.assistant", has_text="Answered.").wait_for()
    chat.locator('#head[data-state="idle"]').wait_for()
    until(lambda: prompt.input_value() == ", and then", lambda: f"what was typed since stays: {prompt.input_value()!r}")

    prompt.fill("two")
    prompt.press("Enter")
    chat.locator(".message.assistant", has_text="Answered, too.").wait_for()
    assert chat.locator(".message.user .bubble").all_inner_texts() == ["one", "two"]
    assert chat.locator(".message.assistant").count() == 2
    assert prompt.input_value() == ""
