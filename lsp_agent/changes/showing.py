"""The journal as PROTOCOL 6 shows it: files with their hunks, each where it is now.

`range` are the hunk's lines in the text before the change, as in the event that announced it; `newRange` are its lines
in the text of today and is left out when they were changed since. Whole lines, so no position encoding is involved.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from lsp_agent.changes.ledger import Change, Hunk, Ledger
from lsp_agent.changes.placing import TextOf, place
from lsp_agent.domain.align import lines_of


def shown_files(
    ledger: Ledger,
    hunks: Iterable[Hunk],
    texts: Mapping[str, str | None],
    versions: Mapping[str, int | None],
    text_of: TextOf,
) -> list[dict[str, Any]]:
    """`files` of `changes_update` and `agent/changes/list`. `texts`, `versions`: today's, by path."""
    by_path: dict[str, list[Hunk]] = {}
    for hunk in hunks:
        by_path.setdefault(hunk.change.path, []).append(hunk)
    files = []
    for path, found in by_path.items():
        live = texts.get(path)
        file: dict[str, Any] = {"uri": found[-1].change.uri, "kind": _kind([hunk.change for hunk in found])}
        if (version := versions.get(path)) is not None:
            file["baseVersion"] = version
        present = _present(ledger, path)
        file["hunks"] = [_shown(hunk, live, present, text_of) for hunk in sorted(found, key=_order)]
        files.append(file)
    return files


def is_there(ledger: Ledger, hunk: Hunk, live: str | None, text_of: TextOf) -> bool:
    """Whether the file holds the hunk's new lines."""
    present = _present(ledger, hunk.change.path)
    return live is not None and hunk.is_in_text and place(live, hunk, present, text_of) is not None


def sides(hunk: Hunk, text_of: TextOf) -> tuple[str, str]:
    """The hunk's old and new text; empty where the store has lost it."""
    change = hunk.change
    old = _slice(change.before, hunk.old_start, hunk.old_end, text_of)
    return old, _slice(change.after, hunk.new_start, hunk.new_end, text_of)


def _present(ledger: Ledger, path: str) -> set[str]:
    return {hunk.hunk_id for change in ledger.of_path(path) for hunk in change.hunks if hunk.is_in_text}


def _order(hunk: Hunk) -> tuple[int, int]:
    return hunk.order


def _kind(changes: list[Change]) -> str:
    kinds = [change.kind for change in sorted(changes, key=lambda change: change.position)]
    return "create" if kinds[0] == "create" else "delete" if kinds[-1] == "delete" else "edit"


def _slice(name: str | None, start: int, end: int, text_of: TextOf) -> str:
    text = text_of(name) if name is not None else None
    return "".join(lines_of(text)[start:end]) if text is not None else ""


def _shown(hunk: Hunk, live: str | None, present: set[str], text_of: TextOf) -> dict[str, Any]:
    old, new = sides(hunk, text_of)
    shown = {"hunkId": hunk.hunk_id, "range": _lines(hunk.old_start, hunk.old_end)}
    span = place(live, hunk, present, text_of) if live is not None and hunk.is_in_text else None
    if span is not None:
        shown["newRange"] = _lines(span.start, span.end)
    return {
        **shown,
        "oldText": old,
        "newText": new,
        "state": hunk.wire_state,
        "runId": hunk.change.run_id,
        "toolCallId": hunk.change.tool_call_id,
    }


def _lines(start: int, end: int) -> dict[str, Any]:
    return {"start": {"line": start, "character": 0}, "end": {"line": end, "character": 0}}
