"""The journal of changes as the store keeps it: entries in order, texts by what they hold.

An entry is a fact that is never altered: a file was changed, hunks were accepted or rejected, a checkpoint was made.
What they mean together is worked out by `lsp_agent.changes`; the store knows only their order and which texts they
name. A text is named by the SHA-256 of its UTF-8, so the same text is kept once however often it is named.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.run import Run


def text_id(text: str) -> str:
    """The name of a text: hex SHA-256 of its UTF-8 (lone surrogates pass)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class PutJournal:
    """Append an entry to a session's journal. An `entry_id` that is there already (any session) is left as it is.

    `body` is JSON-ready and names texts by `text_id`; those of them the store may not have yet are in `texts`.
    `keeps_conversation`: note which messages the session has at this moment, in order.
    """

    session_id: str
    entry_id: str
    kind: str
    body: Mapping[str, Any]
    created_at_ms: int
    texts: tuple[str, ...] = ()
    keeps_conversation: bool = False


@dataclass(frozen=True, slots=True)
class SetVisibleMessages:
    """From now on the session's conversation is these messages: the others are set aside, whole, and may come back.

    An id that is neither there nor set aside is passed over. A message set aside is not brought back by a late save.
    The session's summary becomes the newest visible one, or none.
    """

    session_id: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry as stored. `position` grows over all sessions of a store."""

    position: int
    session_id: str
    entry_id: str
    kind: str
    body: Mapping[str, Any]
    created_at_ms: int
    message_ids: tuple[str, ...] = ()
    """With `keeps_conversation`: the messages at that moment."""


HunkLines = tuple[str, int, int, int, int]
"""Hunk id, then lines of the text before (start, end) and of the text after (start, end); half-open, zero-based."""


def change_entry(
    run: Run,
    *,
    change_id: str,
    path: str,
    uri: str,
    kind: str,
    before: str | None,
    after: str | None,
    hunks: Sequence[HunkLines],
    tool_call_id: str | None,
    created_at_ms: int,
    base_version: int | None = None,
    applied: bool = False,
    made_in: str | None = None,
) -> PutJournal:
    """The entry `change`: a tool makes `after` of the text `before` (None = there is no file).

    `kind`: create, edit or delete. `path` is the real path. Written before the file is touched, with `applied` False
    and followed by `applied_entry` or `dropped_entry`; or afterwards, with `applied` True. `made_in`: the session of a
    sub-agent that did it for `run`.
    """
    body = {
        "path": path,
        "uri": uri,
        "kind": kind,
        "before": None if before is None else text_id(before),
        "after": None if after is None else text_id(after),
        "baseVersion": base_version,
        "runKey": run.run_key,
        "runId": run.run_id,
        "toolCallId": tool_call_id,
        "hunks": [list(hunk) for hunk in hunks],
        "applied": applied,
        **({"madeIn": made_in} if made_in is not None else {}),
    }
    texts = tuple([text for text in (before, after) if text is not None])
    return PutJournal(run.session_id, change_id, "change", body, created_at_ms, texts)


def applied_entry(session_id: str, change_id: str, entry_id: str, now_ms: int) -> PutJournal:
    """The entry `applied`: the file really holds what `change_id` says."""
    return PutJournal(session_id, entry_id, "applied", {"change": change_id}, now_ms)


def dropped_entry(session_id: str, change_id: str, entry_id: str, now_ms: int) -> PutJournal:
    """The entry `dropped`: `change_id` did not happen."""
    return PutJournal(session_id, entry_id, "dropped", {"change": change_id}, now_ms)


def run_checkpoint(run: Run, now_ms: int) -> PutJournal:
    """The checkpoint before a run's first write; written with every write, kept once (RELIABILITY SH-22)."""
    title = " ".join(run.prompt[:400].split())[:80]
    body = {"kind": "run", "runKey": run.run_key, "runId": run.run_id, "messageId": run.message_id, "title": title}
    return PutJournal(run.session_id, f"run-{run.run_key}", "checkpoint", body, now_ms, keeps_conversation=True)
