"""Indenting new lines the way the file is, when the model wrote its text with another indentation. Pure."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_DEFAULT_WIDTH = 4


def reindent(new: str, pairs: Sequence[tuple[str, str]], file_lines: Sequence[str]) -> str:
    """`new` with the file's indentation.

    Shape: `pairs` are the model's lines and the file's lines they stand for, in order. An indentation the model used
    for one of those becomes what the file has there; others keep their nesting relative to the first of them, in the
    file's unit (a tab, or its usual number of spaces).
    """
    known = {_indent(theirs): _indent(ours) for theirs, ours in reversed(pairs) if theirs.strip()}
    if all(theirs == ours for theirs, ours in known.items()):
        return new
    new_lines = new.split("\n")
    first_theirs, first_ours = next((_indent(a), _indent(b)) for a, b in pairs if a.strip())
    width = _unit_width([theirs for theirs, _ in pairs] + new_lines)
    file_unit = _file_unit(file_lines)
    base_columns = _columns(first_theirs, width)

    def moved(line: str) -> str:
        if not line.strip():
            return line
        indent = _indent(line)
        if indent in known:
            return known[indent] + line[len(indent) :]
        levels, rest = divmod(_columns(indent, width) - base_columns, width)
        return _shifted(first_ours, levels, file_unit) + " " * rest + line[len(indent) :]

    return "\n".join([moved(line) for line in new_lines])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _columns(indent: str, width: int) -> int:
    return indent.count("\t") * width + indent.count(" ")


def _shifted(base: str, levels: int, unit: str) -> str:
    if levels >= 0:
        return base + unit * levels
    for _ in range(-levels):
        base = base.removesuffix(unit)
    return base


def _unit_width(lines: Sequence[str]) -> int:
    """Columns of one level in text the model wrote: the smallest step between its lines."""
    indents = sorted({_indent(line).count(" ") for line in lines if line.strip() and "\t" not in _indent(line)})
    steps = [b - a for a, b in pairwise(indents)]
    if indents and indents[0]:
        steps.append(indents[0])
    likely = [step for step in steps if step > 1]
    return min(likely) if likely else _DEFAULT_WIDTH


def _file_unit(lines: Sequence[str]) -> str:
    """A tab when most indented lines begin with one, else the usual step between neighbouring lines."""
    indents = [_indent(line) for line in lines if line.strip()]
    indented = [indent for indent in indents if indent]
    if indented and 2 * sum("\t" in indent for indent in indented) >= len(indented):
        return "\t"
    steps: Counter[int] = Counter()
    for above, below in pairwise(indents):
        step = len(below) - len(above)
        if 1 < step <= 8:
            steps[step] += 1
    return " " * (steps.most_common(1)[0][0] if steps else _DEFAULT_WIDTH)
