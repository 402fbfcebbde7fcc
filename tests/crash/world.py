"""One data directory and one project: what a server of the kill loop works on, and what must be whole between lives."""

import fcntl
import json
import os
import shutil
import sqlite3
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from tests.crash.oracle import Oracle
from tests.harness.client import Client

ROOT = Path(__file__).parents[2]
MARK = "LSP_AGENT_KILL_LOOP"
FILES = 4
LINES = 600
# with more, replays of a whole log pass 16 MiB and a `resync` is due (PROTOCOL 11)
ORPHAN_S = 2.0

CONFIG = """
[models]
large = "play/demo"
[providers.play]
type = "scripted"
script = "script.json"
[[providers.play.models]]
id = "demo"
context_window = 200000
[permissions]
mode = "accept-edits"
[limits]
retry_base_s = 0.02
"""


def script() -> dict[str, Any]:
    """What the model says to the prompts of `life`: the first word of a prompt chooses."""
    turns: list[dict[str, Any]] = [{"aside": True, "times": 0, "do": [{"text": "A title"}]}]
    for number in range(FILES):
        name = f"f{number}.txt"
        write = {"tool": "write", "input": {"file_path": name, "content": "{{last_user}}\n" * LINES}}
        calls = [{"text": "Now.", "deltas": 2}, {"tool": "view", "input": {"file_path": name, "limit": 1}}, write]
        turns.append({"when": f"^write f{number}", "after": "user", "times": 0, "do": calls})
    ask = {"tool": "view", "input": {"file_path": "../outside.txt"}}
    turns += [
        {"when": "^ask", "after": "user", "times": 0, "do": [{"text": "May I?"}, ask]},
        {
            "when": "^grep",
            "after": "user",
            "times": 0,
            "do": [{"tool": "grep", "input": {"pattern": "write"}}, {"tool": "view", "input": {"file_path": "f0.txt"}}],
        },
        {
            "when": "^talk",
            "times": 0,
            "do": [
                {"think": "Let me think. ", "repeat": 3, "deltas": 1, "delay_s": 0.005},
                {"text": "word ", "repeat": 40, "deltas": 1, "delay_s": 0.005},
                {"usage": {"input": 100, "output": 40}},
            ],
        },
        {"when": "^stall", "times": 0, "do": [{"text": "wait "}, {"stall": 60}]},
        {"when": "^fail", "times": 0, "do": [{"text": "oh "}, {"error": {"kind": "Provider", "retryable": False}}]},
        {"times": 0, "do": [{"text": "Done, all of it.", "deltas": 3}]},
    ]
    return {"turn": turns}


class World:
    """Made once; lives follow each other in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "project"
        self.data = home / "data"
        self.oracle = Oracle()
        self.mark = uuid.uuid4().hex
        self.kills = 0
        self._litter = 0
        self.project.mkdir(parents=True)
        (home / "config.toml").write_text(CONFIG)
        (home / "script.json").write_text(json.dumps(script()))
        (home / "outside.txt").write_text("outside\n")
        for number in range(FILES):
            (self.project / f"f{number}.txt").write_text("write\n" * LINES)

    async def start(self, crash_at: str | None) -> Client:
        """A server on this data directory; with a crash point when one is named."""
        module = "tests.crash.child" if crash_at else "lsp_agent"
        env = {
            MARK: self.mark,
            "LSP_AGENT_CONFIG": str(self.home / "config.toml"),
            "PYTHONPATH": str(ROOT),
            **({"LSP_AGENT_CRASH_AT": crash_at} if crash_at else {}),
        }
        command = [sys.executable, "-m", module, "serve"]
        self.oracle.new_life()
        return await Client.start(self.home, command=command, env=env, cwd=self.project)

    # ---------------------------------------------------------------------------------- after every life

    def judge_between(self, *, killed: bool) -> None:
        """No server runs: files whole, lock free, database sound, nothing left behind."""
        self.kills += killed
        self._files_whole()
        self._lock_free()
        self._no_orphans()
        self._database_sound()

    def _files_whole(self) -> None:
        for number in range(FILES):
            path = self.project / f"f{number}.txt"
            lines = path.read_bytes().split(b"\n")
            if len(lines) != LINES + 1 or lines[-1] or len(set(lines[:-1])) != 1:
                self.oracle.fault(f"{path.name} is torn: {len(lines)} lines, {len(set(lines))} different")
        litter = len([path for path in self.project.iterdir() if path.name.endswith(".tmp")])
        # three sessions may each be in the middle of a write when the process is killed
        if litter > self._litter + 3:
            self.oracle.fault(f"{litter - self._litter} temporary files were left behind by one kill")
        self._litter = litter
        odd = [path.name for path in self.data.glob("*") if "damaged" in path.name or path.suffix == ".part"]
        if odd:
            self.oracle.fault(f"in the data directory: {odd}")

    def _lock_free(self) -> None:
        lock = self.data / "lsp-agent.lock"
        if not lock.exists():
            return
        descriptor = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.oracle.fault("the lock is held by nobody alive")
        finally:
            os.close(descriptor)

    def _no_orphans(self) -> None:
        needle = f"{MARK}={self.mark}".encode()
        deadline_s = time.monotonic() + ORPHAN_S
        while found := processes_with(needle):
            if time.monotonic() > deadline_s:
                self.oracle.fault(f"processes outlived the server: {found}")
                return
            time.sleep(0.02)  # outside of any test: the loop's own process, between two lives

    def _database_sound(self) -> None:
        """On a copy: opening the file itself would repair what the server has to repair."""
        source = self.data / "lsp-agent.db"
        if not source.exists() or not source.stat().st_size:
            return
        copy = self.home / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.data.glob("lsp-agent.db*"):
            if path.suffix in (".db", ".db-wal"):
                shutil.copy(path, copy / path.name)
        database = sqlite3.connect(copy / source.name)
        try:
            if (verdict := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                self.oracle.fault(f"integrity_check: {verdict}")
            self._stored_log(database)
        except sqlite3.DatabaseError as error:
            self.oracle.fault(f"the database cannot be read: {error}")
        finally:
            database.close()

    def _stored_log(self, database: sqlite3.Connection) -> None:
        """Whatever the client has seen is stored, as it was sent."""
        if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'events'").fetchone():
            return
        for session_id, log in self.oracle.logs.items():
            rows = database.execute("SELECT seq, payload FROM events WHERE session_id = ?", (session_id,))
            stored = {seq: json.dumps(json.loads(payload), sort_keys=True) for seq, payload in rows}
            if sorted(stored) != list(range(1, len(stored) + 1)):
                self.oracle.fault(f"{session_id}: the stored numbers have gaps")
            for seq, text in log.items():
                if stored.get(seq) != text:
                    self.oracle.fault(f"{session_id}: event {seq} was sent and is not stored: {text[:200]}")
        known = {run_id for (run_id,) in database.execute("SELECT run_id FROM runs")}
        for item in self.oracle.submitted:
            if item.acknowledged and item.run_id is not None and item.run_id not in known:
                self.oracle.fault(f"{item.run_id} was acknowledged and is not stored")


def processes_with(needle: bytes) -> list[str]:
    """Command lines of live processes whose environment holds `needle`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if needle in (entry / "environ").read_bytes() and "\nState:\tZ" not in (entry / "status").read_text():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        except OSError:
            continue  # it has ended meanwhile, or is not ours
    return found
