"""The names of the workspace's files, kept ready for completion, and the search in them.

A search has to answer while somebody types: the list is made on a thread, a stale one is used while a new one is on its
way, and the search itself is a handful of passes in C over one string.
"""

import asyncio
import logging
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from lsp_agent.domain.errors import AgentError
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean

_log = logging.getLogger(__name__)

FRESH_S = 5.0
PATIENCE_S = 0.02
"""How long a search waits for a new list when it has an old one, and the last one was as quick to make."""
FIRST_S = 2.0
"""How long the first search waits for its list."""
MAX_FILES = 100_000
_CANDIDATES = 2_000
"""Of one kind of match, how many are ranked."""
_QUERY_CHARS = 200


@dataclass(frozen=True, slots=True)
class Names:
    """Files and how they are called. `shown[i]` is the name of `paths[i]`, relative to its root."""

    paths: Sequence[Path] = ()
    shown: Sequence[str] = ()
    wholes: "_Lines" = field(default_factory=lambda: _Lines(()))
    lasts: "_Lines" = field(default_factory=lambda: _Lines(()))

    def search(self, query: str, limit: int) -> list[int]:
        """Indices of the best matches, best first. Letters have to occur in order; case does not count."""
        wanted = query.casefold().replace("\n", "")[:_QUERY_CHARS]
        if not wanted:
            order = sorted(range(min(len(self.shown), _CANDIDATES)), key=lambda at: (self.shown[at].count("/"), at))
            return order[:limit]
        found: dict[int, None] = {}
        for matches in self._passes(wanted):
            ranked = sorted(_first(matches, _CANDIDATES), key=lambda at: (len(self.shown[at]), self.shown[at]))
            found.update(dict.fromkeys(ranked))
            if len(found) >= limit:
                break
        return list(found)[:limit]

    def _passes(self, wanted: str) -> Iterator[Iterable[int]]:
        """Kinds of matches, the best kind first."""
        if "/" in wanted:
            yield self.wholes.starting(wanted)
        else:
            yield self.lasts.starting(wanted)
            yield self.lasts.holding(wanted)
        yield self.wholes.holding(wanted)
        yield self.wholes.scattered(wanted)


class _Lines:
    """Many short texts as lines of one, case folded, to be searched at once."""

    def __init__(self, texts: Sequence[str]) -> None:
        folded = [text.casefold() for text in texts]
        # every line has its line feed before it, so that "starts with" is a plain search as well
        self._starts = [0, *accumulate([len(text) + 1 for text in folded])]
        self._all = "".join([f"\n{text}" for text in folded])

    def starting(self, wanted: str) -> Iterator[int]:
        return self._holding(f"\n{wanted}")

    def holding(self, wanted: str) -> Iterator[int]:
        return self._holding(wanted)

    def scattered(self, wanted: str) -> Iterator[int]:
        if not all(letter in self._all for letter in wanted):
            return
        # each class excludes the letter that follows it: there is one way to match, nothing to try again
        letters = [re.escape(letter) for letter in wanted]
        pattern = re.compile("\n" + "".join([f"[^{letter}\n]*{letter}" for letter in letters]))
        for found in pattern.finditer(self._all):
            yield bisect_right(self._starts, found.start()) - 1

    def _holding(self, wanted: str) -> Iterator[int]:
        """Lines that hold the text, each once."""
        at = self._all.find(wanted)
        while at >= 0:
            line = bisect_right(self._starts, at) - 1
            yield line
            at = self._all.find(wanted, self._starts[line + 1])


class FileIndex:
    """The list for one workspace. `aclose` ends a list that is being made."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._names = Names()
        self._made_s: float | None = None
        self._took_s = 0.0
        """How long the last list took to make."""
        self._making: asyncio.Task[None] | None = None

    async def names(self) -> Names:
        """The list, at most `FRESH_S` old where a new one is ready in time. Bounded by `FIRST_S`; raises nothing."""
        if self._made_s is None or self._clock.monotonic_s() - self._made_s > FRESH_S:
            if self._making is None or self._making.done():
                self._making = asyncio.create_task(self._make(), name="file names")
            if self._made_s is None:
                await asyncio.wait([self._making], timeout=FIRST_S)
            elif self._took_s < PATIENCE_S:
                await asyncio.wait([self._making], timeout=PATIENCE_S)
        return self._names

    async def aclose(self) -> None:
        """May be called twice."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])

    async def _make(self) -> None:
        begun_s = self._clock.monotonic_s()
        found: list[tuple[Path, Path]] = []
        for root in self._workspace.roots:
            try:
                place = self._workspace.place(str(root))
                walked = await self._workspace.walk(place, limit=MAX_FILES - len(found))
            except AgentError as error:
                _log.info("the files of a root cannot be listed: %s", type(error).__name__)
                continue
            found += [(root, path) for path in walked]
        self._names = await asyncio.to_thread(_names, found)
        self._made_s = self._clock.monotonic_s()
        self._took_s = self._made_s - begun_s


def _names(found: Sequence[tuple[Path, Path]]) -> Names:
    paths: list[Path] = []
    shown: list[str] = []
    for root, path in found:
        name = str(path)[len(str(root)) :].lstrip("/")
        if "\n" not in name and clean(name) == name:  # a name with hidden characters is not what it seems
            paths.append(path)
            shown.append(name)
    return Names(paths, shown, _Lines(shown), _Lines([name.rpartition("/")[2] for name in shown]))


def _first(items: Iterable[int], count: int) -> list[int]:
    return [item for _, item in zip(range(count), items, strict=False)]
