import time
from tests.guarantees.world import World
from tests.harness.fake_provider import text, tool, usage

async def test_whole_turn(world: World):
    world.write("a.py","x = 1\n")
    world.fake.push([text("Looking. ", deltas=2), tool("view", {"file_path": "a.py"}), usage(10, 5)], [text("Hello there", deltas=5), usage(20, 6)])
    t=time.monotonic()
    client = await world.start()
    print("start", time.monotonic()-t)
    result = await client.request("agent/run", {"runId":"r1","prompt": "hello"})
    print(result, time.monotonic()-t)
    done = await client.until_complete("r1")
    print(time.monotonic()-t)
    await client.until_event("session_info_update")
    for m in client.messages: print(m)
    status = await client.shutdown()
    assert status == 0
