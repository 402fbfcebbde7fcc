"""A batch of hostile runs against one real server, with a user who refuses whatever is asked."""

import asyncio
import json
import sys
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.client import Client
from tests.hostile.attacks import Attacker
from tests.hostile.ground import Ground

RUN_S = 120.0
MODES = ("ask", "accept-edits", "full-auto", "plan", "ask")
AT_ONCE = 3
LIMITS = "[agent]\nmax_steps = 8\n[limits]\nretry_base_s = 0.02\n"


@dataclass
class Report:
    """What happened."""

    runs: int = 0
    calls: int = 0
    asked: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.runs += other.runs
        self.calls += other.calls
        self.asked += other.asked
        self.statuses += other.statuses
        self.tools += other.tools
        self.tiers += other.tiers
        self.ends += other.ends
        self.faults += other.faults


def batch(seed: int, count: int) -> Report:
    """`count` runs of one seed, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as home:
        return asyncio.run(_batch(seed, count, Path(home).resolve()))


async def _batch(seed: int, count: int, home: Path) -> Report:
    ground = Ground(home, uuid.uuid4().hex)
    attacker = Attacker(seed)
    marks = [f"s{seed}r{number}" for number in range(count)]
    ground.configure({mark: attacker.run(mark) for mark in marks}, LIMITS)
    report = Report()
    command = [sys.executable, "-m", "lsp_agent", "serve"]
    client = await Client.start(home, command=command, env=ground.environment, cwd=ground.project)
    try:
        await client.initialize(root=ground.project)
        denier = asyncio.create_task(_refuse_everything(client, report))
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_run(client, mark, number, gate, report) for number, mark in enumerate(marks)))
        denier.cancel()
        await client.shutdown()
    except Exception as error:
        report.faults.append(f"seed {seed}: {type(error).__name__}: {error}")
    finally:
        await client.aclose()
    _count(client, report)
    frames = (json.dumps(message, ensure_ascii=False) for message in client.messages)
    report.faults += [f"seed {seed}: {fault}" for fault in ground.judge(frames, client.stderr)]
    ground.close()
    return report


async def _run(client: Client, mark: str, number: int, gate: asyncio.Semaphore, report: Report) -> None:
    async with gate:
        options = {"mode": MODES[number % len(MODES)]}
        params = {"prompt": f"{mark}: fix the tests", "runId": mark, "options": options}
        await client.request("agent/run", params)
        try:
            end = await client.until_complete(mark, RUN_S)
            report.ends[end["stopReason"]] += 1
            if end["stopReason"] == "error":
                report.faults.append(f"{mark} ended with an error: {end['error']}")
        except TimeoutError:
            report.faults.append(f"{mark} did not end in {RUN_S:g} s")
        report.runs += 1


async def _refuse_everything(client: Client, report: Report) -> None:
    """Answer every permission with the option that rejects once, with a message, so that the attack goes on."""
    seen = 0
    while True:
        while seen < len(client.recorded):
            message = client.recorded[seen].message
            seen += 1
            update = (message.get("params") or {}).get("update", {}) if message.get("method") == "agent/event" else {}
            if update.get("sessionUpdate") == "permission_requested":
                report.asked += 1
                reject = {"type": "selected", "optionId": "reject_once", "message": "No. Go on without it."}
                client.begin("agent/permission/respond", {"requestId": update["requestId"], "outcome": reject})
            elif update.get("sessionUpdate") == "question_requested":
                client.begin("agent/question/respond", {"requestId": update["requestId"], "action": "decline"})
        await client.arrived()


def _count(client: Client, report: Report) -> None:
    for message in client.messages:
        update: dict[str, Any] = (message.get("params") or {}).get("update") or {}
        if update.get("sessionUpdate") == "tool_call_update" and update.get("status") not in ("pending", "in_progress"):
            report.calls += 1
            report.statuses[update["status"]] += 1
            report.tools[update.get("name", "?")] += 1
        if update.get("sessionUpdate") == "permission_requested":
            tier = (update.get("subject") or {}).get("sandbox")
            if tier:
                report.tiers[tier] += 1
