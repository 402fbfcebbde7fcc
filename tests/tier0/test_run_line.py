"""What a run is doing, on one line."""

from lsp_agent.server.tier0.companion import closing_line
from lsp_agent.server.tier0.run_line import RunLine, count, one_line


def tool(status, call="c1", **more):
    return {"sessionUpdate": "tool_call_update", "toolCallId": call, "status": status, **more}


def test_the_open_tool_is_shown_and_then_the_writing_and_the_tokens():
    line = RunLine()
    assert line.text == "thinking"
    line.take(tool("in_progress", title="Edit a.py"))
    line.take({"sessionUpdate": "usage_update", "usedTokens": 12_340})
    assert line.text == "Edit a.py · 12.3k tokens"
    line.take(tool("completed"))
    line.take_chunk("agent_message_chunk", "m", "x" * 40)
    line.take_chunk("agent_message_chunk", "m", "x" * 2)
    assert line.text == "writing (42 characters) · 12.3k tokens"


def test_a_question_goes_before_the_tool_until_it_is_answered():
    line = RunLine()
    line.take(tool("in_progress", title="Edit a.py"))
    line.take({"sessionUpdate": "permission_requested", "requestId": "p", "title": "Edit a.py (+1 −1)"})
    assert line.text == "waiting for permission: Edit a.py (+1 −1)"
    line.take({"sessionUpdate": "permission_resolved", "requestId": "p"})
    assert line.text == "Edit a.py"


def test_unknown_updates_and_missing_fields_change_nothing():
    line = RunLine()
    for update in ({"sessionUpdate": "new_thing"}, {}, {"sessionUpdate": "usage_update"}, tool("in_progress")):
        line.take(update)
    line.take_chunk("terminal_output_chunk", "t", "text")
    assert line.text == "thinking"


def test_a_line_has_no_line_ends_and_is_short():
    assert one_line("a\n\tb") == "a b"
    assert len(one_line("x" * 10_000)) == 120
    assert [count(number) for number in (7, 999, 1000, 99_999, 123_456)] == ["7", "999", "1.0k", "100.0k", "123k"]


def test_the_end_of_a_run_is_told_in_one_line():
    changes = {"files": 1, "added": 2, "removed": 1}
    assert closing_line({"text": "\nFixed it.\nMore", "stopReason": "end_turn", "changes": changes}) == (
        3,
        "Fixed it. — 1 file changed (+2 −1)",
    )
    assert closing_line({"error": {"title": "No key", "message": "Set one"}, "stopReason": "error"}) == (
        1,
        "No key: Set one",
    )
    assert closing_line({"cancelled": True, "stopReason": "cancelled"}) == (3, "stopped")
    assert closing_line({"text": "half", "stopReason": "max_tokens"})[0] == 2
    assert closing_line({"stopReason": "end_turn"}) == (3, "done")
