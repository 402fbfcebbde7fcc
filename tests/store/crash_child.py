"""Writes runs and events as fast as it can and says on stdout what was committed, until it is killed."""

import asyncio
import sys
import time
from pathlib import Path

from lsp_agent.domain.run import Run, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import AcceptRun, AppendEvent, PutSession, SetRunState
from lsp_agent.store.sqlite import SqliteStore


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(data_dir: Path, name: str) -> None:
    store = await SqliteStore.open(data_dir, clock_ms=lambda: time.time_ns() // 1_000_000)
    say(f"open {len(store.notices)}")
    if await store.session("s") is None:
        await store.write([PutSession(Session("s"))])
    session = await store.session("s")
    assert session is not None
    seq = session.seq
    for left in await store.unfinished_runs():
        seq += 1
        key = left.run.run_key
        store.write(
            [AppendEvent("s", seq, b"{}", key, "interrupted")], lambda _, key=key, seq=seq: say(f"t {key} {seq}")
        )
    for number in range(100_000):
        key = f"{name}-{number}"
        run = Run(key, "s", key, f"m-{key}", "prompt " * 20)
        store.write([AcceptRun(run)], lambda _, key=key: say(f"a {key}"))
        seq += 1
        store.write([SetRunState(key, RunState.RUNNING), AppendEvent("s", seq, b"{}")])
        if number % 7:
            seq += 1
            end = AppendEvent("s", seq, b"{}", key, "end_turn")
            store.write([end], lambda _, key=key, seq=seq: say(f"t {key} {seq}"))
        if number % 5 == 0:
            await store.flush()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
