"""Where a name stands in a text: the last component of a qualified one, as a whole word. Pure (CORE 26)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_agent.domain.text import Position
from lsp_agent.language.shapes import Symbol
from lsp_agent.workspace.lines import LineIndex

_SEPARATORS = re.compile(r"::|->|[.#\\/]")
_DEFINES = re.compile(
    r"(?:\b(?:def|class|func|fn|function|const|let|var|val|type|struct|interface|enum|trait|impl|module|namespace|"
    r"package|record|object|protocol|macro|static|local|sub|proc|define|void|int|string|bool)\s+[*&]?)$"
)
MAX_NAME = 300


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of the last component. `score`: higher = likelier to be the definition or the one meant."""

    at: Position
    score: int


def components(symbol: str) -> list[str]:
    """`a.b.C` → a, b, C; `A::m` → A, m; `ns\\F` → ns, F. Empty for something that is no name."""
    parts = [part for part in _SEPARATORS.split(symbol.strip().removesuffix("()")) if part]
    return parts if parts and len(symbol) <= MAX_NAME and not re.search(r"\s", symbol.strip()) else []


def spots(text: str, symbol: str, limit: int = 50) -> list[Spot]:
    """Where the last component of `symbol` stands as a word, likeliest first, then from top to bottom."""
    parts = components(symbol)
    if not parts:
        return []
    last = parts[-1]
    qualifier = symbol.strip().removesuffix("()")[: -len(last)] if len(parts) > 1 else ""
    index = LineIndex(text)
    found: list[Spot] = []
    for match in re.finditer(rf"(?<!\w){re.escape(last)}(?!\w)", text):
        start = match.start()
        before = text[max(0, start - 80) : start]
        score = 0
        if qualifier and before.endswith(qualifier):
            score += 4
        line_head = before.rsplit("\n", 1)[-1]
        if _DEFINES.search(line_head):
            score += 2
        if line_head.lstrip().startswith(("#", "//", "*", "--", ";", '"""')):
            score -= 3
        found.append(Spot(index.position(start), score))
        if len(found) >= 5_000:
            break
    found.sort(key=lambda spot: (-spot.score, spot.at))
    return found[:limit]


def named(found: Sequence[Symbol], symbol: str) -> list[Symbol]:
    """Those of `found` that `symbol` may mean, best first: the same last name, in containers that end as it says."""
    parts = components(symbol)
    if not parts:
        return []
    same = [one for one in found if _bare(one.name) == parts[-1]]
    if len(parts) == 1:
        return sorted(same, key=lambda one: (one.depth, one.range.start))
    wanted = parts[:-1]
    fitting = [one for one in same if _container(one)[-len(wanted) :] == wanted]
    return fitting or [one for one in same if _container(one) and _container(one)[-1] == wanted[-1]]


def _bare(name: str) -> str:
    """Servers decorate names: `main()`, `(T).Method`, `impl Foo`."""
    head = name.split("(", 1)[0] if not name.startswith("(") else name
    parts = components(head.split()[-1]) if head.split() else []
    return parts[-1].rstrip(")") if parts else name


def _container(one: Symbol) -> list[str]:
    return [_bare(part) for part in re.split(r"\.", one.container) if part]
