"""Where a hunk is in the text of today, and the three-way step that takes it out or puts it in.

The base is the change's own text with exactly those of its hunks that are in force; today's text is compared with it,
so what the user or a later change did meanwhile stays. A step replaces lines that hold exactly what the journal says
stands there, and nothing else: text the user typed is never part of that. Pure.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from lsp_agent.changes.ledger import Change, Hunk
from lsp_agent.domain.align import Span, blocks, bodies, covering, lines_of, untouched
from lsp_agent.workspace.kept import is_line, stands_for

CHANGED = "these lines were changed since"
GONE = "the file is not there any more"
EXISTS = "there is a file of that name"
CHANGED_FILE = "the file was changed since it was created"
LOST = "the stored text is missing"
NOT_KEPT = "its content was not kept; get it again"

TextOf = Callable[[str], str | None]
"""A text by its id; None when the store has lost it."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A hunk that cannot be taken out or put in. `current`: the text that stands there; None = no file."""

    reason: str
    current: str | None


def place(text: str, hunk: Hunk, present: Collection[str], text_of: TextOf) -> Span | None:
    """The lines of `text` that hold the hunk's side in force; None when they were changed or cannot be found."""
    base, spans = _composed(hunk.change, present, text_of)
    return untouched(blocks(bodies(base), bodies(lines_of(text))), spans[hunk.hunk_id]) if base is not None else None


def flip(text: str | None, hunk: Hunk, put_in: bool, present: Collection[str], text_of: TextOf) -> str | Blocked | None:
    """The file with the hunk put in or taken out; None = no file (any more).

    `present`: ids of the hunks that the file should hold now, this one by its present side.
    """
    change = hunk.change
    if change.kind in ("create", "delete"):
        return _flip_file(text, change, exists=(change.kind == "create") is put_in, present=present, text_of=text_of)
    if text is None:
        return Blocked(GONE, None)
    held = {*present, hunk.hunk_id} if not put_in else {*present} - {hunk.hunk_id}
    base, spans = _composed(change, held, text_of)
    if base is None:
        return Blocked(LOST, None)
    live = lines_of(text)
    changed = blocks(bodies(base), bodies(live))
    span = untouched(changed, spans[hunk.hunk_id])
    if span is not None:
        return _spliced(live, span, _side(hunk, put_in, text_of))
    if _is_done(live, hunk, held ^ {hunk.hunk_id}, text_of):
        return text
    around = covering(changed, spans[hunk.hunk_id])
    return Blocked(CHANGED, "".join(live[around.start : around.end]))


def composed(change: Change, present: Collection[str], text_of: TextOf) -> str | None:
    """The change's text with these hunks put in and the others not; None when the store has lost it."""
    base, _ = _composed(change, present, text_of)
    return "".join(base) if base is not None else None


def _flip_file(
    text: str | None, change: Change, *, exists: bool, present: Collection[str], text_of: TextOf
) -> str | Blocked | None:
    """The step of a file that was created or deleted as a whole."""
    name = change.after if change.kind == "create" else change.before
    whole = text_of(name) if name is not None else ""
    if whole is None:
        return Blocked(LOST, text)
    if exists and text is None:
        return Blocked(NOT_KEPT, None) if is_line(whole) else whole
    if text is not None and not stands_for(whole, text):
        return Blocked(EXISTS if exists else CHANGED_FILE, text)
    return text if exists else None


def _composed(change: Change, present: Collection[str], text_of: TextOf) -> tuple[list[str] | None, dict[str, Span]]:
    old, new = _lines(change.before, text_of), _lines(change.after, text_of)
    if old is None or new is None:
        return None, {}
    result: list[str] = []
    spans: dict[str, Span] = {}
    done = 0
    for hunk in change.hunks:
        result += old[done : hunk.old_start]
        side = new[hunk.new_start : hunk.new_end] if hunk.hunk_id in present else old[hunk.old_start : hunk.old_end]
        spans[hunk.hunk_id] = Span(len(result), len(result) + len(side))
        result += side
        done = hunk.old_end
    return result + old[done:], spans


def _lines(name: str | None, text_of: TextOf) -> list[str] | None:
    text = text_of(name) if name is not None else ""
    return None if text is None else lines_of(text)


def _side(hunk: Hunk, put_in: bool, text_of: TextOf) -> str:
    """The hunk's new lines, or its old ones."""
    change = hunk.change
    if put_in:
        return "".join((_lines(change.after, text_of) or [])[hunk.new_start : hunk.new_end])
    return "".join((_lines(change.before, text_of) or [])[hunk.old_start : hunk.old_end])


def _is_done(live: Sequence[str], hunk: Hunk, held: Collection[str], text_of: TextOf) -> bool:
    """Whether the text has the wanted side already, with its surroundings as they were: the user's own undo."""
    base, spans = _composed(hunk.change, held, text_of)
    if base is None:
        return False
    return untouched(blocks(bodies(base), bodies(live)), spans[hunk.hunk_id], strict=True) is not None


def _spliced(live: Sequence[str], span: Span, text: str) -> str:
    """`live` with `text` in place of `span`; what comes before and after stays on lines of its own."""
    before, after = "".join(live[: span.start]), "".join(live[span.end :])
    end = _line_end(live)
    if text and before and before[-1] not in "\r\n":
        before += end
    if text and after and text[-1] not in "\r\n":
        text += end
    return before + text + after


def _line_end(lines: Sequence[str]) -> str:
    """How the text ends its lines."""
    for line in lines:
        if line.endswith("\r\n"):
            return "\r\n"
        if line.endswith(("\n", "\r")):
            return line[-1]
    return "\n"
