"""A small world for tests: the agent on a virtual clock, a disk of its own, and turns that do what the test says."""

import asyncio
import inspect
import itertools

import orjson

from lsp_agent.agent.agent import Agent
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.submission import Submission
from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.run import Outcome, RunState, StopReason
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import PutMessage, SetRunState
from tests.simulation.disk import Disk, DiskStore
from tests.simulation.loop import SimClock, SimLoop


class Connection:
    """Records what it is sent, as one line an event."""

    def __init__(self):
        self.lines = []
        self.events = []

    def notify(self, method, params, *, kind, key, session_id):
        event = orjson.loads(params)
        self.events.append(event)
        if method == "agent/runComplete":
            self.lines.append(f"{event['seq']} complete {event['runId']} {event['stopReason']}")
            return
        update = event["update"]
        name = update["sessionUpdate"]
        more = {
            "state_update": update.get("state"),
            "queue_update": " ".join(item["runId"] or "-" for item in update.get("items", ())),
            "tool_call_update": f"{update.get('toolCallId')} {update.get('status')}",
        }.get(name, update.get("messageId"))
        owner = "" if "runId" not in event else f" {event['runId']}"
        self.lines.append(f"{'' if kind == 'E' else event['seq']} {name}{owner} {more}".strip())

    def chunk(self, session_id, run_id, update_kind, key, text, seq, parent=None):
        self.lines.append(f"chunk@{seq} {run_id} {text}")

    def named(self, name):
        return [line for line in self.lines if f" {name}" in line]

    @property
    def completions(self):
        return [line.split("complete ")[1] for line in self.lines if " complete " in line]


class Inside:
    """An object whose plain methods are called on the running loop, as the server calls them."""

    def __init__(self, loop, inner):
        self._loop = loop
        self._inner = inner

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not inspect.ismethod(found) or inspect.iscoroutinefunction(found):
            return found

        def call(*arguments, **options):
            async def inside():
                return found(*arguments, **options)

            return self._loop.run_until_complete(inside())

        return call


class Stage:
    def __init__(self, disk=None, *, turn=None, sessions=("s1",), **options):
        self.loop = SimLoop(0, shuffle=False)
        self.disk = disk or Disk()
        if disk is None:
            for session_id in sessions:
                self.disk.sessions[session_id] = Session(session_id)
        self.clock = SimClock(self.loop, itertools.count(len(self.disk.runs) * 1000 + 1))
        self.store = DiskStore(self.loop, self.disk)
        self.store.waits = 1.0
        self.hub = Hub(self.store, self.clock)
        self.screen = Connection()
        self.hub.watch(self.screen)
        self.gates = {}
        self.answers = []
        self.controls = {}
        self.compactions = []
        self.next_lives = []
        self.agent = Inside(
            self.loop, Agent(self.store, self.hub, self.clock, turn or self.turn, self.compact, **options)
        )

    async def turn(self, run, control):
        """Announces itself, waits until the test releases it, and ends well."""
        self.controls[run.run_id] = control
        update = {"sessionUpdate": "user_message", "messageId": run.message_id}
        message = Message(run.message_id, run.session_id, Role.USER, [TextPart(run.prompt)], run_key=run.run_key)
        self.hub.durable(
            run.session_id, run, update, writes=[PutMessage(message), SetRunState(run.run_key, RunState.RUNNING)]
        )
        try:
            await self.gate(run.run_id)
        except asyncio.CancelledError:
            return Outcome(control.stop_reason_on_cancel())
        return Outcome(StopReason.END_TURN, text="done")

    async def compact(self, session_id):
        self.compactions.append("begins")
        try:
            await self.gate("compaction")
            self.compactions.append("ends")
        except asyncio.CancelledError:
            self.compactions.append("cancelled")

    def gate(self, name):
        return self.gates.setdefault(name, self.loop.create_future())

    def release(self, name):
        gate = self.gate(name)
        if not gate.done():
            gate.set_result(None)
        self.settle()

    def run(self, run_id=None, when_busy=None, *, session_id="s1", prompt="do it", settle=True, **more):
        submission = Submission(prompt, session_id, run_id, when_busy=when_busy, **more)
        self.agent.run(submission, self.note_answer, self.note_refusal)
        if settle:
            self.settle()
        return self.answers[-1] if self.answers else None

    def note_answer(self, answer):
        position = "" if answer.position is None else f" {answer.position}"
        self.answers.append(f"{answer.run_id} {answer.state}{position}")
        self.screen.lines.append(f"answer {answer.run_id} {answer.state}")

    def note_refusal(self, error):
        self.answers.append(f"refused {error.kind}")

    def settle(self, seconds=0.1):
        self.loop.run_until_complete(asyncio.sleep(seconds))
        assert self.loop.unhandled == []

    def do(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def crash(self):
        """The process dies now; a new one on the same disk."""
        self.loop.abandon()
        after = Stage(self.disk)
        after.next_lives = self.next_lives
        self.next_lives.append(after)
        return after

    @property
    def lane(self):
        return self.agent._conductor.find("s1")

    def messages(self):
        return [
            f"{message.role.value} {message.finish.reason.value if message.finish else '-'}"
            for message in self.disk.messages.values()
        ]
