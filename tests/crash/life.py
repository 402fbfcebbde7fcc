"""One life of a server: a client that works it hard until it is killed, or the last one, which lets everything end."""

import asyncio
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.crash.oracle import Submitted
from tests.crash.world import FILES, World
from tests.harness.client import Client, Failed
from tests.harness.record import Gone

KINDS = ("write", "write", "write", "talk", "talk", "ask", "grep", "stall", "fail", "quick")
SESSIONS = 3
END_S = 30.0


@dataclass(frozen=True)
class Death:
    """How a life ends: after a number of frames or at a crash point (`name:n`), or else when its time has come.

    The time counts from when the client has found its sessions again, or from the start of the process.
    """

    after_s: float
    after_frames: int | None = None
    crash_at: str | None = None
    from_start: bool = False


class Life:
    """The client of one server. Tells the oracle everything, in the order it was heard."""

    def __init__(self, world: World, client: Client, chance: random.Random) -> None:
        self._world = world
        self._oracle = world.oracle
        self._client = client
        self._chance = chance
        self._answers: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._heard = 0

    def listen(self) -> None:
        """Hand over what has arrived since the last call."""
        while self._heard < len(self._client.recorded):
            message = self._client.recorded[self._heard].message
            self._heard += 1
            if message.get("method") in ("agent/event", "agent/runComplete"):
                self._oracle.event(message["method"], message["params"])
            elif "result" in message and message.get("id") in self._answers:
                self._answers.pop(message["id"])(message["result"])

    async def _ask(self, method: str, params: dict[str, Any], heard: Callable[[dict[str, Any]], None]) -> Any:
        request_id, future = self._client.begin(method, params)
        self._answers[request_id] = heard
        async with asyncio.timeout(END_S):
            return await future

    async def begin(self) -> None:
        """Introduce ourselves and go on where the last life ended."""
        agent = {"protocolVersions": [1], "events": {"enabled": True}, "ui": {"permission": "event"}}
        await self._client.initialize(agent=agent, root=self._world.project)
        for session_id in self._oracle.sessions:
            after_seq = self._chance.choice([0, self._oracle.last_seq(session_id)])
            await self.attach(session_id, after_seq)

    async def attach(self, session_id: str, after_seq: int) -> None:
        def heard(result: dict[str, Any]) -> None:
            self._oracle.attached(session_id, after_seq, result)

        await self._ask("agent/session/attach", {"sessionId": session_id, "afterSeq": after_seq}, heard)

    async def submit(self, item: Submitted, **more: Any) -> None:
        """`agent/run`, for the first time or again."""
        params = {"prompt": item.prompt, "options": {"title": "T"}, **more}
        if item.run_id is not None:
            params["runId"] = item.run_id
        if item.session_id is not None and not item.was_new:
            params["sessionId"] = item.session_id
        await self._ask("agent/run", params, lambda result: self._oracle.answered(item, result))

    # ---------------------------------------------------------------------------------------------- at work

    async def work(self) -> None:
        """Random requests until the server is gone."""
        while True:
            self.listen()
            await self._something()
            await asyncio.sleep(self._chance.choice([0, 0.001, 0.01, 0.03]))

    async def _something(self) -> None:
        chance = self._chance
        draw = chance.random()
        pending = [item for item in self._oracle.submitted if not item.acknowledged and item.run_id is not None]
        acknowledged = [item for item in self._oracle.submitted if item.acknowledged and item.run_id is not None]
        sessions = self._oracle.sessions
        if pending and draw < 0.5:
            await self.submit(pending[0])
        elif self._oracle.waiting_permissions and draw < 0.6:
            await self.answer_permission(chance.choice(["allow_once", "allow_session", "reject_once"]))
        elif acknowledged and draw < 0.66:
            await self.submit(chance.choice(acknowledged))
        elif acknowledged and draw < 0.74:
            item = chance.choice(acknowledged[-6:])
            params = {"sessionId": item.session_id} | ({"runId": item.run_id} if chance.random() < 0.7 else {})
            await self._client.request("agent/cancel", params)
        elif len(sessions) < SESSIONS and not pending:
            await self._new(None)
        elif sessions:
            await self._new(chance.choice(sessions))

    async def _new(self, session_id: str | None) -> None:
        chance = self._chance
        kind = chance.choice(KINDS)
        target = f" f{chance.randrange(FILES)}" if kind == "write" else ""
        named = session_id is None or chance.random() < 0.8
        ident = uuid.UUID(int=chance.getrandbits(128)).hex
        item = Submitted(f"{kind}{target} {ident}", ident if named else None, session_id, was_new=session_id is None)
        self._oracle.submitted.append(item)
        how = {"whenBusy": "interrupt"} if named and session_id is not None and chance.random() < 0.15 else {}
        await self.submit(item, **how)

    async def answer_permission(self, kind: str) -> None:
        request_id = next(iter(self._oracle.waiting_permissions))
        outcome = {"type": "selected", "optionId": kind}
        await self._client.request("agent/permission/respond", {"requestId": request_id, "outcome": outcome})

    # ---------------------------------------------------------------------------------------------- the last one

    async def settle(self) -> None:
        """No kill: retry everything, let everything end, compare with what is stored."""
        await self.begin()
        for item in self._oracle.submitted:
            if item.run_id is not None:
                await self.submit(item)
        self.listen()
        for session_id in self._oracle.sessions:  # sessions a retry has only now told us of
            await self.attach(session_id, 0)
        async with asyncio.timeout(END_S):
            while not self._ended():
                await self._push()
        for session_id in self._oracle.sessions:
            await self._idle(session_id)
            await self._conversation(session_id)
        self.listen()

    def _ended(self) -> bool:
        self.listen()
        named = [item for item in self._oracle.submitted if item.run_id is not None]
        return all(item.run_id in self._oracle.completions for item in named)

    async def _push(self) -> None:
        """Cancel what would wait for ever, answer what is asked."""
        for item in self._oracle.submitted:
            if item.prompt.startswith("stall") and item.run_id and item.run_id not in self._oracle.completions:
                await self._client.request("agent/cancel", {"sessionId": item.session_id, "runId": item.run_id})
        for session_id in self._stalled_without_id():
            await self._client.request("agent/cancel", {"sessionId": session_id, "queue": "keep"})
        if self._oracle.waiting_permissions:
            await self.answer_permission("allow_once")
        await asyncio.sleep(0.01)

    def _stalled_without_id(self) -> list[str]:
        """Sessions in which a prompt without an id waits for ever, with others behind it."""
        last: dict[str, str] = {}
        for record in self._client.recorded:
            params = record.message.get("params") or {}
            update = params.get("update") or {}
            if record.message.get("method") == "agent/runComplete":
                last[params["sessionId"]] = ""
            elif update.get("sessionUpdate") == "user_message" and params["runId"] is None and update["content"]:
                last[params["sessionId"]] = update["content"][0]["text"]
        return [session_id for session_id, prompt in last.items() if prompt.startswith("stall")]

    async def _idle(self, session_id: str) -> None:
        """Prompts without an id have no end of their own to wait for."""
        async with asyncio.timeout(END_S):
            while (await self._client.request("agent/status", {"sessionId": session_id}))["busy"]:
                self.listen()
                if self._oracle.waiting_permissions:
                    await self.answer_permission("allow_once")
                if any(item.run_id is None and item.prompt.startswith("stall") for item in self._oracle.submitted):
                    await self._client.request("agent/cancel", {"sessionId": session_id})
                await asyncio.sleep(0.01)
        self.listen()

    async def _conversation(self, session_id: str) -> None:
        """Every acknowledged prompt is in the conversation once; every call has a result; every message is finished."""
        messages, cursor = [], None
        while True:
            params = {"sessionId": session_id, "limit": 500} | ({"cursor": cursor} if cursor else {})
            page = await self._client.request("agent/session/read", params)
            messages += page["messages"]
            if not (cursor := page.get("nextCursor")):
                break
        ids = [message["messageId"] for message in messages]
        texts = ["".join(part.get("text", "") for part in message["parts"]) for message in messages]
        for item in self._oracle.submitted:
            if item.session_id != session_id:
                continue
            if item.acknowledged and ids.count(item.message_id) != 1:
                self._oracle.fault(f"prompt {item.prompt!r} is {ids.count(item.message_id)} times in its conversation")
            users = [
                t for m, t in zip(messages, texts, strict=True) if m["role"] == "user" and t.startswith(item.prompt)
            ]
            if len(users) > 1:
                self._oracle.fault(f"prompt {item.prompt!r} was accepted {len(users)} times")
        results = {p["toolCallId"] for m in messages for p in m["parts"] if p["type"] == "tool_result"}
        for message in messages:
            if message["role"] == "assistant" and not message.get("finish"):
                self._oracle.fault(f"message {message['messageId']} is not finished")
            for part in message["parts"]:
                if part["type"] == "tool_call" and part["toolCallId"] not in results:
                    self._oracle.fault(f"tool call {part['toolCallId']} has no result")


async def live(world: World, death: Death, chance: random.Random) -> bool:
    """Start, work, die, look. Returns whether it died of its crash point."""
    client = await world.start(death.crash_at)
    try:
        life = Life(world, client, chance)

        ready = asyncio.Event()

        async def work() -> None:
            await life.begin()
            ready.set()
            await life.work()

        working = asyncio.create_task(work())
        died_by_itself = await _dies(client, working, ready, death)
        try:
            await working
        except (asyncio.CancelledError, Gone):
            pass  # the end that was wanted
        except Failed as error:
            world.oracle.fault(f"refused: {error}")
        life.listen()
        _look_at(world, client)
    finally:
        await client.aclose()
    world.judge_between(killed=True)
    return died_by_itself


async def _dies(client: Client, working: "asyncio.Task[None]", ready: asyncio.Event, death: Death) -> bool:
    """Kill it in time, unless it was quicker (True); returns when its end of the pipe is closed and read empty."""
    frames = 0

    def enough(_: dict[str, Any]) -> bool:
        nonlocal frames
        frames += 1
        return death.after_frames is not None and frames >= death.after_frames

    if not death.from_start:
        began = [asyncio.create_task(ready.wait()), asyncio.create_task(client.eof.wait())]
        await asyncio.wait(began, timeout=END_S, return_when=asyncio.FIRST_COMPLETED)
        for task in began:
            task.cancel()
    try:
        async with asyncio.timeout(death.after_s):
            await client.until(enough, timeout=60)
    except (TimeoutError, Gone):
        pass  # its time has come, or the crash point was quicker
    was_quicker = client.eof.is_set()
    client.kill9()
    working.cancel()
    async with asyncio.timeout(10):
        await client.eof.wait()
    return was_quicker


async def last_life(world: World, chance: random.Random) -> None:
    """The one that is not killed."""
    client = await world.start(None)
    try:
        life = Life(world, client, chance)
        try:
            await life.settle()
            status = await client.shutdown()
            if status:
                world.oracle.fault(f"exit status {status} after shutdown")
        except (Failed, Gone, TimeoutError) as error:
            world.oracle.fault(f"the last life: {type(error).__name__}: {error}")
        life.listen()
        _look_at(world, client)
    finally:
        await client.aclose()
    world.oracle.judge_end()
    world.judge_between(killed=False)


def _look_at(world: World, client: Client) -> None:
    if client.framing_error is not None:
        world.oracle.fault(f"framing: {client.framing_error}")
    if "Traceback" in client.stderr:
        world.oracle.fault(f"traceback: …{client.stderr[-600:]}")
    for message in client.messages:
        if message.get("method") == "window/showMessage" and message["params"]["type"] == 1:
            world.oracle.fault(f"said at the start: {message['params']['message']}")
