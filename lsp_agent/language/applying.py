"""Edits that a language server worked out, made by us: in every file or in none, after one question to the user.

The user sees all hunks at once. The strictest file decides how the question is put: a file that a rule forbids stops
everything, one that asks makes everything ask. What a file's text was when the edits were made is checked again when
they are applied; when one file fails, those already changed are put back as far as nobody has touched them since.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import DocumentChanged, StoreError, ToolError, WorkspaceError
from lsp_agent.language.shapes import EditPlan
from lsp_agent.ports.approver import Decide, Decision, PermissionAsk
from lsp_agent.ports.changes import applied_entry, change_entry, dropped_entry, run_checkpoint
from lsp_agent.ports.store import PutFileVersion, Write
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place, TextFile
from lsp_agent.tools.arguments import one_line
from lsp_agent.tools.gate import refusal
from lsp_agent.tools.hunks import Hunk, count_lines, diff_lines, file_change
from lsp_agent.tools.reading import MAX_FILE_BYTES, read_record
from lsp_agent.workspace.lines import apply_edits

MAX_FILES = 300


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file: its text, what it shall be, and the hunks in between."""

    place: Place
    before: TextFile
    new: str
    hunks: Sequence[Hunk]

    def as_json(self, context: ToolContext) -> dict[str, Any]:
        """As in PROTOCOL 6."""
        return file_change(
            self.place.uri,
            self.hunks,
            kind="edit",
            base_version=self.before.version,
            run_id=context.run.run_id,
            tool_call_id=context.call.tool_call_id,
        )


async def plan_files(plan: EditPlan, context: ToolContext) -> list[FilePlan]:
    """The new texts of all files of a WorkspaceEdit; files it does not change are left out. Raises: ToolError."""
    if plan.unsupported:
        raise ToolError(
            f"The language server wants to {', '.join(plan.unsupported)}, which is not done. Nothing changed."
        )
    if len(plan.files) > MAX_FILES:
        raise ToolError(f"{len(plan.files)} files would change, the limit is {MAX_FILES}. Nothing was changed.")
    found: list[FilePlan] = []
    for one in plan.files:
        place = context.workspace.place(one.uri)
        if not place.inside:
            raise ToolError(f"{place.shown} is outside the workspace and would change too. Nothing was changed.")
        try:
            file = await context.workspace.read_text(place, max_bytes=MAX_FILE_BYTES)
            new = apply_edits(file.text, one.edits)
        except (ValueError, WorkspaceError) as error:
            raise ToolError(f"{place.shown} cannot be changed: {error}. Nothing was changed.") from error
        if new != file.text:
            found.append(FilePlan(place, file, new, diff_lines(file.text, new, context.clock.new_id)))
    return found


async def apply_files(
    context: ToolContext, tool: str, verb: str, plans: Sequence[FilePlan], decide: Decide, summary: str
) -> ToolResult:
    """Ask once, change every file, remember. `verb` begins the title: `Rename a to b`. Raises: ToolError."""
    if not plans:
        raise ToolError("Nothing would change.")
    decision = await _ask(context, tool, verb, plans, decide)
    if not decision.allowed:
        return refusal(decision, _metadata(plans))
    versions = {one.place.path: await _versions(context, one) for one in plans}
    journal = await _journal(context, plans)
    done: list[tuple[FilePlan, TextFile]] = []
    failed = plans[0]
    try:
        for one in plans:
            failed = one
            _, after = await context.workspace.change(one.place, _unchanged(one), f"{verb} in {one.place.shown}")
            done.append((one, after))
    except WorkspaceError as error:
        return await _taken_back(context, failed, error, done, versions, journal)
    except asyncio.CancelledError:
        await asyncio.shield(_put_back(context, done))
        raise
    await _remember(context, done, versions, journal)
    return _result(context, [one for one, _ in done], summary)


def _unchanged(plan: FilePlan) -> Callable[[TextFile], str]:
    def transform(current: TextFile) -> str:
        if current.content_hash != plan.before.content_hash:
            raise DocumentChanged("the file was changed meanwhile")
        return plan.new

    return transform


async def _ask(context: ToolContext, tool: str, verb: str, plans: Sequence[FilePlan], decide: Decide) -> Decision:
    changes = [one.as_json(context) for one in plans]
    ranked: list[tuple[int, PermissionAsk]] = []
    for one in plans:
        title = f"{one_line(verb, 120)} ({_files(plans)})"
        alone = len(plans) == 1
        ask = PermissionAsk(
            tool=tool,
            action="write",
            title=title,
            subject={"type": "edit", "changes": changes},
            path=str(one.place.path),
            inside_workspace=one.place.inside,
            pattern=one.place.shown if alone else None,
        )
        verdict = decide(ask, context.mode, one.place.shown, None)
        if verdict.effect == "deny":
            return Decision(False, f"{one.place.shown}: {verdict.reason} Nothing was changed.")
        ranked.append(((2 if verdict.once_only else 1) if verdict.effect == "ask" else 0, ask))
    strictest = max(ranked, key=lambda pair: pair[0])[1]
    return await context.approver.ask(context.run, context.call.tool_call_id, context.mode, strictest)


async def _taken_back(
    context: ToolContext,
    failed: FilePlan,
    error: WorkspaceError,
    done: Sequence[tuple[FilePlan, TextFile]],
    versions: Mapping[Any, Sequence[str]],
    journal: Mapping[Path, str],
) -> ToolResult:
    left = await asyncio.shield(_put_back(context, done))
    text = f"{failed.place.shown} was not changed: {error}."
    if not left:
        _ = context.store.write(_settled(context, (), journal))
        return ToolResult(f"{text} Nothing was changed in any file.", is_error=True)
    await _remember(context, left, versions, journal)
    names = ", ".join([one.place.shown for one, _ in left])
    kept = _result(context, [one for one, _ in left], "")
    content = f"{text} These files are changed already and could not be put back: {names}."
    return ToolResult(content, is_error=True, metadata=kept.metadata, locations=kept.locations, changes=kept.changes)


async def _put_back(context: ToolContext, done: Sequence[tuple[FilePlan, TextFile]]) -> list[tuple[FilePlan, TextFile]]:
    """Give files their text back. Shape: those that could not be, because somebody changed them since."""
    left: list[tuple[FilePlan, TextFile]] = []
    for one, after in reversed(done):

        def transform(current: TextFile, one: FilePlan = one, after: TextFile = after) -> str:
            if current.content_hash != after.content_hash:
                raise DocumentChanged("the file was changed meanwhile")
            return one.before.text

        try:
            await context.workspace.change(one.place, transform, f"Take back the change of {one.place.shown}")
        except WorkspaceError:
            left.append((one, after))
    return left


async def _versions(context: ToolContext, plan: FilePlan) -> Sequence[str]:
    return await context.store.file_versions(context.session_id, str(plan.place.path))


async def _journal(context: ToolContext, plans: Sequence[FilePlan]) -> Mapping[Path, str]:
    """Write down what is about to be done, and the run's checkpoint before it. Shape: the change's id by path.

    Raises: ToolError when it cannot be stored: then nothing is done.
    """
    now_ms, ids = context.clock.now_ms(), {one.place.path: context.clock.new_id() for one in plans}
    entries = [
        change_entry(
            context.author,
            change_id=ids[one.place.path],
            path=str(one.place.path),
            uri=one.place.uri,
            kind="edit",
            before=one.before.text,
            after=one.new,
            hunks=[(hunk.hunk_id, hunk.old_start, hunk.old_end, hunk.new_start, hunk.new_end) for hunk in one.hunks],
            tool_call_id=context.call.tool_call_id,
            created_at_ms=now_ms,
            base_version=one.before.version,
            made_in=context.made_in,
        )
        for one in plans
    ]
    try:
        await context.store.write([run_checkpoint(context.author, now_ms), *entries])
    except StoreError as error:
        raise ToolError(f"Nothing was changed: no checkpoint could be stored ({error}).") from error
    return ids


def _settled(context: ToolContext, done: Sequence[FilePlan], journal: Mapping[Path, str]) -> list[Write]:
    """What of the journal really happened, and what did not."""
    happened = {one.place.path for one in done}
    new_id, now_ms, session_id = context.clock.new_id, context.clock.now_ms(), context.author.session_id
    return [
        (applied_entry if path in happened else dropped_entry)(session_id, change_id, new_id(), now_ms)
        for path, change_id in journal.items()
    ]


async def _remember(
    context: ToolContext,
    done: Sequence[tuple[FilePlan, TextFile]],
    versions: Mapping[Any, Sequence[str]],
    journal: Mapping[Path, str],
) -> None:
    """History as in CORE 31. Where the model knew the text, it knows the new one: the hunks follow from its request."""
    now_ms, run_key, call = context.clock.now_ms(), context.run.run_key, context.call.tool_call_id
    writes = _settled(context, [one for one, _ in done], journal)
    for one, after in done:
        known = versions[one.place.path]
        texts = [after.text] if known and known[-1] == one.before.text else [one.before.text, after.text]
        path = str(after.path)
        writes += [PutFileVersion(context.session_id, path, text, run_key, call, now_ms) for text in texts]
        seen = await context.store.seen_file(context.session_id, path)
        if seen is not None and seen.content_hash == one.before.content_hash:
            writes.append(read_record(context, after))
    _ = context.store.write(writes)


def _result(context: ToolContext, plans: Sequence[FilePlan], summary: str) -> ToolResult:
    lines: list[str] = []
    for one in plans[:50]:
        places = ", ".join([str(hunk.new_start + 1) for hunk in one.hunks[:20]])
        lines.append(f"- {one.place.shown}: line {places}" + (" …" if len(one.hunks) > 20 else ""))
    if len(plans) > 50:
        lines.append(f"… and {len(plans) - 50} more files")
    return ToolResult(
        content="\n".join([summary, *lines]).strip(),
        metadata=_metadata(plans),
        locations=tuple([{"uri": one.place.uri, "line": one.hunks[0].new_start} for one in plans if one.hunks]),
        changes=tuple([one.as_json(context) for one in plans]),
    )


def _metadata(plans: Sequence[FilePlan]) -> dict[str, Any]:
    counts = [count_lines(one.hunks) for one in plans]
    found: dict[str, Any] = {
        "additions": sum([added for added, _ in counts]),
        "removals": sum([removed for _, removed in counts]),
        "files": [one.place.shown for one in plans],
    }
    if len(plans) == 1:
        one = plans[0]
        found |= {"file_path": one.place.shown, "old_content": one.before.text, "new_content": one.new}
    return found


def _files(plans: Sequence[FilePlan]) -> str:
    return plans[0].place.shown if len(plans) == 1 else f"{len(plans)} files"
