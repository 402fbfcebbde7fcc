"""What is measured. Each group drives one contender's fresh processes and returns figures by name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from benchmarks.contender import Contender, World
from benchmarks.model import now_us, plan_text
from benchmarks.peer import Peer, Running

Figures = dict[str, float]
BURST = 10_000
PACED_S = 4
SESSIONS = 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


async def begun(contender: Contender, world: World, *, idle: bool = True) -> Peer:
    """A process that has answered `initialize` and, if wished, has come to rest."""
    peer = contender.start(world)
    await peer.initialize(world.project)
    peer.initialized()
    if idle:
        await peer.idle()
    return peer


async def start(contender: Contender, world: World) -> Figures:
    """Cold start; memory then and at rest; a prompt that does not wait for the rest to be loaded."""
    peer = contender.start(world)
    await peer.initialize(world.project)
    figures = {
        "start → initialize, ms": (now_us() - peer.start_us) / 1000,
        "start → initialize, CPU ms": peer.cpu_s() * 1000,
        "memory after initialize, MB": peer.pss_mb(),
    }
    peer.initialized()
    streamed = (run := await peer.turn(plan_text({}))).check()
    figures["start → first request at the model, ms"] = (run.sent_us + streamed.request_us - peer.start_us) / 1000
    await peer.close()
    peer = await begun(contender, world)
    figures["memory at rest, MB"] = peer.pss_mb()
    await peer.close()
    return figures


async def prompt(contender: Contender, world: World) -> Figures:
    """First and later prompts, first update, a tool."""
    peer = await begun(contender, world)
    run = await peer.turn(plan_text({}))
    figures = {"first prompt → request, ms": run.check().request_us / 1000}
    await peer.idle(0.2)
    later: list[float] = []
    first: list[float] = []
    at_once: list[float] = []
    for number in range(30):
        await asyncio.sleep(0.02)
        # a real model thinks before it speaks; an instant one meets the commit of the prompt it answers
        wait_ms = 20 if number % 2 else 0
        streamed = (await peer.turn(plan_text({"n": number, "think_ms": wait_ms}), run.session_id)).check()
        later.append(streamed.request_us / 1000)
        (first if wait_ms else at_once).append(streamed.first_us / 1000)
    figures["later prompts → request, ms"] = median(later)
    figures["first byte → first update, ms"] = median(first)
    figures["… of a model that answers at once, ms"] = median(at_once)
    tools: list[float] = []
    path = str(world.project / "a.py")
    for number in range(10):
        plan = {"n": number, "tool": "view", "input": {"file_path": path}}
        tool_us = (await peer.turn(plan_text(plan), run.session_id)).check().tool_us
        assert tool_us is not None
        tools.append(tool_us / 1000)
    figures["tool round trip (view), ms"] = median(tools)
    await peer.close()
    return figures


async def stream(contender: Contender, world: World) -> Figures:
    """A burst and two paces."""
    peer = await begun(contender, world)
    session = (await peer.turn(plan_text({}))).session_id
    await peer.idle()
    before_s = peer.cpu_s()
    run = await peer.turn(plan_text({"burst": BURST}), session)
    run.check()
    await asyncio.sleep(0.2)
    figures = {
        "burst of 10,000: wall, ms": (run.ended_us - run.sent_us) / 1000,
        "burst: CPU a delta, µs": (peer.cpu_s() - before_s) / BURST * 1e6,
        "memory after 10,000 deltas, MB": peer.pss_mb(),
    }
    await peer.close()
    peer = await begun(contender, world)
    session = (await peer.turn(plan_text({}))).session_id
    await peer.idle()
    before_s = peer.cpu_s()
    count = 91 * PACED_S
    (await peer.turn(plan_text({"paced": count, "per_s": 91}), session)).check()
    await asyncio.sleep(0.2)
    figures["paced 91/s: CPU a delta, µs"] = (peer.cpu_s() - before_s) / count * 1e6
    run = await peer.turn(plan_text({"paced": 100 * PACED_S, "per_s": 100}), session)
    latencies = run.check().latencies_us
    figures["100/s: added latency p50, ms"] = percentile(latencies, 0.5) / 1000
    figures["100/s: added latency p99, ms"] = percentile(latencies, 0.99) / 1000
    await peer.close()
    return figures


async def history(contender: Contender, world: World) -> Figures:
    """Prompt → request with so many earlier messages of 60 words."""
    peer = await begun(contender, world)
    session: str | None = None
    figures: Figures = {}
    sent = 0
    for size in (10, 100, 1000):
        while sent < size:
            session = (await peer.turn(plan_text({"n": sent}) + " word" * 60, session)).session_id
            sent += 2
        await peer.idle(0.2)
        taken = []
        for number in range(7):
            await asyncio.sleep(0.05)
            streamed = (await peer.turn(plan_text({"again": number}), session)).check()
            taken.append(streamed.request_us / 1000)
            sent += 2
        figures[f"dispatch, {size} messages, ms"] = median(taken)
    await peer.close()
    return figures


async def many(contender: Contender, world: World) -> Figures:
    """Fifty sessions that stream, accepting meanwhile."""
    peer = await begun(contender, world)
    sessions = [(await peer.turn(plan_text({}))).session_id for _ in range(50)]
    others = [(await peer.turn(plan_text({}))).session_id for _ in range(60)]
    await peer.idle()
    before_s, began_us = peer.cpu_s(), now_us()
    plan = plan_text({"paced": 50 * PACED_S, "per_s": 50})
    runs = [await peer.run(plan, session) for session in sessions]
    accepted = []
    await asyncio.sleep(0.5)  # fifty turns that begin at once are another question
    for session in others:
        await asyncio.sleep(0.05)
        run = await peer.run(plan_text({}), session)
        accepted.append((run.answered_us - run.sent_us) / 1000)
        runs.append(run)
    await asyncio.gather(*[peer.finish(run) for run in runs])
    latencies = [value for run in runs[:50] for value in run.check().latencies_us]
    figures = {
        "50 × 50/s: added latency p50, ms": percentile(latencies, 0.5) / 1000,
        "50 × 50/s: added latency p99, ms": percentile(latencies, 0.99) / 1000,
        "50 × 50/s: CPU s a second": (peer.cpu_s() - before_s) / ((now_us() - began_us) / 1e6),
        "accept with 50 streams p50, ms": median(accepted),
        "accept with 50 streams p99, ms": percentile(accepted, 0.99),
    }
    await peer.close()
    return figures


async def sessions(contender: Contender, world: World) -> Figures:
    """A thousand sessions, each with one finished turn."""
    peer = await begun(contender, world)
    await peer.turn(plan_text({}))
    await peer.idle()
    before_mb = peer.pss_mb()
    for _ in range(0, SESSIONS, 20):
        await asyncio.gather(*[peer.turn(plan_text({})) for _ in range(20)])
    await peer.idle()
    after_mb = peer.pss_mb()
    await peer.close()
    return {
        "memory with 1,000 sessions, MB": after_mb,
        "memory a session, kB": (after_mb - before_mb) * 1000 / SESSIONS,
    }


async def cancel(contender: Contender, world: World) -> Figures:
    """`agent/cancel` → the terminal event, while text streams and (the product) while tools run."""
    peer = await begun(contender, world)
    session = (await peer.turn(plan_text({}))).session_id
    taken = []
    for number in range(30):
        run = await peer.run(plan_text({"n": number, "hold": 1}), session)
        await run.first.wait()
        taken.append(await _cancel(peer, run))
    figures = {"cancel while streaming p50, ms": median(taken), "cancel while streaming p99, ms": max(taken)}
    if contender.is_product:
        figures |= await _cancel_tool(peer, world, session)
        figures |= await _cancel_command(peer, session, "a command runs", _SLEEPS)
        figures |= await _cancel_command(peer, session, "a command ignores TERM", _IGNORES)
    await peer.close()
    return figures


async def _cancel(peer: Peer, run: Running) -> float:
    cancelled_us = now_us()
    await peer.request("agent/cancel", {"sessionId": run.session_id})
    await peer.finish(run)
    assert run.complete["stopReason"] == "cancelled", run.complete
    return (run.ended_us - cancelled_us) / 1000


async def _cancel_tool(peer: Peer, world: World, session: str) -> Figures:
    path = world.project / "a.py"
    item = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": path.read_text()}
    peer.notify("textDocument/didOpen", {"textDocument": item})
    asked = asyncio.Event()

    def silent(message: dict[str, object]) -> object:
        if message["method"] != "workspace/applyEdit":
            return None
        asked.set()
        return NotImplemented

    peer.on_request = silent
    await peer.turn(plan_text({"tool": "view", "input": {"file_path": str(path)}}), session)
    taken = []
    for number in range(15):
        asked.clear()
        edit = {"file_path": str(path), "old_string": "value_1 = 1\n", "new_string": f"value_1 = {number + 2}\n"}
        run = await peer.run(plan_text({"n": number, "tool": "edit", "input": edit}), session)
        async with asyncio.timeout(10):
            await asked.wait()
        taken.append(await _cancel(peer, run))
    return {"cancel while a tool runs p50, ms": median(taken), "cancel while a tool runs p99, ms": max(taken)}


_SLEEPS = "echo on; sleep 60"
_IGNORES = "python3 -c 'import signal, time; signal.signal(15, 1); print(1, flush=True); time.sleep(60)'"


async def _cancel_command(peer: Peer, session: str, name: str, command: str) -> Figures:
    taken = []
    for number in range(20):
        peer.printed.clear()
        call = {"command": command, "description": "wait"}
        run = await peer.run(plan_text({"n": number, "tool": "bash", "input": call}), session)
        async with asyncio.timeout(10):
            await peer.printed.wait()
        taken.append(await _cancel(peer, run))
    return {f"cancel while {name} p50, ms": median(taken), f"cancel while {name} p99, ms": max(taken)}


GROUPS: dict[str, Callable[[Contender, World], Awaitable[Figures]]] = {
    "start": start,
    "prompt": prompt,
    "stream": stream,
    "history": history,
    "many": many,
    "sessions": sessions,
    "cancel": cancel,
}
