"""Tests inside the real extension host: they see the editor's API, the extension's parts and the real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vscode.code_server import HOST_TESTS, until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]


WHOLE_S = 240
SCRIPT = """
[[turn]]
when = "fix add"
after = "user"
do = [ { text = "I will look." }, { tool = "view", input = { file_path = "{{attachment_path}}" } } ]
[[turn]]
when = "fix add"
after = "tool"
do = [
  { text = "I will correct it." },
  { tool = "edit", input = { file_path = "{{attachment_path}}", old_string = "a - b", new_string = "a + b" } },
]
[[turn]]
when = "wait for it"
do = [ { text = "Waiting." }, { hold = "forever" } ]
[[turn]]
when = "story one"
do = [ { text = "This is one: " }, { hold = "one" }, { text = "ends." } ]
[[turn]]
when = "story two"
do = [ { text = "This is two: " }, { hold = "two" }, { text = "ends." } ]
[[turn]]
when = "story three"
do = [ { text = "This is three: " }, { hold = "three" }, { text = "ends." } ]
[[turn]]
when = "quick"
times = 0
do = [ { text = "Quick." } ]
[[turn]]
when = "much"
do = [ { text = "some wörds 😀\\n\\n", repeat = 2500, deltas = 4 } ]
[[turn]]
when = "question"
after = "user"
do = [ { tool = "question", input = '''{"questions": [{"type": "single_choice", "text": "Which colour?",
  "description": "It is painted with it.",
  "choices": [{"id": "red", "label": "Red"}, {"id": "green", "label": "Green"}]}]}''' } ]
[[turn]]
when = "delegate"
after = "user"
do = [ { tool = "agent", input = { prompt = "helper, look around" } } ]
[[turn]]
when = "helper"
after = "user"
do = [ { text = "I am the helper." } ]
[[turn]]
after = "tool"
do = [ { text = "It said: {{tool_result}}" } ]
[[turn]]
when = "."
after = "user"
do = [ { text = "You asked: {{last_user}}" } ]
[[turn]]
aside = true
times = 0
do = [ { text = "A title" } ]
"""


def test_inside_the_extension_host_everything_passes(prepared_desk: Any, record_property: Any) -> None:
    desk = prepared_desk(SCRIPT)
    page = desk.window.page
    said: list[str] = []
    ended: list[int] = []
    path: Path = desk.workspace.parent / "results.json"
    page.expose_function("codeAutomationLog", lambda kind, parts: said.append(f"{kind}: {parts}"[:200]))
    page.expose_function("codeAutomationExit", lambda code: ended.append(code))
    page.goto(desk.server.tests_url(desk.workspace, HOST_TESTS))

    def is_over() -> bool:
        # the functions above are called while the page is spoken with
        page.wait_for_timeout(50)
        return bool(ended)

    def known() -> str:
        return path.read_text() if path.exists() else "\n".join(said[-20:])

    until(is_over, lambda: f"the tests end: {known()[-6000:]}", WHOLE_S)
    assert path.exists(), known()
    results = json.loads(path.read_text())
    record_property("tests in the extension host", len(results))
    failed = [f"{result['name']}: {result['error']}" for result in results if "error" in result]
    assert not failed, "\n\n".join(failed)
    assert ended == [0]
    assert len(results) >= 15
