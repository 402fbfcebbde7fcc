"""A turn that behaves like a real one: streams, calls tools, takes folds, fails, stalls, cleans up when cancelled."""

import asyncio

from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.domain.message import FinishPart, FinishReason, Message, Role, TextPart, ToolCallPart, ToolResultPart
from lsp_agent.domain.run import Outcome, RunError, RunState, StopReason
from lsp_agent.ports.store import PutMessage, SetRunState


class Actor:
    def __init__(self, loop, store, hub, clock, book):
        self.loop = loop
        self.store = store
        self.hub = hub
        self.clock = clock
        self.book = book

    async def __call__(self, run, control):
        self.book.turn_begins(run)
        script = Script(self, run, control)
        try:
            return await script.play()
        except asyncio.CancelledError:
            return await script.clean_up()
        finally:
            self.book.turn_ends(run)

    async def compact(self, session_id):
        self.hub.durable(session_id, None, {"sessionUpdate": "compaction_update", "status": "started"})
        status = "completed"
        self.book.compaction_begins(session_id)
        try:
            await self.pause()
            await self.pause()
        except asyncio.CancelledError:
            status = "cancelled"
        self.book.compaction_ends(session_id, status)
        self.hub.durable(session_id, None, {"sessionUpdate": "compaction_update", "status": status})

    async def pause(self):
        random = self.loop.random.random()
        await asyncio.sleep(0 if random < 0.5 else random * 0.02)


class Script:
    def __init__(self, actor, run, control):
        self.actor = actor
        self.run = run
        self.control = control
        self.hub = actor.hub
        self.random = actor.loop.random
        self.message = None
        self.open_call = None
        self.last = None

    async def play(self):
        random = self.random
        self.enter(self.run, SetRunState(self.run.run_key, RunState.RUNNING))
        self.say({"sessionUpdate": "state_update", "state": "running"})
        for _ in range(random.choice((1, 1, 2, 3))):
            for fold in self.control.take_folds():
                self.actor.book.folded(fold, self.run)
                self.enter(fold)
            await self.actor.pause()
            await self.step()
            chance = random.random()
            if chance < 0.06:
                raise ProviderError("Provider", "title", "the provider failed")
            if chance < 0.09:
                raise RuntimeError("a bug in the turn")
            if chance < 0.12:
                return Outcome(StopReason.ERROR, self.last, error=RunError("Timeout", "t", "m"))
            if chance < 0.14:
                raise StoreError("the turn could not read")
        return Outcome(StopReason.END_TURN, self.last, "text")

    def enter(self, run, *writes):
        message = Message(run.message_id, run.session_id, Role.USER, [TextPart(run.prompt)], run_key=self.run.run_key)
        update = {"sessionUpdate": "user_message", "messageId": run.message_id, "content": [], "attachments": []}
        self.say(update, PutMessage(message), *writes)

    async def step(self):
        random = self.random
        message = self.message = Message(
            self.actor.clock.new_id(), self.run.session_id, Role.ASSISTANT, [TextPart("")], run_key=self.run.run_key
        )
        self.last = message.message_id
        for _ in range(random.choice((0, 1, 2))):
            text = random.choice("abcdefgh")
            message.parts[0].text += text
            self.actor.book.chunk_issued(message.message_id, self.hub._channels[self.run.session_id].assigned)
            self.hub.chunk(self.run.session_id, self.run, "agent_message_chunk", message.message_id, text)
            await self.actor.pause()
        if random.random() < 0.05:
            await asyncio.sleep(200)
        tool = random.random() < 0.3
        if tool:
            self.open_call = "t" + self.actor.clock.new_id()
            message.parts.append(ToolCallPart(self.open_call, "edit", "{}", finished=True))
            self.tool("in_progress")
        self.end_message(FinishReason.TOOL_USE if tool else FinishReason.END_TURN)
        if tool:
            await self.actor.pause()
            self.end_tool("completed")

    def end_message(self, reason):
        message, self.message = self.message, None
        message.set_finish(FinishPart(reason))
        text = message.text
        content = [{"type": "text", "text": text}] if text else []
        update = {"sessionUpdate": "agent_message", "messageId": message.message_id, "content": content}
        self.say(update, PutMessage(message))

    def tool(self, status, *writes):
        update = {"sessionUpdate": "tool_call_update", "toolCallId": self.open_call, "status": status}
        self.say(update, *writes)

    def end_tool(self, status):
        result = Message(
            self.actor.clock.new_id(),
            self.run.session_id,
            Role.TOOL,
            [ToolResultPart(self.open_call, "edit", status)],
            run_key=self.run.run_key,
        )
        self.tool(status, PutMessage(result))
        self.open_call = None

    def say(self, update, *writes):
        self.hub.durable(self.run.session_id, self.run, update, writes=writes)

    async def clean_up(self):
        reason = self.control.stop_reason_on_cancel()
        if self.random.random() < 0.04:
            self.actor.book.is_stuck(self.run)
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                await asyncio.sleep(self.random.random() * 3)
            self.say({"sessionUpdate": "notice", "level": "info", "code": "late", "message": ""})
            self.hub.chunk(self.run.session_id, self.run, "agent_message_chunk", "late", "late")
        elif self.random.random() < 0.5:
            await asyncio.sleep(self.random.random() * 0.05)
        if self.last is None:
            self.message = Message(self.actor.clock.new_id(), self.run.session_id, Role.ASSISTANT, [TextPart("")])
        if self.message is not None:
            self.end_message(FinishReason.CANCELED)
        if self.open_call is not None:
            self.end_tool("cancelled")
        return Outcome(reason, self.last)
