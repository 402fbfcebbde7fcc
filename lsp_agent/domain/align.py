"""Which lines of one text are lines of another: the ground under every three-way step.

Lines are compared without their ends, so that a last line that gets a line end, or an editor that rewrites line ends,
changes nothing. Lines that both texts hold exactly once are matched first (patience diff); the gaps between them are
compared line by line where that is quick, and count as replaced whole where it is not. Pure.
"""

import difflib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
MAX_GAP_LINES = 400
"""Lines on either side of a gap above which it is not compared."""
MAX_GAP_PAIRS = 4_000
"""Pairs of equal lines in a gap above which it is not compared: they are what makes a line diff slow."""

Block = tuple[int, int, int, int]
"""Lines `[0]` to `[1]` of the old text became lines `[2]` to `[3]` of the new one; half-open, zero-based."""


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `start` to `end`, half-open, zero-based."""

    start: int
    end: int


def lines_of(text: str) -> list[str]:
    """The lines with their ends; they joined are `text`. The end of the text after a line end makes no extra line."""
    return _LINES.findall(text)


def bodies(lines: Sequence[str]) -> list[str]:
    """The lines without their ends."""
    return [line.rstrip("\r\n") for line in lines]


def blocks(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """Where `new` differs from `old` (line bodies), top to bottom; never two that touch."""
    head, room = 0, min(len(old), len(new))
    while head < room and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < room - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    found: list[Block] = []
    old_end, new_end = len(old) - tail, len(new) - tail
    done_old = done_new = head
    for old_line, new_line in [*_anchors(old, new, head, old_end, new_end), (old_end, new_end)]:
        found += _gap(old, new, (done_old, old_line, done_new, new_line))
        done_old, done_new = old_line + 1, new_line + 1
    return _joined(found)


def untouched(changed: Sequence[Block], span: Span, *, strict: bool = False) -> Span | None:
    """Where the old lines `span` are in the new text; None when one of them was changed or something came between.

    What was put right above or below leaves the span as it is; with `strict` it does not. A place between two lines
    (an empty span) is untouched unless what lies on both sides of it was replaced together.
    """
    shift = 0
    for old_start, old_end, new_start, new_end in changed:
        if _meets(old_start, old_end, span, strict=strict):
            return None
        if old_end <= span.start:
            shift += (new_end - new_start) - (old_end - old_start)
    return Span(span.start + shift, span.end + shift)


def covering(changed: Sequence[Block], span: Span) -> Span:
    """The new lines that stand where the old lines `span` stood, with all that was changed around them."""
    near = [block for block in changed if block[0] <= span.end and block[1] >= span.start]
    first = min([span.start, *(block[0] for block in near)])
    last = max([span.end, *(block[1] for block in near)])
    shift = sum([_growth(block) for block in changed if block[1] < span.start])
    return Span(first + shift, last + shift + sum([_growth(block) for block in near]))


def _growth(block: Block) -> int:
    return (block[3] - block[2]) - (block[1] - block[0])


def _meets(old_start: int, old_end: int, span: Span, *, strict: bool) -> bool:
    if strict:
        return old_start <= span.end and old_end >= span.start
    if span.start == span.end:
        return old_start < span.start < old_end
    if old_start == old_end:
        return span.start < old_start < span.end
    return old_start < span.end and old_end > span.start


def _anchors(old: Sequence[str], new: Sequence[str], head: int, old_end: int, new_end: int) -> list[tuple[int, int]]:
    """Pairs of lines that both middles hold exactly once, as many as stand in the same order."""
    places: dict[str, int] = {}
    for number in range(head, new_end):
        places[new[number]] = -1 if new[number] in places else number
    seen = Counter(old[head:old_end])
    pairs = [
        (number, places[old[number]])
        for number in range(head, old_end)
        if seen[old[number]] == 1 and places.get(old[number], -1) >= 0
    ]
    return _increasing(pairs)


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, in order, whose second numbers grow."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        ends[at : at + 1] = [place]
        last[at : at + 1] = [number]
        before.append(last[at - 1] if at else -1)
    chain: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _gap(old: Sequence[str], new: Sequence[str], gap: Block) -> list[Block]:
    """What differs in one gap."""
    old_start, old_end, new_start, new_end = gap
    left, right = old[old_start:old_end], new[new_start:new_end]
    if not left and not right:
        return []
    counts = Counter(right)
    pairs = sum(counts[line] for line in left)
    if not left or not right or max(len(left), len(right)) > MAX_GAP_LINES or not 0 < pairs <= MAX_GAP_PAIRS:
        return [gap]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    return [
        (old_start + a, old_start + b, new_start + c, new_start + d)
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def _joined(found: Sequence[Block]) -> list[Block]:
    """Blocks that touch as one."""
    joined: list[Block] = []
    for block in found:
        if joined and joined[-1][1] == block[0] and joined[-1][3] == block[2]:
            joined[-1] = (joined[-1][0], block[1], joined[-1][2], block[3])
        else:
            joined.append(block)
    return joined
