"""The table: a line a figure, min/median/max of the product, medians of the floors, the ratio that has a target."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.contender import ASYNCIO, ASYNCIO_HTTPX2, CONTENDERS, PRODUCT, PYGLS_RAW, PYGLS_SDK

Values = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Target:
    """At most `factor` times a floor's median, plus so many durable commits; or at most `most`."""

    floor: str = ""
    factor: float = 0.0
    commits: int = 0
    most: float = 0.0

    def limit(self, values: Values, commit_ms: float = 0.0) -> float | None:
        if not self.floor:
            return self.most
        return self.factor * median(values[self.floor]) + self.commits * commit_ms if values.get(self.floor) else None

    def __str__(self) -> str:
        if not self.floor:
            return f"≤ {self.most:g}"
        return f"≤ {self.factor:g}× {self.floor}" + (" + a commit" if self.commits else "")


TARGETS: dict[str, Target] = {
    # PERFORMANCE.md, "against the floor"
    "start → initialize, ms": Target(ASYNCIO.name, 2.0),
    "start → first request at the model, ms": Target(ASYNCIO_HTTPX2.name, 2.5),
    "memory after initialize, MB": Target(most=1.5 * 34),
    "later prompts → request, ms": Target(PYGLS_SDK.name, 1.6, commits=1),
    "first byte → first update, ms": Target(PYGLS_SDK.name, 1.25),
    "tool round trip (view), ms": Target(PYGLS_SDK.name, 2.0),
    "burst: CPU a delta, µs": Target(PYGLS_RAW.name, 1.5),
    "memory after 10,000 deltas, MB": Target(most=1.5 * 41),
    "paced 91/s: CPU a delta, µs": Target(PYGLS_RAW.name, 1.5),
    "100/s: added latency p99, ms": Target(ASYNCIO.name, 1.3),
    "50 × 50/s: added latency p99, ms": Target(PYGLS_RAW.name, 5.0),
    "memory a session, kB": Target(most=100),
    # RELIABILITY 4, "moonshot"
    "memory with 1,000 sessions, MB": Target(most=300),
    "accept with 50 streams p99, ms": Target(most=15),
    "cancel while streaming p99, ms": Target(most=50),
    "cancel while a tool runs p99, ms": Target(most=500),
    "cancel while a command runs p99, ms": Target(most=500),
    "cancel while a command ignores TERM p99, ms": Target(most=2500),
}


def growth(measured: Mapping[str, Values]) -> tuple[float, float] | None:
    """How much longer a dispatch takes with 1,000 messages than with 10: the product, bare asyncio. Milliseconds."""
    found: list[float] = []
    for name in (PRODUCT.name, ASYNCIO.name):
        ends = [measured.get(f"dispatch, {size} messages, ms", {}).get(name) for size in (10, 1000)]
        if not all(ends):
            return None
        found.append(median(ends[1] or []) - median(ends[0] or []))
    return found[0], found[1]


def print_table(measured: Mapping[str, Values], commit_ms: float = 0.0, out: Callable[[str], None] = print) -> None:
    """Markdown. `commit_ms`: what a durable commit took on this disk."""
    names = [
        contender.name for contender in CONTENDERS if any(contender.name in values for values in measured.values())
    ]
    out(f"| figure | {PRODUCT.name} min / **median** / max | {' | '.join(names[1:])} | target | |")
    out("|---|---|" + "---|" * len(names[1:]) + "---|---|")
    for figure, values in measured.items():
        own = values.get(PRODUCT.name)
        shown = f"{_number(min(own))} / **{_number(median(own))}** / {_number(max(own))}" if own else "–"
        floors = [_floor(own, values.get(name)) for name in names[1:]]
        target = TARGETS.get(figure)
        limit = target.limit(values, commit_ms) if target else None
        said = "" if limit is None or not own else "met" if median(own) <= limit else "**not met**"
        goal = (
            ""
            if target is None
            else str(target)
            if not target.floor or limit is None
            else f"{target} = {_number(limit)}"
        )
        out(f"| {figure} | {shown} | {' | '.join(floors)} | {goal} | {said} |")
    grown = growth(measured)
    if grown is not None:
        said = "met" if grown[0] <= 2 * grown[1] else "**not met**"
        goal = f"≤ 2× asyncio = {_number(2 * grown[1])}"
        rest = " | ".join([_number(grown[1]) if name == ASYNCIO.name else "" for name in names[1:]])
        out(f"| dispatch: growth from 10 to 1,000, ms | **{_number(grown[0])}** | {rest} | {goal} | {said} |")


def _floor(own: Sequence[float] | None, floor: Sequence[float] | None) -> str:
    """The floor's median, and how many times it the product took."""
    if not floor:
        return "–"
    value = median(floor)
    return _number(value) + (f" ({median(own) / value:.2f}×)" if own and value > 0 else "")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
