"""History: repaired, inlined, shown only to those who can see it."""

import copy
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.agent.history import INTERRUPTED, build, handed_over, inlined
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
from lsp_agent.domain.session import Todo
from tests.agent_turn.acceptance import assert_provider_accepts


def user(*parts):
    return Message("u", "s", Role.USER, [TextPart(part) if isinstance(part, str) else part for part in parts])


def answer(text="", *ids):
    parts = [TextPart(text)] if text else []
    return Message("a", "s", Role.ASSISTANT, [*parts, *[ToolCallPart(one, "echo", "{}", True) for one in ids]])


def result(*ids, **more):
    return Message("t", "s", Role.TOOL, [ToolResultPart(one, "echo", f"result {one}", **more) for one in ids])


def built(*messages, images=True, media_in_results=True, todos=None):
    return build(messages, images=images, media_in_results=media_in_results, todos=todos)


def results(history):
    return [(part.tool_call_id, part.is_error) for message in history for part in message.tool_results]


def test_a_whole_history_is_left_as_it_is():
    rows = [user("q"), answer("t", "a", "b"), result("b"), result("a"), answer("end"), user("more")]
    before = copy.deepcopy(rows)
    history = built(*rows)
    assert [message.parts for message in history] == [message.parts for message in rows]
    assert rows == before
    assert_provider_accepts(history)


def test_a_call_without_a_result_gets_one_right_after_its_message():
    history = built(user("q"), answer("", "a", "b"), result("a"), user("next"))
    assert results(history) == [("a", False), ("b", True)]
    assert history[3].tool_results[0].content == INTERRUPTED
    assert_provider_accepts(history)


def test_a_result_without_a_call_is_dropped():
    history = built(user("q"), result("x"), answer("t", "a"), result("y", "a", "a"), answer("end"), result("a"))
    assert results(history) == [("a", False)]
    assert_provider_accepts(history)


def test_a_result_that_was_stored_late_is_moved_to_its_call():
    history = built(user("q"), answer("", "a"), user("next"), result("a"), answer("end"))
    assert results(history) == [("a", False)]
    assert_provider_accepts(history)


def test_a_repeated_id_belongs_to_the_nearest_call():
    history = built(user("q"), answer("", "a"), answer("", "a"), result("a"))
    assert results(history) == [("a", True), ("a", False)]
    assert_provider_accepts(history)


def test_messages_that_say_nothing_are_left_out():
    thought = Message("a", "s", Role.ASSISTANT, [ReasoningPart("hm"), FinishPart(FinishReason.CANCELED)])
    history = built(user("q"), answer(""), thought, answer(" \n"), user("  "), user("r"))
    assert [message.text for message in history] == ["q", "r"]


def test_unfinished_calls_become_empty_ones():
    row = Message("a", "s", Role.ASSISTANT, [ToolCallPart("a", "echo", '{"te', False)])
    history = built(user("q"), row)
    assert (history[1].tool_calls[0].input, row.tool_calls[0].input) == ("{}", '{"te')
    assert_provider_accepts(history)


def test_a_summary_speaks_as_the_user():
    summary = answer("the story so far")
    summary.is_summary = True
    history = built(summary, answer("t"))
    assert (history[0].role, history[0].text) == (Role.USER, handed_over("the story so far"))


def test_attachments_are_inlined_with_their_place_and_cannot_close_the_fence():
    part = AttachmentPart(
        "text/plain",
        text="a</file>\n</ FILE>b",
        path="it's <x>.py",
        start_line=2,
        end_line=4,
        version=7,
        kind="selection",
    )
    text = built(user(" look ", part))[0].text
    assert text.startswith("look\n\n<system_info>")
    assert "<file path='it&#39;s &lt;x&gt;.py' kind='selection' lines='3-5' version='7'>" in text
    assert len(re.findall(r"</\s*file", text, re.IGNORECASE)) == 1
    assert "<file>\nx\n</file>" in inlined([AttachmentPart("text/plain", text="x")])


def test_shell_output_is_shown_without_colours():
    text = built(user("see", ShellPart("ls", "\x1b[31mred\x1b[0m\n", 2)))[0].text
    assert text == "see\n\n$ ls\nred\n(exit code 2)"


def test_images_go_only_to_models_that_see():
    picture = AttachmentPart("image/png", data=b"png")
    assert built(user("q", picture))[0].parts[1] == picture
    assert built(user("q", picture), images=False)[0].parts == [TextPart("q")]
    assert built(user(picture), images=False) == []


def test_media_results_stay_where_the_dialect_takes_them():
    media = result("a", data=b"png", mime_type="image/png")
    assert built(user("q"), answer("", "a"), media)[2].tool_results[0].data == b"png"


def test_media_results_become_a_file_behind_all_results_elsewhere():
    rows = [user("q"), answer("", "a", "b"), result("a", data=b"png", mime_type="image/png"), result("b"), answer("e")]
    history = built(*rows, media_in_results=False)
    assert [message.role.value for message in history] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert "see attached file" in history[2].tool_results[0].content
    assert history[4].parts[1].name == "tool-result-a"
    assert_provider_accepts(history)


def test_media_results_are_a_remark_for_models_that_do_not_see():
    media = result("a", data=b"png", mime_type="image/png")
    history = built(user("q"), answer("", "a"), media, images=False, media_in_results=False)
    assert "does not support images" in history[2].tool_results[0].content
    assert len(history) == 3
    empty = result("a", data=b"", mime_type="image/png")
    assert "could not be loaded" in built(user("q"), answer("", "a"), empty)[2].tool_results[0].content


def test_the_reminder_tells_the_real_list():
    assert "empty" in built(user("q"), todos=())[0].text
    assert "- [pending] x" in built(user("q"), todos=(Todo("x", "pending"),))[0].text


IDS = st.sampled_from("abcd")
ROWS = st.one_of(
    st.sampled_from(["hello", "", " "]).map(user),
    st.tuples(st.sampled_from(["t", ""]), st.lists(IDS, unique=True, max_size=3)).map(
        lambda pair: answer(pair[0], *pair[1])
    ),
    st.lists(IDS, max_size=3).map(lambda ids: result(*ids)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, max_size=12), st.booleans(), st.booleans())
def test_whatever_is_stored_providers_accept_what_is_sent(rows, images, media):
    history = built(user("start"), *rows, images=images, media_in_results=media)
    assert_provider_accepts(history)
    made = [call.tool_call_id for message in history for call in message.tool_calls]
    assert sorted(made) == sorted(one for one, _ in results(history))
