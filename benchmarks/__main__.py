"""`python -m benchmarks [GROUP…] [--rounds N] [--json FILE]`: every contender in every round, one after another.

Groups: start, prompt, stream, history, many, sessions, cancel; none = all.
"""

import argparse
import asyncio
import datetime as dt
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.contender import CONTENDERS, PEERS, REPOSITORY, World
from benchmarks.figures import GROUPS
from benchmarks.peer import Wrong
from benchmarks.report import print_table

Measured = dict[str, dict[str, list[float]]]
"""Figure → contender → one value a round."""


def calibrate_ms() -> float:
    """How long a fixed piece of Python takes now: shows a neighbour at work."""
    began_s = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number * number
    return (time.perf_counter() - began_s) * 1000


def commit_ms(folder: Path) -> float:
    """What one durable commit of a small row takes on this disk now: the median of nine."""
    taken: list[float] = []
    with closing(sqlite3.connect(folder / "commit.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (text)")
        for number in range(9):
            began_s = time.perf_counter()
            connection.execute("INSERT INTO rows VALUES (?)", (f"{number}" * 200,))
            taken.append((time.perf_counter() - began_s) * 1000)
    return median(taken)


@dataclass
class Machine:
    """What the neighbours and the disk were like, one value before each measurement."""

    pace_ms: list[float] = field(default_factory=list)
    commit_ms: list[float] = field(default_factory=list)

    def look(self, folder: Path) -> None:
        self.pace_ms.append(calibrate_ms())
        self.commit_ms.append(commit_ms(folder))


async def measure(
    groups: list[str], names: list[str], rounds: int, folder: Path
) -> tuple[Measured, Machine, list[str]]:
    """Run everything, printing progress to stderr: the figures, the machine, what went wrong."""
    failures: list[str] = []
    model = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.model",
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert model.stdout is not None
    url = f"http://127.0.0.1:{int(await model.stdout.readline())}"
    measured: Measured = defaultdict(lambda: defaultdict(list))
    seen = Machine()
    chosen = [contender for contender in CONTENDERS if not names or contender.name in names]
    try:
        for number in range(rounds):
            world = World.make(folder / f"round-{number}", url)
            for group in groups:
                # another order each round, so that no contender always follows the same one
                for contender in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
                    seen.look(world.folder)
                    began_s = time.monotonic()
                    try:
                        figures = await GROUPS[group](contender, world)
                    except (Wrong, TimeoutError) as error:
                        failures.append(f"round {number + 1}, {group}, {contender.name}: {error!r}")
                        figures = {}
                    took = f"{time.monotonic() - began_s:.1f} s"
                    print(f"round {number + 1}/{rounds} {group} {contender.name} {took}", file=sys.stderr, flush=True)
                    for name, value in figures.items():
                        measured[name][contender.name].append(value)
            shutil.rmtree(world.folder, ignore_errors=True)
    finally:
        assert model.stdin is not None
        model.stdin.close()
        await model.wait()
    return measured, seen, failures


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "cpu": f"{os.cpu_count()} × {model.partition(': ')[2]}",
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load": list(os.getloadavg()),
    }


def _spread(values: list[float]) -> str:
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f} (min / median / max)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this contender (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    options = parser.parse_args()
    unknown = [group for group in options.groups if group not in GROUPS]
    if unknown:
        parser.error(f"no such group: {', '.join(unknown)}")
    before = machine()
    with tempfile.TemporaryDirectory(prefix="lsp-agent-bench-") as folder:
        work = measure(options.groups or list(GROUPS), options.only, options.rounds, Path(folder))
        measured, seen, failures = asyncio.run(work)
    after = machine()
    print(f"{before['at']} · {before['cpu']} · Python {before['python']} · Linux {before['kernel']}")
    loads = "load {:.1f} before, {:.1f} after".format(before["load"][0], after["load"][0])
    print(f"{options.rounds} rounds, {loads}; a fixed loop took {_spread(seen.pace_ms)} ms")
    print(f"a durable commit of one row took {_spread(seen.commit_ms)} ms")
    present = [name for name in PEERS if shutil.which(name)]
    print(f"peers present: {', '.join(present) or 'none'} (they are not driven: the figures are against the floors)\n")
    print_table(measured, median(seen.commit_ms))
    for failure in failures:
        print(f"FAILED {failure}")
    if options.json:
        values = {"machine": before, "load_after": after["load"], **vars(seen), "figures": measured}
        options.json.write_bytes(orjson.dumps(values, option=orjson.OPT_INDENT_2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
