"""Which hunks a request means, and what is to become of each (PROTOCOL 6, `agent/changes/resolve`).

Accept and reject of a file, a run or everything concern what is pending; a hunk named by itself is meant whatever its
state. Undo takes back the newest thing among what is named: one decision of the user, or what one run has changed; redo
the undo that came last. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lsp_agent.changes.ledger import ACCEPTED, PENDING, REJECTED, Hunk, Ledger

UNKNOWN = "there is no such hunk in this session"
REJECTED_BEFORE = "it was rejected; undo that first"


@dataclass(frozen=True, slots=True)
class Target:
    """Exactly one of a hunk, a file (real path), a run, or everything."""

    hunk_id: str | None = None
    path: str | None = None
    run_id: str | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """New states by hunk id; hunks that are as wanted already; why others cannot be meant, by id."""

    wanted: Mapping[str, str]
    already: Sequence[str]
    refused: Mapping[str, str]


def choose(ledger: Ledger, action: str, targets: Iterable[Target], *, made_in: str | None = None) -> Choice:
    """What `action` (accept, reject, undo, redo) on `targets` comes to. `made_in`: only what this sub-agent changed."""
    wanted: dict[str, str] = {}
    already: dict[str, None] = {}
    refused: dict[str, str] = {}
    for target in targets:
        if target.hunk_id is None:
            group = [hunk for hunk in ledger.hunks.values() if _is_in(hunk, target) and is_of(hunk, made_in)]
            wanted.update(_group(ledger, action, group))
            continue
        hunk = ledger.hunks.get(target.hunk_id)
        if hunk is None or not is_of(hunk, made_in):
            refused[target.hunk_id] = UNKNOWN
        elif action == "accept" and not hunk.is_in_text:
            refused[hunk.hunk_id] = REJECTED_BEFORE
        elif (state := _next(action, hunk)) is None:
            already[hunk.hunk_id] = None
        else:
            wanted[hunk.hunk_id] = state
    return Choice(wanted, list(already), refused)


def is_of(hunk: Hunk, made_in: str | None) -> bool:
    """Whether a session sees the hunk: all of its own journal, or what it did as a sub-agent (`made_in`)."""
    return made_in is None or hunk.change.made_in == made_in


def _is_in(hunk: Hunk, target: Target) -> bool:
    change = hunk.change
    return (
        target.everything
        or (target.path is not None and change.path == target.path)
        or (target.run_id is not None and change.run_id == target.run_id)
    )


def _group(ledger: Ledger, action: str, group: Sequence[Hunk]) -> dict[str, str]:
    if action in ("accept", "reject"):
        state = ACCEPTED if action == "accept" else REJECTED
        return {hunk.hunk_id: state for hunk in group if hunk.state == PENDING}
    if action == "undo":
        movable = {hunk: ledger.number_of(hunk.trail[hunk.at][1]) for hunk in group if hunk.at > 0}
    else:
        movable = {hunk: max(hunk.undone_at, default=0) for hunk in group if hunk.at + 1 < len(hunk.trail)}
    newest = max(movable.values(), default=0)
    found = {hunk.hunk_id: _next(action, hunk) for hunk, number in movable.items() if number == newest}
    return {hunk_id: state for hunk_id, state in found.items() if state is not None}


def _next(action: str, hunk: Hunk) -> str | None:
    """The hunk's next state; None when there is nothing to do."""
    match action:
        case "accept":
            return None if hunk.state == ACCEPTED else ACCEPTED
        case "reject":
            return REJECTED if hunk.is_in_text else None
        case "undo":
            return hunk.trail[hunk.at - 1][0] if hunk.at > 0 else None
        case _:
            return hunk.trail[hunk.at + 1][0] if hunk.at + 1 < len(hunk.trail) else None
