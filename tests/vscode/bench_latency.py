"""Keys typed into the editor while 10,000 deltas of an answer arrive at full speed (`make vscode-bench`).

Prints one JSON line: milliseconds from a key to the picture, alone and while it streams, and how long the stream took.
It is a test, too: the text must be whole and in the same bytes.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import pytest

from tests.vscode.latency import summary, typed

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

PIECE = "some wörds 😀 here\\n\\n"
COUNT = 2500
ROUNDS = 4
SCRIPT = "\n".join(
    f'[[turn]]\nwhen = "much {number}"\ndo = [ {{ hold = "go{number}" }}, '
    f'{{ text = "{PIECE}", repeat = {COUNT}, deltas = 4 }} ]\n'
    for number in range(ROUNDS)
)
ALONE_KEYS = 200


def test_keys_are_answered_while_ten_thousand_deltas_arrive(
    desk_for: Any, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = desk_for(SCRIPT)
    window = desk.window
    chat = window.open_chat()
    head = chat.locator("#head")
    _focus(window)
    text, alone = typed(window, lambda count: count < ALONE_KEYS)
    streaming: list[float] = []
    took_s: list[float] = []
    for number in range(ROUNDS):
        chat.locator("#prompt").fill(f"much {number}")
        chat.locator("#prompt").press("Enter")
        desk.until_held(f"go{number}")
        _focus(window)
        began = time.monotonic()
        desk.release(f"go{number}")
        more, found = typed(window, lambda count: count % 8 != 7 or head.get_attribute("data-state") == "running")
        chat.locator('#head[data-state="idle"]').wait_for(timeout=90_000)
        took_s.append(round(time.monotonic() - began, 2))
        text += more
        streaming += found

    whole = PIECE.replace("\\n", "\n") * COUNT
    shown = chat.locator(".message.assistant")
    for number in range(ROUNDS):
        assert int(shown.nth(number).get_attribute("data-chars")) == len(whole.encode("utf-16-le")) // 2
    assert text[-40:] in window.text()
    figures = {"alone": asdict(summary(alone)), "streaming": asdict(summary(streaming)), "stream_s": took_s}
    record_property("latency", json.dumps(figures))
    with capsys.disabled():
        print(json.dumps({**figures, "deltas": COUNT * 4}))


def _focus(window: Any) -> None:
    window.editor.locator(".view-lines").click()
    window.page.keyboard.press("Control+End")
