"""The event hub: numbers what happens, has it stored, and sends it to whoever listens, in order.

Durable and terminal events leave after their commit; chunks and ephemeral values leave at once, or behind what waits.
A write the store refuses is tried again in its place, everything behind it holds; when the store stays broken the event
is sent all the same and written as soon as the store works again, so that no client ever misses the end of a run.

Knows no turn and no lane; a failure is reported to one hook.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from lsp_agent.agent import attaching, envelope, run_updates
from lsp_agent.agent.channel import Channel, Item
from lsp_agent.agent.ledger import Ledger
from lsp_agent.domain.errors import RequestRejected, StoreError
from lsp_agent.domain.run import Outcome, Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import EventListener, Subscriber, Update
from lsp_agent.ports.store import AppendEvent, Store, Write

_log = logging.getLogger(__name__)

LATE_UPDATES = ("session_info_update", "notice", "usage_update")
"""What may still be said, without its run id, when the run that says it has ended."""


class Hub:
    """Implements `ports.events.Events`, and the other side: connections that subscribe, attach and leave."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._channels: dict[str, Channel] = {}
        self._early: dict[str, list[Callable[[], object]]] = {}
        """Calls for sessions whose last number is still being read."""
        self._parents: dict[str, dict[str, str]] = {}
        self._watchers: dict[int, Subscriber] = {}
        self._listeners: list[EventListener] = []
        self._ledger = Ledger(store, clock, self._flow)

    def on_failure(self, hook: Callable[[str, str | None], None]) -> None:
        """`hook(session_id, run_key)` is called when the store refused a durable event for good. Never waits."""
        self._ledger.on_failure = hook

    # ------------------------------------------------------------------------------------------------ Events

    def durable(self, session_id: str, run: Run | None, update: Update, *, writes: Sequence[Write] = ()) -> int:
        channel = self._channels.get(session_id)
        if channel is None:
            self._later(session_id, lambda: self.durable(session_id, run, update, writes=writes))
            return 0
        if run is not None and run.run_key in channel.ended:
            if update["sessionUpdate"] not in LATE_UPDATES:
                if writes:
                    _ = self._store.write(writes)
                return channel.assigned
            run = None
        if run is not None and update["sessionUpdate"] == "tool_call_update":
            channel.note_call(run.run_key, update)
        seq = channel.next_seq()
        payload = envelope.event(
            session_id,
            run.run_id if run is not None else None,
            seq,
            update,
            has_run=run is not None,
            parent=self._parents.get(session_id),
        )
        log = AppendEvent(session_id, seq, payload)
        self._ledger.issue(channel, _item("D", run, update, seq, payload, (*writes, log)))
        return seq

    def everyone(self, update: Update) -> None:
        """Something of the workspace: told in every session that somebody listens to."""
        for session_id in [key for key, channel in self._channels.items() if channel.subscribers]:
            self.durable(session_id, None, update)

    def chunk(self, session_id: str, run: Run | None, kind: str, key: str, text: str) -> None:
        channel = self._channels.get(session_id)
        if channel is None:
            self._later(session_id, lambda: self.chunk(session_id, run, kind, key, text))
            return
        run_key, run_id = (run.run_key, run.run_id) if run is not None else (None, None)
        if run_key is not None and run_key in channel.ended:
            return
        if channel.waiting:
            last = channel.waiting[-1]
            if last.kind == "C" and last.key == key and last.name == kind:
                last.pieces.append(text)
            else:
                channel.waiting.append(Item("C", run_key, run_id, kind, key, pieces=[text], ready=True))
            return
        channel.note_text(kind, key, run_key, run_id, [text])
        self._send_chunk(channel, self._receivers(channel), run_id, kind, key, text)

    def ephemeral(self, session_id: str, run: Run | None, update: Update) -> None:
        channel = self._channels.get(session_id)
        if channel is None:
            self._later(session_id, lambda: self.ephemeral(session_id, run, update))
            return
        if run is not None and run.run_key in channel.ended:
            run = None
        channel.waiting.append(_item("E", run, update, 0, b"", (), ready=True))
        self._flow(channel)

    def complete(self, run: Run, outcome: Outcome, *, writes: Sequence[Write] = ()) -> int:
        channel = self._channels.get(run.session_id)
        if channel is None:
            self._later(run.session_id, lambda: self.complete(run, outcome, writes=writes))
            return 0
        for call_id in channel.calls_left_open(run.run_key):
            # only a turn that was abandoned or has a bug leaves one open (PROTOCOL 10.5)
            update = {"sessionUpdate": "tool_call_update", "toolCallId": call_id, "status": "cancelled"}
            self.durable(run.session_id, run, update)
        channel.ended.append(run.run_key)
        seq = channel.next_seq()
        params = run_updates.run_complete(run, outcome, seq)
        payload = envelope.encode(params)
        log = AppendEvent(run.session_id, seq, payload, terminal_of=run.run_key, stop_reason=outcome.stop_reason.value)
        update = {"sessionUpdate": "run_complete", **params}
        self._ledger.issue(channel, _item("T", run, update, seq, payload, (*writes, log)))
        return seq

    # ------------------------------------------------------------------------------------------------ who listens

    def open(self, session_id: str, seq: int) -> None:
        """The session exists and its last number is `seq`. The first call for a session wins."""
        if session_id in self._channels:
            return
        self._channels[session_id] = Channel(session_id, seq)
        for call in self._early.pop(session_id, ()):
            call()

    async def load(self, session_id: str) -> Channel:
        """Open a session from the store. Raises: RequestRejected SessionNotFound, StoreError."""
        if session_id not in self._channels:
            session = await self._store.session(session_id)
            if session is None:
                raise RequestRejected("SessionNotFound", "no such session", id=session_id)
            if session.parent_session_id is not None:
                self.adopt(session_id, session.parent_session_id, session.parent_tool_call_id or "")
            self.open(session_id, session.seq)
        return self._channels[session_id]

    def seq(self, session_id: str) -> int:
        """Number of the last durable event sent; 0 for a session not opened yet."""
        channel = self._channels.get(session_id)
        return channel.sent if channel is not None else 0

    def subscribe(self, session_id: str, subscriber: Subscriber) -> None:
        """From now on, and with the text that is streaming right now. Twice is once; a no-op for a session that
        is not open (deleted meanwhile).

        A subscriber that is attaching right now is left alone: attaching ends in a subscription.
        """
        channel = self._channels.get(session_id)
        if channel is None:
            return
        if id(subscriber) not in channel.subscribers and id(subscriber) not in channel.attaching:
            channel.subscribers[id(subscriber)] = subscriber
            self._catch_up(channel, subscriber)
            for child in self.children(session_id):
                below = self._channels.get(child)
                if below is not None and id(subscriber) not in below.subscribers:
                    self._catch_up_text(below, subscriber)

    def listens(self, session_id: str, subscriber: Subscriber) -> bool:
        """Whether this connection receives the session's events, directly or through a parent session."""
        while True:
            channel = self._channels.get(session_id)
            if channel is not None and id(subscriber) in channel.subscribers:
                return True
            parent = self._parents.get(session_id)
            if parent is None:
                return False
            session_id = parent["sessionId"]

    def unsubscribe(self, session_id: str, subscriber: Subscriber) -> None:
        """No more events of this session. A no-op when there was no subscription."""
        channel = self._channels.get(session_id)
        if channel is not None:
            channel.subscribers.pop(id(subscriber), None)
            channel.attaching.pop(id(subscriber), None)

    def drop(self, subscriber: Subscriber) -> None:
        """The connection is gone."""
        self._watchers.pop(id(subscriber), None)
        for channel in self._channels.values():
            channel.subscribers.pop(id(subscriber), None)
            channel.attaching.pop(id(subscriber), None)

    def watch(self, subscriber: Subscriber) -> None:
        """Every event of every session, until `drop`: for the command line and tests."""
        self._watchers[id(subscriber)] = subscriber

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener(session_id, update)` for every D and E event sent, and for a terminal one as `run_complete`.

        Returns the function that ends it. The listener must not wait; what it raises is logged.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def adopt(self, session_id: str, parent_session_id: str, tool_call_id: str) -> None:
        """Events of this sub-agent's session also go to those who listen to its parent."""
        self._parents[session_id] = {"sessionId": parent_session_id, "toolCallId": tool_call_id}

    def children(self, session_id: str) -> list[str]:
        """The sub-agents' sessions this process knows of a session, oldest first."""
        return [child for child, parent in self._parents.items() if parent["sessionId"] == session_id]

    async def attach(
        self,
        session_id: str,
        subscriber: Subscriber,
        after_seq: int | None,
        answer: Callable[[attaching.Point], None],
        snapshot: attaching.Snapshot | None = None,
    ) -> None:
        """Answer, then send what came after `after_seq`, then everything live: no gap, no duplicate (PROTOCOL 10.8).

        Raises: RequestRejected SessionNotFound, StoreError; then `answer` was not called.
        """
        channel = await self.load(session_id)
        me = id(subscriber)
        was_there = channel.subscribers.pop(me, None) is not None
        channel.attaching[me] = channel.attaching.get(me, 0) + 1
        recording: list[Item] = []
        channel.recordings.append(recording)
        reached, joined = 0, was_there
        try:
            point = await attaching.read(self._store, channel, after_seq, snapshot)
            answer(point)
            reached, joined = point.replayed_to, True
            for method, payload in point.replay:
                subscriber.notify(method, payload, kind="D", key="", session_id=session_id)
        finally:
            # no await from the answer to the subscription
            channel.recordings = [other for other in channel.recordings if other is not recording]
            if channel.stop_attaching(me) and joined:
                for item in recording:
                    if item.seq > reached:
                        subscriber.notify(_method(item), item.payload, kind="D", key="", session_id=session_id)
                channel.subscribers.pop(me, None)
                self.subscribe(session_id, subscriber)

    def forget(self, session_id: str) -> None:
        """The session is deleted: nothing of it and of its sub-agents is sent any more."""
        for child in self.children(session_id):
            self.forget(child)
        channel = self._channels.pop(session_id, None)
        if channel is not None:
            channel.is_gone = True
        self._parents.pop(session_id, None)

    async def settle(self) -> None:
        """Wait until everything issued so far has left. Bounded by the caller."""
        while not self._ledger.is_quiet or any(channel.waiting for channel in self._channels.values()):
            await self._ledger.quiet()
            await self._store.flush()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop trying to write what the store refuses. May be called twice."""
        await self._ledger.close()

    # ------------------------------------------------------------------------------------------------ sending

    def _flow(self, channel: Channel) -> None:
        for item in channel.take_ready():
            channel.note_sent(item)
            for receiver in self._receivers(channel):
                self._send(channel, receiver, item)
            if item.kind != "C":
                self._tell_listeners(channel.session_id, item.update)

    def _send(self, channel: Channel, receiver: Subscriber, item: Item) -> None:
        session_id = channel.session_id
        if item.kind == "C":
            self._send_chunk(channel, (receiver,), item.run_id, item.name, item.key, "".join(item.pieces))
        elif item.kind == "E":
            payload = envelope.event(
                session_id,
                item.run_id,
                channel.sent,
                item.update,
                has_run=item.run_key is not None,
                parent=self._parents.get(session_id),
            )
            receiver.notify("agent/event", payload, kind="E", key=item.name, session_id=session_id)
        else:
            receiver.notify(_method(item), item.payload, kind="D", key="", session_id=session_id)

    def _send_chunk(
        self, channel: Channel, receivers: Iterable[Subscriber], run_id: str | None, kind: str, key: str, text: str
    ) -> None:
        parent = self._parents.get(channel.session_id)
        for receiver in receivers:
            receiver.chunk(channel.session_id, run_id, kind, key, text, channel.sent, parent)

    def _catch_up(self, channel: Channel, subscriber: Subscriber) -> None:
        for item in channel.latest.values():
            self._send(channel, subscriber, item)
        self._catch_up_text(channel, subscriber)

    def _catch_up_text(self, channel: Channel, subscriber: Subscriber) -> None:
        for (name, key), text in channel.streaming.items():
            self._send_chunk(channel, (subscriber,), text.run_id, name, key, "".join(text.pieces))

    def _receivers(self, channel: Channel) -> Iterable[Subscriber]:
        parent = self._parents.get(channel.session_id)
        if parent is None and not self._watchers:
            return list(channel.subscribers.values())
        found = {**self._watchers, **channel.subscribers}
        while parent is not None:
            above = self._channels.get(parent["sessionId"])
            found.update(above.subscribers if above is not None else {})
            parent = self._parents.get(parent["sessionId"])
        return list(found.values())

    def _tell_listeners(self, session_id: str, update: Update) -> None:
        for listener in list(self._listeners):
            try:
                listener(session_id, update)
            except Exception:  # noqa: BLE001 - a listener's bug must not stop the stream
                _log.exception("an event listener failed")

    # ------------------------------------------------------------------------------------------------ first touch

    def _later(self, session_id: str, call: Callable[[], object]) -> None:
        waiting = self._early.setdefault(session_id, [])
        waiting.append(call)
        if len(waiting) == 1:
            self._ledger.spawn(self._load_early(session_id), "hub.load")

    async def _load_early(self, session_id: str) -> None:
        try:
            await self.load(session_id)
        except (RequestRejected, StoreError):
            _log.warning("events of session %s are dropped: it cannot be read", session_id)
            self._early.pop(session_id, None)


def _item(
    kind: str,
    run: Run | None,
    update: Update,
    seq: int,
    payload: bytes,
    writes: Sequence[Write],
    *,
    ready: bool = False,
) -> Item:
    return Item(
        kind,
        run.run_key if run is not None else None,
        run.run_id if run is not None else None,
        str(update["sessionUpdate"]),
        "",
        seq,
        payload,
        update=update,
        writes=writes,
        ready=ready,
    )


def _method(item: Item) -> str:
    return "agent/runComplete" if item.kind == "T" else "agent/event"
