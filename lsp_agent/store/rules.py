"""What a write means, apart from where it is kept: the part both stores share.

Pure: takes and returns domain values. Knows neither SQL nor the event loop.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from lsp_agent.domain.errors import RequestRejected, StoreError
from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    Part,
    ReasoningPart,
    ShellPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.run import TRANSITIONS, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import Accepted, AcceptRun, PatchSession, PutMessage, PutSession, Write

EVENTS_KEPT = 20_000
"""Every session keeps at least its last so many events (PROTOCOL 2, `replayEvents`)."""

PRUNE_EVERY = 1024
"""How many events may pile up beyond that before they are thrown away together."""

_MAX_PAGE = 100_000

REFUSALS = (StoreError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a write may fail with by itself: a promise of the contract, or a value that does not fit anywhere."""

PATCHABLE = frozenset(
    {
        "title",
        "title_is_users",
        "parent_session_id",
        "parent_tool_call_id",
        "root",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "estimated_usage",
        "summary_message_id",
        "todos",
        "options",
    }
)
ADDABLE = frozenset({"cost_usd", "prompt_tokens", "completion_tokens"})


@dataclasses.dataclass(frozen=True, slots=True)
class CopySession:
    """A fork: `new_session` with copies of the source's messages, up to and including `at_message_id` (None = all).

    Copies get new ids that sort in the order of the originals; a `summary_message_id` of `new_session` that names an
    original is moved to its copy. The result is the new `Session`.
    """

    source_id: str
    new_session: Session
    at_message_id: str | None


StoredWrite = Write | CopySession
"""Everything a store's queue may hold."""

_PART_FIELDS: Mapping[type, Callable[[Any], Any]] = {
    part: attrgetter(*part.__dataclass_fields__)
    for part in (AttachmentPart, FinishPart, ReasoningPart, ShellPart, ToolCallPart, ToolResultPart)
}


def frozen(write: StoredWrite) -> StoredWrite:
    """`write` as it is now: what its owner does to a message or session afterwards does not reach the store.

    The dictionaries inside parts are shared, nobody changes them once they are there.
    """
    if isinstance(write, PutMessage):
        message = write.message
        return PutMessage(dataclasses.replace(message, parts=[_part_copy(part) for part in message.parts]))
    if isinstance(write, PutSession):
        return PutSession(dataclasses.replace(write.session))
    if isinstance(write, AcceptRun) and write.new_session is not None:
        return AcceptRun(write.run, dataclasses.replace(write.new_session))
    if isinstance(write, PatchSession):
        return dataclasses.replace(write, changes=dict(write.changes), add=dict(write.add))
    return write


def _part_copy(part: Part) -> Part:
    if isinstance(part, TextPart):
        return TextPart(part.text)
    cls = type(part)
    copied: Part = cls(*_PART_FIELDS[cls](part))
    return copied


def refusal(error: Exception) -> StoreError:
    """One of `REFUSALS` as the store's own error."""
    if isinstance(error, StoreError):
        return error
    return StoreError(f"a value cannot be stored ({type(error).__name__})")


def patched(session: Session, patch: PatchSession) -> Session:
    """`session` after `patch`. Raises: StoreError for a field that cannot be patched."""
    wrong = (patch.changes.keys() - PATCHABLE) | (patch.add.keys() - ADDABLE)
    if wrong:
        raise StoreError(f"a session has no field {min(wrong)!r} that can be set")
    changes = dict(patch.changes)
    if patch.unless_titled and session.title_is_users:
        changes.pop("title", None)
        changes.pop("title_is_users", None)
    if "todos" in changes:
        changes["todos"] = tuple(changes["todos"])
    result = dataclasses.replace(session, **changes, updated_at_ms=patch.now_ms)
    for name, amount in patch.add.items():
        total = getattr(result, name) + amount
        setattr(result, name, max(0, total) if name == "cost_usd" else max(0, int(total)))
    return result


def new_row(session: Session) -> Session:
    """`session` as it is inserted: the store counts messages and events itself."""
    return dataclasses.replace(session, message_count=0, seq=0)


def checked_move(run_key: str, old: RunState, new: RunState) -> bool:
    """True when a run has to be moved, False when it is there already. Raises: StoreError for a forbidden move."""
    if old is new:
        return False
    if new not in TRANSITIONS[old]:
        raise StoreError(f"run {run_key!r} cannot go from {old} to {new}")
    return True


def is_rejected(results: Sequence[Any]) -> bool:
    """True when a group holds an `AcceptRun` that accepted nothing: then the whole group leaves no trace."""
    return any(isinstance(result, Accepted) and result.session is None for result in results)


def reordered(current: Sequence[tuple[str, int]], wanted: Sequence[str]) -> dict[str, int]:
    """New positions of queued runs: the places of those named in `wanted` are dealt out again in that order.

    `current` are (run key, position) of the queued runs. Keys that are not queued any more are ignored.
    """
    places = dict(current)
    named = [key for key in dict.fromkeys(wanted) if key in places]
    return dict(zip(named, sorted(places[key] for key in named), strict=True))


def page_size(limit: int) -> int:
    """`limit` as a number of rows that makes sense."""
    return max(1, min(limit, _MAX_PAGE))


def session_cursor(session: Session) -> str:
    """Where a page that ended with `session` goes on."""
    return f"{session.updated_at_ms}.{session.session_id}"


def parse_session_cursor(cursor: str | None) -> tuple[int, str] | None:
    """(updated_at_ms, session id) of the last session seen. Raises: RequestRejected(InvalidParams)."""
    if cursor is None:
        return None
    updated_at_ms, dot, session_id = cursor.partition(".")
    return (_number(updated_at_ms if dot else ""), session_id)


def parse_message_cursor(cursor: str | None) -> int:
    """Position of the last message seen; 0 = from the start. Raises: RequestRejected(InvalidParams)."""
    return 0 if cursor is None else _number(cursor)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestRejected("InvalidParams", "the cursor is not one of this server's", path="cursor")
    return int(text)
