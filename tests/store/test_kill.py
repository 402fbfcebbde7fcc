import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.store.lock import DataLock
from lsp_agent.store.sqlite import SqliteStore

CHILD = Path(__file__).with_name("crash_child.py")
CYCLES = int(os.environ.get("LSP_AGENT_KILL_CYCLES", "24"))


def start(data_dir: Path, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, str(CHILD), str(data_dir), name], stdout=subprocess.PIPE, text=True)


def lines_until_killed(child: "subprocess.Popen[str]", count: int) -> list[str]:
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line.strip())
        if len(lines) == count:
            child.send_signal(signal.SIGKILL)
    child.stdout.close()
    child.wait()
    return [line for line in lines if not line.startswith("open")]


@pytest.mark.process
@pytest.mark.timeout(180)
def test_F01_F02_what_was_acknowledged_survives_kill_9(tmp_path):
    random.seed(7)
    data_dir, accepted, ended = tmp_path / "data", set(), set()
    for cycle in range(CYCLES):
        for line in lines_until_killed(start(data_dir, f"c{cycle}"), random.randrange(1, 120)):
            kind, key, *_ = line.split(" ")
            (accepted if kind == "a" else ended).add(key)
        database = sqlite3.connect(data_dir / "lsp-agent.db")
        stored = {key for (key,) in database.execute("SELECT run_key FROM runs")}
        terminals = [key for (key,) in database.execute("SELECT terminal_of FROM events WHERE terminal_of IS NOT NULL")]
        broken = database.execute(
            "SELECT count(*) FROM runs WHERE (state = 'done') <> (run_key IN (SELECT terminal_of FROM events))"
        ).fetchone()
        database.close()
        assert accepted <= stored
        assert ended <= set(terminals)
        assert len(terminals) == len(set(terminals))
        assert broken == (0,)
    assert accepted
    assert ended


@pytest.mark.process
@pytest.mark.timeout(120)
async def test_F03_a_first_start_killed_anywhere_leaves_nothing_to_repair(tmp_path):
    random.seed(11)
    for cycle in range(6):
        child = start(tmp_path / f"data{cycle}", "c")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(random.uniform(0.05, 0.35))
        child.kill()
        child.communicate()
        store = await SqliteStore.open(tmp_path / f"data{cycle}", clock_ms=lambda: 0)
        await store.unfinished_runs()
        assert store.notices == []
        await store.close()


@pytest.mark.process
def test_F33_the_lock_names_its_owner_and_dies_with_it(tmp_path):
    child = start(tmp_path, "c")
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(StoreError) as refused:
        DataLock.acquire(tmp_path, now_ms=0)
    assert f"pid {child.pid}" in str(refused.value)
    assert "started 20" in str(refused.value)
    child.kill()
    child.communicate()
    DataLock.acquire(tmp_path, now_ms=0).release()
