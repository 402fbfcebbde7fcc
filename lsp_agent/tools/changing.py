"""The one way in which edit, multiedit, write and download change a file.

read → make the new text → show it to the user → journal → change → remember. Nothing is written, and no directory made,
before the answer; the journal has the text that was there, and the run's checkpoint, before the file is touched
(RELIABILITY SH-22). The text the user approved may be rebased onto what they typed while the question was open, when
the same edit still fits the same number of places; the model then has to view the file again before its next change
(CORE 26 and 31; RELIABILITY FS-15, F48).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.errors import DocumentChanged, EditRefused, StoreError, ToolError, WorkspaceError
from lsp_agent.ports.changes import PutJournal, applied_entry, change_entry, dropped_entry, run_checkpoint
from lsp_agent.ports.store import PutFileVersion, Write
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place, TextFile
from lsp_agent.tools.arguments import one_line
from lsp_agent.tools.gate import may_edit, refusal
from lsp_agent.tools.hunks import Hunk, count_lines, diff_lines, file_change
from lsp_agent.tools.reading import read_record, read_seen_file

_REBASED_NOTE = (
    "The user changed this file in the meantime; the edit was made in their text. View it before the next edit."
)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a tool makes of a text. `places` must be the same when it is made again from a newer text."""

    text: str
    places: int
    summary: str
    """For the model: what was done."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change as shown to the user, or as it happened."""

    place: Place
    kind: str
    old: str
    new: str
    base_version: int | None
    hunks: Sequence[Hunk]

    def metadata(self, more: Mapping[str, Any]) -> dict[str, Any]:
        added, removed = count_lines(self.hunks)
        return {
            "additions": added,
            "removals": removed,
            "old_content": self.old,
            "new_content": self.new,
            "file_path": self.place.shown,
            **more,
        }

    def as_json(self, context: ToolContext) -> dict[str, Any]:
        return file_change(
            self.place.uri,
            self.hunks,
            kind=self.kind,
            base_version=self.base_version,
            run_id=context.author.run_id,
            tool_call_id=context.call.tool_call_id,
        )


async def change_file(
    context: ToolContext, tool: str, place: Place, rewrite: Callable[[str], Rewritten], *, may_rebase: bool = True
) -> ToolResult:
    """Change a file that exists by `rewrite`, which raises ToolError when it cannot.

    `may_rebase`: `rewrite` may be used again on a text the user has changed meanwhile. Raises: ToolError.
    """
    file = await read_seen_file(context, place)
    planned = rewrite(file.text)
    if planned.text == file.text:
        raise ToolError(f"{place.shown} already has this text: nothing to change.")
    asked = _change(context, place, "edit", file, planned.text)
    title = _title("Edit", asked)
    decision = await may_edit(context, tool, place, title=title, changes=[asked.as_json(context)])
    if not decision.allowed:
        return refusal(decision, asked.metadata(planned.metadata))
    versions = await context.store.file_versions(context.session_id, str(place.path))
    change_id = await _journal(context, asked)

    def transform(current: TextFile) -> str:
        if current.content_hash == file.content_hash:
            return planned.text
        return _rebased(rewrite, current, planned, may_rebase=may_rebase)

    try:
        before, after = await context.workspace.change(place, transform, title)
    except WorkspaceError as error:
        _ = context.store.write([_dropped(context, change_id)])
        raise _not_changed(place, error, asked, planned.metadata) from error
    happened = asked if before.text == file.text and after.text == planned.text else None
    done = happened or _change(context, place, "edit", before, after.text)
    seen_by_model = before.text == file.text
    journal = _settled(context, change_id, asked, done)
    _remember(context, versions, before.text, after, journal, seen=seen_by_model)
    content = planned.summary
    if not seen_by_model:
        content += f"\n{_REBASED_NOTE}"
    return _result(context, done, content, planned.metadata)


async def create_file(context: ToolContext, tool: str, place: Place, text: str) -> ToolResult:
    """A new file with its parent directories. Raises: ToolError, also when it exists by then."""
    nothing = TextFile(place.path, place.uri, "", "", None)
    asked = _change(context, place, "create", nothing, text)
    title = _title("Create", asked)
    decision = await may_edit(context, tool, place, title=title, changes=[asked.as_json(context)])
    if not decision.allowed:
        return refusal(decision, asked.metadata({}))
    versions = await context.store.file_versions(context.session_id, str(place.path))
    change_id = await _journal(context, asked)
    try:
        after = await context.workspace.create(place, text, title)
    except WorkspaceError as error:
        _ = context.store.write([_dropped(context, change_id)])
        raise _not_changed(place, error, asked, {}) from error
    done = asked if after.text == text else _change(context, place, "create", nothing, after.text)
    _remember(context, versions, "", after, _settled(context, change_id, asked, done), seen=True)
    return _result(context, done, f"Created {place.shown} ({count_lines(done.hunks)[0]} lines).", {})


async def journaled_creation(
    context: ToolContext, place: Place, text: str, make: Callable[[], Awaitable[None]]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A new file that `make` makes, already allowed, in the journal before it is there.

    `text`: what the journal keeps of it (`workspace.kept`). Shape: (its file of PROTOCOL 6, metadata). Raises:
    ToolError when it cannot be stored, then nothing was made; what `make` raises. A cancellation in between leaves an
    entry that counts when the file turns out to be there.
    """
    done = _change(context, place, "create", TextFile(place.path, place.uri, "", "", None), text)
    change_id = await _journal(context, done)
    try:
        await make()
    except Exception:
        _ = context.store.write([_dropped(context, change_id)])
        raise
    _ = context.store.write(_settled(context, change_id, done, done))
    added, removed = count_lines(done.hunks)
    return done.as_json(context), {"additions": added, "removals": removed}


def _change(context: ToolContext, place: Place, kind: str, before: TextFile, new: str) -> _Change:
    hunks = diff_lines(before.text, new, context.clock.new_id)
    if not hunks and kind == "create":  # an empty file: something that can be accepted or rejected all the same
        hunks = [Hunk(context.clock.new_id(), 0, 0, 0, 0, "", "")]
    return _Change(place, kind, before.text, new, before.version, hunks)


def _title(verb: str, change: _Change) -> str:
    added, removed = count_lines(change.hunks)
    return f"{verb} {one_line(change.place.shown, 200)} (+{added} −{removed})"


def _rebased(rewrite: Callable[[str], Rewritten], current: TextFile, planned: Rewritten, *, may_rebase: bool) -> str:
    if not may_rebase:
        raise DocumentChanged("the file was changed while permission was asked")
    try:
        again = rewrite(current.text)
    except ToolError as error:
        raise DocumentChanged(f"the file was changed while permission was asked ({error})") from error
    if again.places != planned.places:
        raise DocumentChanged("the file was changed while permission was asked and the edit fits other places now")
    return again.text


def _not_changed(place: Place, error: WorkspaceError, asked: _Change, more: Mapping[str, Any]) -> ToolError:
    if isinstance(error, DocumentChanged):
        text = f"{place.shown} was not changed: {error}. View it again, then make the edit for the text it has now."
    elif isinstance(error, EditRefused):
        text = f"{place.shown} was not changed: {error}. Do not try the same edit again at once; tell the user."
    else:
        text = f"{place.shown} was not changed: {error}."
    return ToolError(text, metadata=asked.metadata(more))


async def _journal(context: ToolContext, change: _Change) -> str:
    """Write down what is about to be done, and the run's checkpoint before it. Returns the change's id.

    Raises: ToolError when it cannot be stored: then nothing is done.
    """
    change_id, now_ms = context.clock.new_id(), context.clock.now_ms()
    try:
        await context.store.write([run_checkpoint(context.author, now_ms), _entry(context, change_id, change)])
    except StoreError as error:
        raise ToolError(f"{change.place.shown} was not changed: no checkpoint could be stored ({error}).") from error
    return change_id


def _entry(context: ToolContext, change_id: str, change: _Change, *, applied: bool = False) -> PutJournal:
    return change_entry(
        context.author,
        change_id=change_id,
        path=str(change.place.path),
        uri=change.place.uri,
        kind=change.kind,
        before=None if change.kind == "create" else change.old,
        after=change.new,
        hunks=[(one.hunk_id, one.old_start, one.old_end, one.new_start, one.new_end) for one in change.hunks],
        tool_call_id=context.call.tool_call_id,
        created_at_ms=context.clock.now_ms(),
        base_version=change.base_version,
        applied=applied,
        made_in=context.made_in,
    )


def _dropped(context: ToolContext, change_id: str) -> PutJournal:
    return dropped_entry(context.author.session_id, change_id, context.clock.new_id(), context.clock.now_ms())


def _settled(context: ToolContext, change_id: str, asked: _Change, done: _Change) -> Sequence[PutJournal]:
    """What really happened: as it was written down before, or otherwise."""
    if done is asked:
        return [applied_entry(context.author.session_id, change_id, context.clock.new_id(), context.clock.now_ms())]
    return [_dropped(context, change_id), _entry(context, context.clock.new_id(), done, applied=True)]


def _remember(
    context: ToolContext,
    versions: Sequence[str],
    before: str,
    after: TextFile,
    journal: Sequence[PutJournal],
    *,
    seen: bool,
) -> None:
    """History as in CORE 31, the journal, and the new text as read; one transaction, no waiting."""
    texts = [after.text] if versions and versions[-1] == before else [before, after.text]
    now_ms, path = context.clock.now_ms(), str(after.path)
    writes: list[Write] = [
        PutFileVersion(context.session_id, path, text, context.run.run_key, context.call.tool_call_id, now_ms)
        for text in texts
    ]
    if seen:
        writes.append(read_record(context, after))
    _ = context.store.write([*writes, *journal])


def _result(context: ToolContext, done: _Change, content: str, more: Mapping[str, Any]) -> ToolResult:
    location: dict[str, Any] = {"uri": done.place.uri}
    if done.hunks:
        location["line"] = done.hunks[0].new_start
    return ToolResult(
        content=content,
        metadata=done.metadata(more),
        locations=(location,),
        changes=(done.as_json(context),),
    )
