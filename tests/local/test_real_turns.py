"""A real small model does real turns through the real server: structure is asserted, never wording.

SmolLM2-135M for the plumbing, Qwen2.5-Coder-0.5B for a guided turn. Every wait is long: the machine may be busy.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.guarantees.checks import check
from tests.guarantees.world import fresh, idle
from tests.harness.client import Client
from tests.local.conftest import install
from tests.local.test_engine import is_engine

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(900)]
STEP_S = 240.0

CFG = """DEFAULT_PORT = 8080


def port_of(config):
    return config.get("port", DEFAULT_PORT)
"""
STATS = """def mean(points):
    total = 0
    for point in points:
        total += point
    return total / len(points)


def spread(points):
    return max(points) - min(points)
"""


class Editor:
    """A server without any key, an editor with two buffers."""

    def __init__(self, client: Client, project: Path) -> None:
        self.client = client
        self.uris = {}
        for name, content in (("cfg.py", CFG), ("stats.py", STATS)):
            path = project / name
            path.write_text("# what is on the disk is old\n")
            self.uris[name] = path.as_uri()
            client.open_document(path.as_uri(), content)

    def text(self, name: str) -> str:
        return self.client.documents.open[self.uris[name]].text

    async def ask(self, prompt: str, *names: str, **params: Any) -> tuple[str, str]:
        """Begin a run with buffers attached: (session, run id)."""
        run_id = fresh()
        attachments = [{"type": "buffer", "uri": self.uris[name], "version": 1} for name in names]
        params = {"prompt": prompt, "runId": run_id, "attachments": attachments, **params}
        result = await self.client.request("agent/run", params, timeout=60)
        return result["sessionId"], run_id

    async def done(self, session: str, run_id: str) -> dict[str, Any]:
        end = await self.client.until_complete(run_id, timeout=STEP_S)
        await idle(self.client, session)
        assert "embedded/" in json.dumps(self.client.events(kind="notice")), "it is the embedded model that answers"
        return end

    async def calls(self, session: str) -> list[tuple[str, dict[str, Any]]]:
        """Name and input of every call of the session."""
        read = await self.client.request("agent/session/read", {"sessionId": session})
        parts = [part for message in read["messages"] for part in message["parts"]]
        return [(part["name"], json.loads(part["input"])) for part in parts if part["type"] == "tool_call"]

    async def changes(self, session: str, action: str, *targets: Any) -> dict[str, Any]:
        params = {"sessionId": session, "action": action, "targets": list(targets) or [{"all": True}]}
        return dict(await self.client.request("agent/changes/resolve", params))


async def started(home: Path, weights: Path, name: str) -> Client:
    project = home / "project"
    project.mkdir()
    (home / "config.toml").write_text('[permissions]\nmode = "ask"\n[limits]\nretry_base_s = 0.05\n')
    install(weights, name, home / "weights")
    env = {"LSP_AGENT_CONFIG": str(home / "config.toml"), "XDG_DATA_HOME": str(home / "weights")}
    client = await Client.start(home, env=env, cwd=project)
    await client.initialize(root=project, timeout=60)
    return client


@pytest.fixture
async def editor(qwen: Path, tmp_path: Path) -> AsyncIterator[Editor]:
    client = await started(tmp_path, qwen, "qwen2.5-coder-0.5b")
    try:
        yield Editor(client, tmp_path / "project")
        check(client)
    finally:
        await client.aclose()


async def test_a_question_views_one_of_the_open_buffers_and_streams_its_answer(editor):
    session, run_id = await editor.ask("Which port does port_of use by default?", "stats.py", "cfg.py")
    end = await editor.done(session, run_id)
    assert end["stopReason"] in {"end_turn", "max_tokens"}
    ((name, arguments),) = await editor.calls(session)
    assert name == "view"
    assert arguments["file_path"] in {"stats.py", "cfg.py"}
    chunks = editor.client.events(session, "agent_message_chunk")
    assert len(chunks) > 3
    assert end["usage"]["output"] > 0
    assert "on the disk is old" not in str(editor.client.events(session)), "the buffer was viewed, not the file"


async def test_a_function_is_rewritten_allowed_accepted_and_undone(editor):
    session, run_id = await editor.ask("Add a docstring to the function mean.", "stats.py")
    asked = (await editor.client.until_event("permission_requested", session, timeout=STEP_S))["update"]
    assert asked["tool"] == "edit"
    assert editor.text("stats.py") == STATS, "nothing is changed before the answer"
    allow = next(option["optionId"] for option in asked["options"] if option["kind"] == "allow_once")
    outcome = {"type": "selected", "optionId": allow}
    await editor.client.request("agent/permission/respond", {"requestId": asked["requestId"], "outcome": outcome})
    end = await editor.done(session, run_id)
    assert end["stopReason"] == "end_turn"
    assert [name for name, _ in await editor.calls(session)] == ["view", "edit"]
    rewritten = editor.text("stats.py")
    compile(rewritten, "stats.py", "exec")
    assert rewritten != STATS
    assert rewritten.endswith(STATS[STATS.index("def spread") :]), "the other function is as it was"
    accepted = await editor.changes(session, "accept")
    assert accepted["done"]
    assert not accepted["conflicts"]
    await editor.changes(session, "undo")
    rejected = await editor.changes(session, "reject")
    assert rejected["done"]
    assert editor.text("stats.py") == STATS


async def test_a_refused_rewrite_changes_nothing_and_the_turn_ends(editor):
    session, run_id = await editor.ask("Add a docstring to the function mean.", "stats.py")
    asked = (await editor.client.until_event("permission_requested", session, timeout=STEP_S))["update"]
    refuse = next(option["optionId"] for option in asked["options"] if option["kind"] == "reject_once")
    outcome = {"type": "selected", "optionId": refuse}
    await editor.client.request("agent/permission/respond", {"requestId": asked["requestId"], "outcome": outcome})
    await editor.done(session, run_id)
    assert editor.text("stats.py") == STATS


async def test_cancelling_stops_the_model_and_the_next_run_is_answered(editor):
    session, run_id = await editor.ask("Write a very long story about a compiler.")
    await editor.client.until_event("agent_message_chunk", session, timeout=STEP_S)
    await editor.client.request("agent/cancel", {"sessionId": session})
    assert (await editor.done(session, run_id))["stopReason"] == "cancelled"
    process = next(filter(is_engine, psutil.Process(editor.client.process.pid).children(recursive=True)))
    async with asyncio.timeout(STEP_S):
        while await asyncio.to_thread(process.cpu_percent, 0.5) > 20:
            pass
    _, next_id = await editor.ask("Say hello.", sessionId=session)
    assert (await editor.done(session, next_id))["stopReason"] in {"end_turn", "max_tokens"}


async def test_the_plumbing_carries_a_tiny_model_and_nothing_outlives_the_server(smollm, tmp_path):
    client = await started(tmp_path, smollm, "smollm2-135m")
    try:
        editor = Editor(client, tmp_path / "project")
        session, run_id = await editor.ask("What is in this file?", "cfg.py", "stats.py")
        end = await editor.done(session, run_id)
        assert end["stopReason"] in {"end_turn", "max_tokens"}
        assert [name for name, _ in await editor.calls(session)] == ["view"]
        (notice,) = [
            event["update"] for event in client.events(session, "notice") if event["update"]["code"] == "model"
        ]
        assert "embedded/smollm2-135m" in notice["message"]
        assert client.process is not None
        family = psutil.Process(client.process.pid).children(recursive=True)
        assert any(map(is_engine, family))
        client.kill9()
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, 10)
        assert alive == []
    finally:
        await client.aclose()
