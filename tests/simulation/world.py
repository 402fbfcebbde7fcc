"""One schedule: a few requests at seeded moments against the real agent on a simulated loop, disk and turn."""

import asyncio
import itertools

from lsp_agent.agent.agent import Agent
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.submission import Submission
from lsp_agent.domain.errors import RequestRejected, StoreError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.run import RunState
from lsp_agent.domain.session import Session
from tests.simulation.actor import Actor
from tests.simulation.book import Book
from tests.simulation.checks import Checks
from tests.simulation.client import Joiner
from tests.simulation.disk import Disk, DiskStore
from tests.simulation.loop import SimClock, SimLoop, Stuck

OPERATIONS = (
    ("run", 10),
    ("slow", 3),
    ("broken", 1),
    ("again", 2),
    ("cancel", 4),
    ("cancel_run", 2),
    ("cancel_keep", 1),
    ("queue", 3),
    ("steer", 2),
    ("compact", 1),
    ("attach", 2),
    ("delete", 1),
    ("outage", 1),
)
_NAMES = [name for name, _ in OPERATIONS]
_WEIGHTS = list(itertools.accumulate(weight for _, weight in OPERATIONS))
FAULTS = (0.0, 0.0, 0.0, 0.02, 0.15)


class Products:
    """The classes under test; a mutant replaces one."""

    agent = Agent
    hub = Hub
    prepare = staticmethod(lambda agent: None)


class World(Checks):
    def __init__(self, seed, products=Products):
        self.seed = seed
        self.products = products
        self.book = Book()
        self.disk = Disk()
        self.ids = itertools.count(1)
        self.numbers = itertools.count(1)
        self.joiners = []
        self.deleted = set()
        self.faults = 0.0
        self.life = 0

    # ------------------------------------------------------------------ lives

    def start(self, seed):
        self.life += 1
        self.loop = SimLoop(seed)
        self.random = self.loop.random
        self.clock = SimClock(self.loop, self.ids)
        self.store = DiskStore(self.loop, self.disk, self.faults)
        self.hub = self.products.hub(self.store, self.clock)
        self.hub.watch(self.book)
        self.book.now = self.loop.time
        self.book.slack_s = 4.0
        self.actor = Actor(self.loop, self.store, self.hub, self.clock, self.book)
        self.agent = self.products.agent(self.store, self.hub, self.clock, self.actor, self.actor.compact)
        self.products.prepare(self.agent)

    def play(self):
        self.start(self.seed)
        self.faults = self.store.faults = self.random.choice(FAULTS)
        self.sessions = ["s1", "s2"][: self.random.choice((1, 1, 2))]
        for session_id in self.sessions:
            self.disk.sessions[session_id] = Session(session_id)
        ending = self.random.random()
        try:
            if ending < 0.25:
                self.crash_and_recover()
            else:
                self.loop.run_until_complete(self.first_life(shutdown=ending > 0.85))
                self.check(down=ending > 0.85)
        except Stuck as stuck:
            self.book.wrong(f"stuck: {stuck}; {list(self.agent._conductor.lanes)}")
        for context in self.loop.unhandled:
            self.book.wrong(f"unhandled: {context.get('message')} {context.get('exception')!r}")
        if not self.loop.is_closed():
            self.loop.abandon()
        return self.book.violations

    async def first_life(self, *, shutdown):
        for _ in range(self.random.choice((2, 3, 4, 5, 6))):
            self.operate()
            if self.random.random() < 0.6:
                await asyncio.sleep(self.random.random() ** 3 * 0.2)
        if shutdown:
            self.book.is_down = True
            self.book.stops()
            work = asyncio.ensure_future(self.agent.shutdown())
            for _ in range(2):
                self.run()
                await asyncio.sleep(self.random.random() * 0.02)
            await work
            await self.quiet()
        else:
            await self.quiet()

    def crash_and_recover(self):
        life = self.loop.create_task(self.first_life(shutdown=False))
        died = self.loop.create_future()
        self.loop.call_later(self.random.random() ** 2 * 0.4, lambda: died.done() or died.set_result(None))
        self.loop.run_until_complete(asyncio.wait({life, died}, return_when=asyncio.FIRST_COMPLETED))
        for context in self.loop.unhandled:
            self.book.wrong(f"unhandled: {context.get('message')} {context.get('exception')!r}")
        self.loop.abandon()
        self.faults = 0.0
        book = self.book
        book.running.clear()
        book.compacting.clear()
        if book.is_lossy:
            return
        for ticket in book.tickets:
            if ticket.answer is None and ticket.refusal is None:
                ticket.refusal = "the process died"
        self.start(self.seed + 1)
        self.loop.run_until_complete(self.second_life())
        self.check(down=False)

    async def second_life(self):
        """The editor comes back: attaches after the last event it saw, and repeats a request or two."""
        book = self.book
        for run, state, _ in self.disk.runs.values():
            ticket = next((t for t in book.tickets if t.run_id is not None and t.run_id == run.run_id), None)
            if ticket is not None:
                book.by_message.setdefault(run.message_id, ticket)
                book.answered.add(run.run_id)
            known = book.by_message.get(run.message_id)
            if known is not None and state is RunState.QUEUED:
                known.started = known.folded = known.must_cancel = False
            if known is None:
                book.by_message[run.message_id] = book.ticket(run.session_id, run.run_id, "unknown")
        await self.agent.recover()
        await self.quiet()
        for session_id in self.sessions:
            if session_id in self.disk.sessions:
                await self.attach(session_id, 0)
        await self.quiet()

    # ------------------------------------------------------------------ requests

    def operate(self):
        number = self.random.random() * _WEIGHTS[-1]
        name = next(name for name, upto in zip(_NAMES, _WEIGHTS, strict=True) if number < upto)
        getattr(self, name)()

    def session(self):
        return self.random.choice(self.sessions)

    def run(self, attachments=None, *, run_id=None, when_busy=None):
        random = self.random
        if when_busy is None:
            when_busy = random.choice(("queue", "queue", "queue", None, None, "fold", "reject", "interrupt"))
        if run_id is None and (when_busy is not None or random.random() < 0.3):
            run_id = f"r{next(self.numbers)}"
        session_id = self.session()
        effective = when_busy or ("queue" if run_id else "fold")
        if effective == "interrupt":
            self.book.reordered.add(session_id)
        ticket = self.book.ticket(session_id, run_id, effective)
        lane = self.agent._conductor.find(session_id)
        self.submit(ticket, Submission(f"prompt {ticket.number}", session_id, run_id, attachments, when_busy))
        if effective == "interrupt" and lane is not None:
            for other in self.book.tickets[: ticket.number]:
                other.covered = other.covered or other.session_id == session_id

    def submit(self, ticket, submission):
        book = self.book
        self.agent.run(submission, lambda a: book.answers(ticket, a), lambda e: book.refuses(ticket, e))

    def slow(self):
        delay = self.random.random() ** 2 * 0.3

        async def read():
            await asyncio.sleep(delay)
            return (AttachmentPart("text/plain", text="x"),)

        self.run(read)

    def broken(self):
        async def read():
            await asyncio.sleep(0.001)
            raise RequestRejected("InvalidParams", "no such file", path="attachments[0]")

        self.run(read)

    def again(self):
        known = [ticket for ticket in self.book.tickets if ticket.run_id is not None]
        if known:
            first = self.random.choice(known)
            ticket = self.book.ticket(first.session_id, first.run_id, first.when_busy)
            prompt = f"prompt {first.number}"
            self.submit(ticket, Submission(prompt, first.session_id, first.run_id, None, "queue"))

    def cancel(self, run_id=None, *, keep=False, session_id=None):
        session_id = session_id or self.session()
        lane = self.agent._conductor.find(session_id)
        queue = {item.run.message_id for item in lane.items()} if lane is not None else set()
        self.book.cancels(session_id, run_id, keep, queue)
        self.agent.cancel(session_id, run_id, drop_queue=not keep)

    def cancel_keep(self):
        self.cancel(keep=True)

    def cancel_run(self):
        known = [ticket for ticket in self.book.tickets if ticket.run_id is not None]
        if known:
            ticket = self.random.choice(known)
            self.cancel(ticket.run_id, session_id=ticket.session_id)

    def queue(self):
        session_id = max(self.sessions, key=self.agent.queued)
        items = self.agent.queue(session_id)["items"]
        if not items:
            return
        item = self.random.choice(items)["messageId"]
        op = self.random.choice(("edit", "move", "remove", "clear", "sendNow"))
        if op in ("move", "sendNow"):
            self.book.reordered.add(session_id)
        lane = self.agent._conductor.find(session_id)
        if op == "remove":
            self.book.covers(item)
        if op == "clear":
            for one in items:
                self.book.covers(one["messageId"])
        if op == "sendNow" and lane.active is not None and lane.active.run is not None:
            self.book.covers(lane.active.run.message_id)
        self.agent.queue(session_id, op, item=item, prompt="another", index=self.random.choice((0, 1, 5)))

    def steer(self):
        session_id = self.session()
        lane = self.agent._conductor.find(session_id)
        expected = (lane.active_run_id if lane is not None else None) or "nobody"
        ticket = self.book.ticket(session_id, None, "steer")
        book = self.book
        self.agent.steer(
            Submission("steered", session_id),
            expected,
            self.random.choice(("reject", "queue")),
            lambda answer: book.answers(ticket, answer),
            lambda error: book.refuses(ticket, error),
        )

    def compact(self):
        answers = []
        self.compactions = getattr(self, "compactions", [])
        self.compactions.append(answers)
        self.agent.compact(self.session(), answers.append, answers.append)

    def attach(self, session_id=None, after_seq=None):
        session_id = session_id or self.session()
        sent = self.book.seq.get(session_id, 0)
        expect = after_seq is not None
        if after_seq is None:
            after_seq = self.random.choice((0, sent, sent // 2, None))
        joiner = Joiner(self.book, session_id, after_seq, expect and not self.book.is_lossy)
        self.joiners.append(joiner)

        async def work():
            try:
                await self.agent.attach(session_id, joiner, after_seq, joiner.joined)
            except RequestRejected as error:
                if error.kind != "SessionNotFound" or session_id not in self.deleted:
                    self.book.wrong(f"attach refused: {error}")

        return asyncio.ensure_future(work())

    def delete(self):
        if self.random.random() < 0.3:
            session_id = self.session()
            self.deleted.add(session_id)
            self.book.cancels(session_id, None, False, set())
            for ticket in self.book.tickets:
                if ticket.session_id == session_id:
                    ticket.must_cancel = False

            async def work():
                try:
                    await self.agent.delete_session(session_id)
                except (RequestRejected, StoreError):
                    pass

            asyncio.ensure_future(work())  # noqa: RUF006 - the loop ends when it is quiet

    def outage(self):
        self.book.is_lossy = True
        self.store.is_broken = True

        def over():
            self.store.is_broken = False

        self.loop.call_later(self.random.choice((0.02, 1.0, 8.0)), over)

    # ------------------------------------------------------------------ the end

    def is_quiet(self):
        conductor, acceptance = self.agent._conductor, self.agent._acceptance
        return not (
            conductor._holds
            or conductor._abandoned
            or acceptance._tasks
            or not self.hub._ledger.is_quiet
            or self.hub._early
            or self.store._is_writing
            or any(channel.waiting or channel.recordings for channel in self.hub._channels.values())
        )

    async def quiet(self):
        calm, pause = 0, 0.35
        while calm < 3:
            await asyncio.sleep(pause)
            calm, pause = (calm + 1, 0.35) if self.is_quiet() else (0, min(pause * 1.5, 20))


def simulate(seed, products=Products):
    """Play one schedule; the broken promises, none when all is well."""
    return World(seed, products).play()
