"""One server fuzzed from start to end, crashers saved, and saved ones played again."""

import hashlib
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.driver import Driver, Gone

REGRESSIONS = Path(__file__).parent / "regressions"
SESSION, HOME = "@SESSION@", "@HOME@"


@dataclass
class Report:
    """What one or more servers showed."""

    messages: int = 0
    requests: int = 0
    runs: int = 0
    slowest_probe_s: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    rss: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Join them."""
        self.messages += other.messages
        self.requests += other.requests
        self.runs += other.runs
        self.slowest_probe_s = max(self.slowest_probe_s, other.slowest_probe_s)
        self.answers += other.answers
        self.violations += other.violations
        self.rss += other.rss


def one(seed: int, count: int, save: bool = False) -> Report:
    """`count` messages to one server; an even seed is a plugin, an odd one a plain editor."""
    sys.setrecursionlimit(20_000)
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        driver = Driver(Path(folder), seed, count, plugin=seed % 2 == 0)
        try:
            driver.initialize()
            driver.play(count)
            driver.finish()
        except Gone as error:
            driver.oracle.blame(str(error), list(driver.recent))
        finally:
            driver.close()
        oracle = driver.oracle
        if save:
            for what, frames in oracle.violations:
                if frames:
                    _save(driver, what, frames, plugin=seed % 2 == 0)
        sizes = driver.rss_mib or [0.0]
        return Report(
            driver.sent,
            oracle.requests,
            driver.pools.started,
            driver.slowest_probe_s,
            oracle.answers,
            [f"seed {seed}: {what}" for what, _ in oracle.violations],
            [f"{sizes[0]:.0f} to {sizes[-1]:.0f} MiB, at most {max(sizes):.0f}"],
        )


def replay(path: Path, folder: Path) -> list[str]:
    """Send a saved crasher to a new server; what was wrong."""
    saved = json.loads(path.read_text())
    driver = Driver(folder, 1, 0, plugin=saved["plugin"])
    try:
        driver.initialize()
        session = driver.pools.sessions[-1]
        texts = [text.replace(SESSION, session).replace(HOME, str(folder)) for text in saved["bodies"]]
        driver.replay([text.encode("latin-1") for text in texts])
        driver.finish()
    except Gone as error:
        driver.oracle.blame(str(error), [])
    finally:
        driver.close()
    return [what for what, _ in driver.oracle.violations]


def _save(driver: Driver, what: str, frames: list[bytes], *, plugin: bool) -> None:
    bodies = []
    for data in frames:
        text = data.partition(b"\r\n\r\n")[2].decode("latin-1").replace(str(driver.home), HOME)
        for session in driver.pools.sessions:
            text = text.replace(session, SESSION)
        bodies.append(text)
    name = hashlib.sha256(what.encode()).hexdigest()[:12]
    value = {"what": what.replace(str(driver.home), HOME), "plugin": plugin, "bodies": bodies}
    (REGRESSIONS / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")
