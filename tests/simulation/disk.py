"""A store whose disk is a value: what was committed survives a crash, nothing else does. Faults are drawn by seed.

Groups commit in order, many at once; a group is atomic. Only what the agent's lane and hub need is here.
"""

import asyncio
from dataclasses import replace

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.run import TRANSITIONS, RunState
from lsp_agent.ports.store import (
    Accepted,
    AcceptRun,
    AppendEvent,
    DropMessage,
    DropSession,
    PutMessage,
    PutSession,
    SetQueueOrder,
    SetRunPrompt,
    SetRunState,
    StoredEvent,
    StoredRun,
)


class Disk:
    """What is committed."""

    def __init__(self):
        self.sessions = {}
        self.runs = {}
        self.order = []
        self.into = {}
        self.run_ids = {}
        self.messages = {}
        self.events = {}
        self.terminals = {}


class Refused(Exception):
    pass


class DiskStore:
    def __init__(self, loop, disk, faults=0.0, delay_s=0.002):
        self.loop = loop
        self.disk = disk
        self.faults = faults
        self.delay_s = delay_s
        self.is_broken = False
        self.refusals = 0
        self.waits = 0.3
        """How often a read waits although nothing is being written."""
        self._queue = []
        self._is_writing = False

    # ------------------------------------------------------------------ writing

    def write(self, writes, on_commit=None):
        future = self.loop.create_future()
        future.add_done_callback(_observe)
        self._queue.append((writes, on_commit, future))
        if not self._is_writing:
            self._is_writing = True
            self._later()
        return future

    def _later(self):
        random = self.loop.random
        if random.random() < 0.5:
            self.loop.call_soon(self._commit)
        else:
            self.loop.call_later(random.random() * self.delay_s, self._commit)

    def _commit(self):
        count = len(self._queue) if self.loop.random.random() < 0.7 else 1
        group, self._queue = self._queue[:count], self._queue[count:]
        done = []
        for writes, on_commit, future in group:
            try:
                if self.is_broken or (self.faults and self.loop.random.random() < self.faults):
                    raise Refused("injected")
                done.append((on_commit, future, self._apply(writes)))
            except Refused as error:
                self.refusals += 1
                if not future.done():
                    future.set_exception(StoreError(str(error), retryable=True))
        for on_commit, future, results in done:
            if on_commit is not None:
                on_commit(results)
            if not future.done():
                future.set_result(results)
        if self._queue:
            self._later()
        else:
            self._is_writing = False

    def _apply(self, writes):
        undo = []
        try:
            return [self._one(write, undo) for write in writes]
        except Refused:
            for restore in reversed(undo):
                restore()
            raise

    def _set(self, table, key, value, undo):
        missing = key not in table
        before = table.get(key)
        undo.append((lambda: table.pop(key, None)) if missing else (lambda: table.__setitem__(key, before)))
        table[key] = value

    def _one(self, write, undo):
        disk = self.disk
        match write:
            case AcceptRun(run, new_session):
                earlier = disk.run_ids.get(run.run_id) if run.run_id is not None else None
                if earlier is not None:
                    return Accepted(None, self._stored(earlier))
                if new_session is not None:
                    self._set(disk.sessions, new_session.session_id, new_session, undo)
                elif run.session_id not in disk.sessions:
                    return Accepted(None, None)
                self._set(disk.runs, run.run_key, (run, RunState.QUEUED, None), undo)
                if run.run_id is not None:
                    self._set(disk.run_ids, run.run_id, run.run_key, undo)
                disk.order.append(run.run_key)
                undo.append(lambda: disk.order.remove(run.run_key))
                session = disk.sessions[run.session_id]
                session.seq = max(disk.events.get(run.session_id, {0: None}), default=0)
                return Accepted(session, None)
            case SetRunState(run_key, state, into):
                self._move(run_key, state, None, undo)
                if into is not None:
                    self._set(disk.into, run_key, into, undo)
            case AppendEvent(session_id, seq, payload, terminal_of, stop_reason):
                if session_id not in disk.sessions:
                    raise Refused("no such session")
                log = disk.events.setdefault(session_id, {})
                if seq != max(log, default=0) + 1:
                    raise Refused("a hole in the log")
                if terminal_of is not None:
                    if terminal_of in disk.terminals:
                        raise Refused("second terminal")
                    self._set(disk.terminals, terminal_of, seq, undo)
                    self._move(terminal_of, RunState.DONE, stop_reason, undo)
                self._set(log, seq, StoredEvent(seq, payload, terminal_of is not None), undo)
            case PutMessage(message):
                self._set(disk.messages, message.message_id, _copy(message), undo)
            case DropMessage(message_id):
                disk.messages.pop(message_id, None)
            case SetRunPrompt() | SetQueueOrder():
                self._queue_write(write)
            case PutSession(session):
                self._set(disk.sessions, session.session_id, session, undo)
            case DropSession(session_id):
                disk.sessions.pop(session_id, None)
                disk.events.pop(session_id, None)
                for key in [key for key, (run, *_) in disk.runs.items() if run.session_id == session_id]:
                    disk.run_ids.pop(disk.runs.pop(key)[0].run_id, None)
                    disk.order.remove(key)
            case _:
                raise AssertionError(write)
        return None

    def _queue_write(self, write):
        if isinstance(write, SetQueueOrder):
            kept = [key for key in self.disk.order if key not in write.run_keys]
            self.disk.order = kept + list(write.run_keys)

    def _move(self, run_key, state, stop_reason, undo):
        if run_key not in self.disk.runs:
            raise Refused("no such run")
        run, before, _ = self.disk.runs[run_key]
        if state is not before and state not in TRANSITIONS[before]:
            raise Refused(f"{before} to {state}")
        self._set(self.disk.runs, run_key, (run, state, stop_reason), undo)

    # ------------------------------------------------------------------ reading

    async def _catch_up(self):
        if self._is_writing or self._queue:
            last = self.loop.create_future()
            self._queue.append(((), None, last))
            last.add_done_callback(_observe)
            if not self._is_writing:
                self._is_writing = True
                self._later()
            await asyncio.wait({last})
        elif self.loop.random.random() < self.waits:
            await asyncio.sleep(0)

    def _stored(self, run_key):
        run, state, stop_reason = self.disk.runs[run_key]
        return StoredRun(run, state, stop_reason)

    async def session(self, session_id):
        await self._catch_up()
        session = self.disk.sessions.get(session_id)
        if session is not None:
            session.seq = max(self.disk.events.get(session_id, {0: None}), default=0)
            session.message_count = sum(1 for m in self.disk.messages.values() if m.session_id == session_id)
        return session

    async def messages(self, session_id, **_):
        await self._catch_up()
        return [_copy(m) for m in self.disk.messages.values() if m.session_id == session_id], None

    async def run(self, run_id):
        await self._catch_up()
        key = self.disk.run_ids.get(run_id)
        return self._stored(key) if key is not None and key in self.disk.runs else None

    async def unfinished_runs(self):
        await self._catch_up()
        found = []
        for key in self.disk.order:
            _, state, _ = self.disk.runs[key]
            into = self.disk.into.get(key)
            folded_into_live = state is RunState.FOLDED and self.disk.runs[into][1] is not RunState.DONE
            if state in (RunState.QUEUED, RunState.RUNNING) or folded_into_live:
                found.append(self._stored(key))
        return found

    async def events(self, session_id, *, after_seq, limit):
        await self._catch_up()
        log = self.disk.events.get(session_id, {})
        rows = [log[seq] for seq in sorted(log) if seq > after_seq][:limit]
        return rows, min(log, default=0)

    async def flush(self):
        await self._catch_up()

    async def close(self):
        await self._catch_up()


def _copy(message):
    """An independent copy; `Message.copy` costs a fifth of a schedule."""
    return replace(message, parts=[replace(part) for part in message.parts])


def _observe(future):
    if not future.cancelled():
        future.exception()
