"""Worlds of several killed lives each, from one seed; `tests.crash` runs many of them."""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.life import Death, last_life, live
from tests.crash.points import POINTS
from tests.crash.world import World

LIVES = 5


@dataclass
class Report:
    """What one world, or all of them, came to."""

    cycles: int = 0
    prompts: int = 0
    events: int = 0
    violations: list[str] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Report") -> None:
        self.cycles += other.cycles
        self.prompts += other.prompts
        self.events += other.events
        self.violations += other.violations
        self.deaths += other.deaths


def choose_death(chance: random.Random, number: int) -> Death:
    """A time in 35 % (a third of them within the start), a frame in 20 %, a crash point in 45 % of the cases."""
    draw = chance.random()
    if draw < 0.12:
        return Death(chance.uniform(0, 0.6), from_start=True)
    if draw < 0.35:
        return Death(chance.uniform(0, 1.0))
    if draw < 0.55:
        return Death(1.0, after_frames=chance.randint(1, 120))
    names = [name for name, point in POINTS.items() if not name.startswith("close") and not point.first_start]
    if number == 0:
        names += [name for name, point in POINTS.items() if point.first_start] * 2
    name = chance.choice(names)
    return Death(1.0, crash_at=f"{name}:{chance.randint(1, POINTS[name].most)}")


async def run_world(home: Path, seed: str, lives: int, deaths: list[Death] | None = None) -> Report:
    """`lives` killed lives and one that ends everything, in a fresh `home`."""
    chance = random.Random(seed)
    world = World(home)
    report = Report()
    for number in range(lives):
        death = deaths[number] if deaths else choose_death(chance, number)
        kind = death.crash_at.split(":")[0] if death.crash_at else "frame" if death.after_frames else "time"
        at_its_point = await live(world, death, chance)
        report.deaths[kind if at_its_point or not death.crash_at else "time"] += 1
        if at_its_point and not death.crash_at:
            world.oracle.fault("the server died although nobody killed it")
        report.cycles += 1
    await last_life(world, chance)
    report.prompts = sum(item.acknowledged for item in world.oracle.submitted)
    report.events = sum(len(log) for log in world.oracle.logs.values())
    report.violations = [f"[seed {seed}] {text}" for text in world.oracle.violations]
    return report


def one(seed: str, lives: int, keep: Path | None = None) -> Report:
    """One world in a directory of its own, removed afterwards unless something broke and `keep` says where to."""
    home = Path(tempfile.mkdtemp(prefix="lsp-agent-crash-"))
    try:
        report = asyncio.run(run_world(home / "w", seed, lives))
        if report.violations and keep is not None:
            shutil.copytree(home / "w", keep / seed.replace("/", "-"), dirs_exist_ok=True)
        return report
    finally:
        shutil.rmtree(home, ignore_errors=True)
