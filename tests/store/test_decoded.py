"""Messages decoded before: the same answers, whatever was kept."""

from __future__ import annotations

from lsp_agent.domain.message import FinishPart, FinishReason, Message, Part, Role, TextPart
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import DropMessage, PutMessage, PutSession
from lsp_agent.store.decoded import DecodedMessages
from lsp_agent.store.rows import message_row
from lsp_agent.store.sqlite import SqliteStore


def said(message_id: str, text: str) -> Message:
    parts: list[Part] = [TextPart(text)]
    return Message(message_id, "s", Role.USER, parts, created_at_ms=1, updated_at_ms=1)


def test_a_row_that_is_the_same_is_decoded_once_and_one_that_changed_again() -> None:
    decoded = DecodedMessages()
    row = message_row(said("m", "one"))
    first, again = decoded.message(row), decoded.message(row)
    assert again == first == said("m", "one")
    assert again is not first
    assert again.parts[0] is first.parts[0]
    assert decoded.message(message_row(said("m", "two"))) == said("m", "two")
    assert decoded.message(row) == first


def test_a_reader_that_finishes_its_message_changes_nobody_elses() -> None:
    decoded = DecodedMessages()
    row = message_row(said("m", "one"))
    decoded.message(row).set_finish(FinishPart(FinishReason.CANCELED))
    assert decoded.message(row) == said("m", "one")


def test_no_more_is_kept_than_allowed_and_what_is_larger_than_all_is_not_kept() -> None:
    rows = [message_row(said(f"m{number}", "x" * 100)) for number in range(50)]
    limit = sum(len(row[3]) for row in rows[:10])
    decoded = DecodedMessages(limit)
    kept = [decoded.message(row).parts[0] for row in rows]
    assert decoded.message(rows[-1]).parts[0] is kept[-1]
    assert decoded.message(rows[0]).parts[0] is not kept[0]
    large = message_row(said("large", "x" * 10_000))
    assert decoded.message(large).parts[0] is not decoded.message(large).parts[0]
    assert decoded.message(rows[-1]).parts[0] is kept[-1]


async def test_what_is_written_between_two_readings_is_in_the_second(sqlite: SqliteStore) -> None:
    await sqlite.write([PutSession(Session("s")), PutMessage(said("a", "one")), PutMessage(said("b", "two"))])
    before, _ = await sqlite.messages("s")
    await sqlite.write([PutMessage(said("a", "changed")), DropMessage("b"), PutMessage(said("c", "three"))])
    after, _ = await sqlite.messages("s")
    assert [message.text for message in before] == ["one", "two"]
    assert [message.text for message in after] == ["changed", "three"]
