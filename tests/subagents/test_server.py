"""Sub-agents and questions over the real server: what a client sees, cancels, answers, and finds after a crash."""

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.checks import check
from tests.guarantees.world import World, fresh
from tests.harness.client import Client, Failed
from tests.harness.fake_provider import FakeProvider
from tests.subagents.bench import call, paid, say, turn

pytestmark = pytest.mark.process


class Scripted:
    """Servers whose model plays one script; every session, a child's too, plays it from the start."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.holds = world.home / "data" / "holds"

    async def start(self, *script: dict[str, Any], **how: Any) -> Client:
        path = self.world.home / "script.json"
        path.write_text(json.dumps({"turn": list(script)}))
        self.world.config.write_text(
            '[models]\nlarge = "play/large"\n[providers.play]\ntype = "scripted"\n'
            f'script = "{path}"\n[[providers.play.models]]\nid = "large"\ncontext_window = 200000\n'
            "input_usd_per_mtok = 1.0\n"
        )
        return await self.world.start(**how)

    def database(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(f"file:{self.world.home / 'data' / 'lsp-agent.db'}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Scripted]:
    project = tmp_path / "project"
    project.mkdir()
    async with FakeProvider() as fake:
        world = World(tmp_path, project, fake)
        try:
            yield Scripted(world)
            for client in world.clients:
                check(client)
        finally:
            await world.close()


async def begin(client: Client, prompt: str = "start") -> tuple[str, str]:
    run_id = fresh()
    result = await client.request("agent/run", {"prompt": prompt, "runId": run_id})
    return result["sessionId"], run_id


def said(text: str) -> Any:
    """A chunk of an answer with this text has come."""

    def fits(message: dict[str, Any]) -> bool:
        update = (message.get("params") or {}).get("update") or {}
        return update.get("sessionUpdate") == "agent_message_chunk" and text in update["content"]["text"]

    return fits


def children(client: Client) -> list[str]:
    return list(dict.fromkeys(event["sessionId"] for event in client.events() if "$$" in event["sessionId"]))


def ends(client: Client) -> list[tuple[bool, str]]:
    """(of a child, stop reason) of every terminal event."""
    return [("$$" in event["sessionId"], event["stopReason"]) for event in client.events() if "stopReason" in event]


async def test_two_sub_agents_run_beside_each_other_with_events_of_their_own(scripted):
    client = await scripted.start(
        turn(paid(), call("agent", "t1", prompt="task one"), call("agent", "t2", prompt="task two"), when="start"),
        turn(paid(2), call("ls", path="."), when="task", after="user"),
        turn(paid(3), say("found"), when="task", after="tool"),
        turn(paid(), say("both are back"), after="tool"),
    )
    session, run_id = await begin(client)
    end = await client.until_complete(run_id)
    assert end["text"] == "both are back"
    assert end["usage"]["costUsd"] == pytest.approx(0.012)
    assert ends(client) == [(True, "end_turn"), (True, "end_turn"), (False, "end_turn")]
    for child in children(client):
        events = client.events(child)
        parents = {event["parent"]["toolCallId"] for event in events if "update" in event}
        assert parents == {child.partition("$$")[2]}
        assert events[0]["parent"]["sessionId"] == session
    listed = await client.request("agent/session/list")
    assert [item["sessionId"] for item in listed["sessions"]] == [session]
    assert listed["sessions"][0]["costUsd"] == pytest.approx(0.012)
    info = await client.request("agent/session/get", {"sessionId": children(client)[0]})
    assert (info["parentSessionId"], info["title"]) == (session, "New Agent Session")
    for method, more in (
        ("agent/run", {"prompt": "go on"}),
        ("agent/steer", {"prompt": "x", "expectedRunId": "r"}),
        ("agent/session/configure", {"optionId": "mode", "value": "full-auto"}),
        ("agent/session/compact", {}),
        ("agent/session/delete", {}),
    ):
        with pytest.raises(Failed) as refused:
            await client.request(method, {"sessionId": children(client)[0], **more})
        assert refused.value.kind == "SessionNotFound"


async def test_a_cancel_reaches_the_children_and_everything_ends_once(scripted):
    client = await scripted.start(
        turn(call("agent", "t1", prompt="hang"), call("agent", "t2", prompt="hang"), when="start"),
        turn(paid(7), say("half"), {"stall": 600}, when="hang"),
    )
    session, run_id = await begin(client)
    await client.until(lambda _: sum(1 for message in client.messages if said("half")(message)) == 2)
    await client.request("agent/cancel", {"sessionId": session})
    assert (await client.until_complete(run_id))["cancelled"]
    assert ends(client) == [(True, "cancelled"), (True, "cancelled"), (False, "cancelled")]
    listed = await client.request("agent/session/list")
    assert listed["sessions"][0]["costUsd"] == pytest.approx(0.014)
    assert (await client.request("agent/status"))["busy"] is False


async def test_after_a_kill_no_child_is_active_and_the_call_has_a_result(scripted):
    script = [
        turn(call("agent", "t1", prompt="hang"), when="start"),
        turn(paid(7), say("half"), {"stall": 600}, when="hang"),
        turn(say("alive"), when="again"),
    ]
    first = await scripted.start(*script)
    session, run_id = await begin(first)
    await first.until(said("half"))
    [child] = children(first)
    first.kill9()
    await first.wait_exit()
    second = await scripted.start(*script, agent={"protocolVersions": [1], "events": {"enabled": True}})
    await second.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert (await second.until_complete(run_id))["stopReason"] == "interrupted"
    rows = scripted.database("SELECT session_id, state, stop_reason FROM runs ORDER BY session_id = '" + session + "'")
    assert rows == [(child, "done", "interrupted"), (session, "done", "interrupted")]
    messages = (await second.request("agent/session/read", {"sessionId": session}))["messages"]
    [result] = [part for message in messages for part in message["parts"] if part["type"] == "tool_result"]
    assert (result["toolCallId"], result["isError"]) == ("t1", True)
    await second.request("agent/session/attach", {"sessionId": child, "afterSeq": 0})
    end = await second.until(lambda m: m.get("method") == "agent/runComplete" and m["params"]["sessionId"] == child)
    assert end["params"]["stopReason"] == "interrupted"
    again = fresh()
    await second.request("agent/run", {"sessionId": session, "prompt": "again", "runId": again})
    assert (await second.until_complete(again))["text"] == "alive"


async def test_two_questions_are_answered_in_reverse_order(scripted):
    client = await scripted.start(
        turn(
            call("question", "t1", questions=[{"type": "yes_no", "text": "One?", "description": "d"}]),
            call("question", "t2", questions=[{"type": "free_text", "text": "Two?", "description": "d"}]),
            when="start",
        ),
        turn(say("thanks"), after="tool"),
    )
    session, run_id = await begin(client)
    await client.until(lambda _: len(client.events(session, "question_requested")) == 2)
    one, two = [event["update"] for event in client.events(session, "question_requested")]
    attached = await client.request("agent/session/attach", {"sessionId": session})
    assert [record["message"] for record in attached["pending"]["questions"]] == ["One?", "Two?"]
    for record, content in ((two, {"answer": "words"}), (one, {"answer": True})):
        answer = {"requestId": record["requestId"], "action": "accept", "content": content}
        assert await client.request("agent/question/respond", answer) == {"accepted": True}
        late = await client.request("agent/question/respond", answer)
        assert (late["accepted"], late["outcome"]) == (False, "accept")
    await client.until_complete(run_id)
    messages = (await client.request("agent/session/read", {"sessionId": session}))["messages"]
    results = {
        part["toolCallId"]: part["content"]
        for message in messages
        for part in message["parts"]
        if part["type"] == "tool_result"
    }
    assert results == {"t1": "The user answered: yes", "t2": "In the user's own words: words"}


async def test_an_editor_without_a_plugin_is_asked_by_prompts_one_at_a_time(scripted):
    shown: list[dict[str, Any]] = []

    def answer(params: dict[str, Any]) -> Any:
        shown.append(params)
        wanted = {"Agent asks (1/2): One?": "No", "Agent asks (2/2): Two?": "Green"}
        title = wanted.get(params["message"].splitlines()[0])
        return {"title": title} if title else None

    client = await scripted.start(
        turn(
            call(
                "question",
                "t1",
                questions=[
                    {"type": "yes_no", "text": "One?", "description": "d"},
                    {
                        "type": "single_choice",
                        "text": "Two?",
                        "description": "d",
                        "choices": [{"id": "r", "label": "Red"}, {"id": "g", "label": "Green"}],
                    },
                ],
            ),
            when="start",
        ),
        turn(say("{{tool_result}}"), after="tool"),
        agent={"protocolVersions": [1], "events": {"enabled": True}, "ui": {"question": "showMessage"}},
    )
    client.handlers["window/showMessageRequest"] = answer
    _, run_id = await begin(client)
    end = await client.until_complete(run_id)
    assert "The user answered: no" in end["text"]
    assert 'The user chose: ["g"]' in end["text"]
    assert [action["title"] for action in shown[0]["actions"]] == ["Yes", "No", "Skip"]


async def test_a_client_that_takes_no_questions_is_asked_none(scripted):
    client = await scripted.start(
        turn(call("question", "t1", questions=[{"type": "yes_no", "text": "?", "description": "d"}]), when="start"),
        turn(say("{{tool_result}}"), after="tool"),
        agent={"protocolVersions": [1], "ui": {"question": "none"}},
    )
    _, run_id = await begin(client)
    assert (await client.until_complete(run_id))["text"].startswith("Nobody can be asked")
