"""Changes in real VS Code: hunks decided by keys, everything reviewed at once, checkpoints, following the agent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vscode.code_server import until

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]

TEXT = "def add(a, b):\n    return a - b\n\n\n" + "# between\n" * 6 + "\n\ndef twice(a):\n    return a + 2\n"
OTHER = "LIMIT = 1\n"
SCRIPT = """
[[turn]]
when = "fix both"
after = "user"
do = [
  { tool = "view", input = { file_path = "limits.py" } },
  { tool = "view", input = { file_path = "sums.py" } },
]
[[turn]]
when = "fix both"
after = "tool"
do = [
  { tool = "edit", input = { file_path = "limits.py", old_string = "LIMIT = 1", new_string = "LIMIT = 2" } },
  { tool = "multiedit", input = '''{"file_path": "sums.py", "edits": [
    {"old_string": "a - b", "new_string": "a + b"}, {"old_string": "a + 2", "new_string": "a * 2"}]}''' },
]
[[turn]]
when = "fix both"
after = "tool"
do = [ { text = "Both are right." } ]
[[turn]]
when = "once more"
after = "user"
do = [ { tool = "edit", input = { file_path = "limits.py", old_string = "LIMIT = 2", new_string = "LIMIT = 3" } } ]
[[turn]]
after = "tool"
do = [ { text = "It is three." } ]
[[turn]]
aside = true
times = 0
do = [ { text = "Right sums" } ]
"""
ALLOWED = '[permissions]\nmode = "accept-edits"\n'


def test_hunks_are_decided_by_keys_the_run_is_reviewed_and_a_checkpoint_brings_all_back(desk_for: Any) -> None:
    desk = desk_for(SCRIPT, text=TEXT, extra=ALLOWED, files={"limits.py": OTHER}, **{"lspAgent.follow": True})
    window = desk.window
    page = window.page
    chat = window.open_chat()
    window.say("fix both")
    chat.locator(".message.assistant", has_text="Both are right.").wait_for()
    chat.locator('#head[data-state="idle"]').wait_for()
    # it was followed to the file it changed last, and the focus stayed in the chat
    page.locator(".tab", has_text="limits.py").wait_for()
    page.locator(".tab.active", has_text="sums.py").wait_for()
    assert page.evaluate("() => document.activeElement?.tagName") == "IFRAME"

    lenses = page.locator(".codelens-decoration", has_text="Keep")
    until(lambda: lenses.count() == 2, "two changes are marked")
    window.focus_editor()
    page.keyboard.press("Control+Alt+]")
    page.keyboard.press("Control+Alt+Enter")
    until(lambda: lenses.count() == 1, "one is kept")
    page.keyboard.press("Control+Alt+]")
    page.keyboard.press("Control+Alt+Backspace")
    until(lambda: lenses.count() == 0 and "a + 2" in window.text(), "the other one is undone")
    assert "return a + b" in window.text()

    # decided hunks are told of again, and still shown once
    assert chat.locator('.tool[data-tool="multiedit"] .counts').inner_text() == "+2 −2"

    window.command("Agent: Review All Changes")
    page.locator(".tab.active", has_text="Changes of the agent").wait_for()
    for name in ("sums.py", "limits.py"):
        page.locator(".multiDiffEditor, .multi-diff-editor, .editor-container", has_text=name).first.wait_for()
    for line in ("LIMIT = 1", "LIMIT = 2", "return a - b", "return a + b"):
        page.locator(".view-line", has_text=line).first.wait_for()
    window.picture("vscode-review")

    window.say("once more")
    chat.locator(".message.assistant", has_text="It is three.").wait_for()
    chat.locator('#head[data-state="idle"]').wait_for()
    window.command("Agent: Review Changes of the Last Run")
    page.locator(".tab.active", has_text="Changes of the last run").wait_for()
    for line in ("LIMIT = 2", "LIMIT = 3"):
        page.locator(".view-line", has_text=line).first.wait_for()
    assert page.locator(".view-line", has_text="return a").count() == 0
    window.command("Agent: Checkpoints")
    rows = page.locator(".quick-input-list .monaco-list-row")
    until(lambda: rows.count() == 2, lambda: f"a state before each run: {rows.all_inner_texts()}")
    window.choose("fix both")
    window.choose("Files and conversation")
    until(lambda: chat.locator(".message").count() == 0, "the conversation is as it was")
    window.open_file("limits.py")
    until(lambda: "LIMIT = 1" in window.text(), "the file is as it was")
    window.notification("Brought back.").get_by_role("button", name="Undo").click()
    until(lambda: "LIMIT = 3" in window.text(), "and that can be undone")
    chat.locator(".message.assistant", has_text="It is three.").wait_for()
