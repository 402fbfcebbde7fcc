import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    FinishReason,
    Message,
    ReasoningPart,
    Role,
    ShellPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import ChangeCount, Outcome, RunError, StopReason
from lsp_agent.domain.session import Session, Todo
from lsp_agent.domain.usage import Usage
from lsp_agent.protocol import catalogs, convert, events, sessions
from lsp_agent.protocol.decode import decode

PARTS = [
    ReasoningPart("thinking", {"anthropic": [{"signature": "secret"}]}),
    TextPart("hello"),
    AttachmentPart("text/x-python", text="a = 1", uri="file:///w/a.py", path="a.py", start_line=2, end_line=4),
    AttachmentPart("image/png", data=b"\x89PNG", name="shot", kind="image"),
    ToolCallPart("t1", "view", '{"path": "a.py"}', finished=True),
    ToolResultPart("t1", "view", "a = 1", data=b"\x00", mime_type="image/png", metadata={"additions": 1}),
    ShellPart("ls", "a.py\n", 0),
    FinishPart(FinishReason.ERROR, "Broken", "The stream broke", 5),
]


def message(role=Role.ASSISTANT, parts=PARTS):
    return Message("m1", "s1", role, list(parts), "model", "provider", created_at_ms=1_700_000_000_123)


def session():
    return Session(
        "s1",
        "A title",
        root="file:///w",
        cost_usd=0.5,
        todos=(Todo("c", "pending", "doing"),),
        created_at_ms=1,
        updated_at_ms=2,
        seq=7,
    )


def test_every_part_fits_its_wire_type_and_nothing_is_lost():
    wire = convert.message(message())
    typed = decode(sessions.Message, wire)
    assert typed.model_dump(by_alias=True, exclude_none=True) == wire
    assert wire["createdAt"] == "2023-11-14T22:13:20.123Z"
    assert wire["finish"] == {"reason": "error", "message": "Broken", "details": "The stream broke"}
    kinds = [part["type"] for part in wire["parts"]]
    assert kinds == ["reasoning", "text", "attachment", "attachment", "tool_call", "tool_result", "shell"]
    assert wire["parts"][5]["metadata"] == {"additions": 1}
    assert wire["parts"][5]["data"] == "AA=="


def test_provider_data_of_reasoning_stays_in_the_server():
    assert "secret" not in json.dumps(convert.message(message()))


def test_a_session_fits_its_wire_type():
    wire = convert.session_info(session(), is_busy=True, queued=2, model="a/b")
    assert decode(sessions.SessionInfo, wire).model_dump(by_alias=True, exclude_none=True) == wire
    assert "parentSessionId" not in wire
    assert convert.session_info(Session("c", parent_session_id="s1"), is_busy=False, queued=0, model=None)[
        "parentSessionId"
    ] == ("s1")


def test_a_model_fits_its_wire_type():
    decode(catalogs.ModelEntry, convert.model_entry(Model("p", "m")))


def test_the_terminal_event_fits_its_type_and_a_cancelled_run_has_no_error():
    outcome = Outcome(
        StopReason.ERROR,
        "m",
        "t",
        RunError("Timeout", "Silence", "Nothing came", True),
        Usage(1, 2, 3, 4, 1, 0.1),
        ChangeCount(1, 2, 3),
        4,
        5,
    )
    wire = convert.run_complete("s", "r", 9, outcome)
    assert decode(events.RunCompleteParams, wire).model_dump(by_alias=True) == wire
    cancelled = convert.run_complete("s", None, 9, Outcome(StopReason.CANCELLED, error=RunError("x", "y", "z")))
    assert (cancelled["cancelled"], cancelled["error"], cancelled["runId"]) == (True, None, None)


@given(st.integers(-(10**18), 10**18))
def test_any_number_of_milliseconds_gives_a_timestamp(milliseconds):
    text = convert.timestamp(milliseconds)
    assert len(text) == 24
    assert text.endswith("Z")


@pytest.mark.parametrize(("value", "text"), [(0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z")])
def test_timestamps_are_utc_with_milliseconds(value, text):
    assert convert.timestamp(value) == text


def test_markdown_shows_who_said_what_and_fences_cannot_be_broken():
    info = convert.session_info(session(), is_busy=False, queued=0, model=None)
    tool = message(Role.TOOL, [ToolResultPart("t1", "view", "```\ninner\n````", is_error=True)])
    text = convert.as_markdown(info, [message(Role.USER, PARTS[1:4]), message(), tool, message(parts=[])])
    assert text.startswith("# A title\n\n## You\n\nhello\n\n*Attached: a.py, lines 3–5*")
    assert text.count("## Agent") == 1
    assert "> thinking" in text
    assert "*Broken: The stream broke*" in text
    assert "Error\n\n`````\n```\ninner\n````\n`````" in text


def test_json_export_holds_the_wire_forms():
    info = convert.session_info(session(), is_busy=False, queued=0, model=None)
    document = json.loads(convert.as_json(info, [message()]))
    assert document == {"session": info, "messages": [convert.message(message())]}
