"""PROTOCOL 2: a client says which events it wants, and gets no other, over the real process."""

from tests.guarantees.world import World, turn
from tests.harness.fake_provider import text, tool, usage


async def test_02_what_a_client_opts_out_of_is_not_sent_and_numbers_stay_whole(world: World):
    out = ["agent_message_chunk", "usage_update"]
    client = await world.start(agent={"protocolVersions": [1], "events": {"enabled": True, "optOut": out}})
    _, done = await turn(client)
    assert done["text"] == "ok"
    kinds = {event["update"]["sessionUpdate"] for event in client.events() if "update" in event}
    assert kinds.isdisjoint(out)
    assert "agent_message" in kinds


async def test_02_a_client_without_events_gets_none(world: World):
    client = await world.start(agent={"protocolVersions": [1], "events": {"enabled": False}})
    result = await client.request("agent/run", {"prompt": "hello", "runId": "quiet"})
    found = await client.request("agent/run", {"prompt": "hello", "runId": "quiet"})
    assert found["sessionId"] == result["sessionId"]
    await client.request("agent/session/read", {"sessionId": result["sessionId"]})
    assert client.events() == []


async def test_08_the_input_of_a_call_is_streamed_to_who_asked_for_it(world: World):
    for wanted in ([], ["tool_input_chunk"]):
        client = await world.start(agent={"protocolVersions": [1], "events": {"enabled": True, "optIn": wanted}})
        world.fake.push([tool("ls", {"path": "."}), usage(1, 1)], [text("done"), usage(1, 1)])
        await turn(client)
        assert bool(client.events(kind="tool_input_chunk")) is bool(wanted)
        assert await client.shutdown() == 0


async def test_05_nobody_is_asked_where_the_client_takes_no_questions(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start(agent={"protocolVersions": [1], "ui": {"permission": "none", "question": "none"}})
    asks = {"type": "yes_no", "text": "Go on?", "description": "It matters."}
    world.fake.push([tool("question", {"questions": [asks]}), usage(1, 1)], [text("alone"), usage(1, 1)])
    _, done = await turn(client)
    assert (done["text"], client.events(kind="question_requested")) == ("alone", [])
    assert "Nobody can be asked" in str(world.fake.requests[-1].body["messages"][-1])
