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

from tests.vscode.latency import typed

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

PIECE = "some wörds 😀 here\\n\\n"
COUNT = 2500
SCRIPT = f'[[turn]]\nwhen = "much"\ndo = [ {{ text = "{PIECE}", repeat = {COUNT}, deltas = 4 }} ]\n'
ALONE_KEYS = 200


def test_keys_are_answered_while_ten_thousand_deltas_arrive(
    desk_for: Any, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = desk_for(SCRIPT)
    window = desk.window
    chat = window.open_chat()
    window.editor.locator(".view-lines").click()
    window.page.keyboard.press("Control+End")
    first, alone = typed(window, lambda count: count < ALONE_KEYS)

    chat.locator("#prompt").fill("much")
    chat.locator("#prompt").press("Enter")
    chat.locator('#head[data-state="running"]').wait_for()
    began = time.monotonic()
    window.editor.locator(".view-lines").click()
    window.page.keyboard.press("Control+End")
    head = chat.locator("#head")
    streams = {"now": True}

    def goes_on(count: int) -> bool:
        if count % 10 == 0:
            streams["now"] = head.get_attribute("data-state") == "running"
        return streams["now"] or count < 20

    second, streaming = typed(window, goes_on)
    chat.locator('#head[data-state="idle"]').wait_for(timeout=90_000)
    took_s = round(time.monotonic() - began, 2)

    shown = chat.locator(".message.assistant").get_attribute("data-chars")
    whole = PIECE.replace("\\n", "\n") * COUNT
    assert int(shown) == len(whole.encode("utf-16-le")) // 2
    assert first + second in window.text().replace("\n", "")
    figures = {"alone": asdict(alone), "streaming": asdict(streaming), "stream_s": took_s, "deltas": COUNT * 4}
    record_property("latency", json.dumps(figures))
    with capsys.disabled():
        print(json.dumps(figures))
