"""A seeded event loop with a virtual clock: no selector, no thread, no waiting.

It plays the selector of its own `BaseEventLoop`: asked to wait for the next timer it moves the clock there, and it
shuffles what is ready, so that every seed is another legal interleaving. Private API in use: `_selector`, `_ready`,
`_scheduled`, `_process_events`, `_clock_resolution`; `test_loop.py` pins it.
"""

import asyncio
import random


class Stuck(Exception):
    """Nothing is ready and no timer is set: whoever still waits waits for ever."""


class SimLoop(asyncio.BaseEventLoop):
    def __init__(self, seed, *, shuffle=True):
        super().__init__()
        self.random = random.Random(seed)
        self.shuffle = shuffle
        self.now = 0.0
        self.steps = 0
        self.limit_s = 3600.0
        self.unhandled = []
        self._selector = self
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda _loop, context: self.unhandled.append(context))

    def time(self):
        return self.now

    def select(self, timeout):
        self.steps += 1
        if timeout is None:
            if not self._ready:
                raise Stuck(f"at {self.now:.3f} s")
        elif timeout > 0 and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
            if self.now > self.limit_s:
                raise Stuck(f"still busy after {self.limit_s} virtual seconds")
        if self.steps > 200_000:
            raise Stuck("no end in sight")
        if self.shuffle and len(self._ready) > 1:
            self.random.shuffle(self._ready)
        return ()

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def abandon(self):
        """The process dies: nothing that waits ever runs again."""
        tasks = asyncio.all_tasks(self)
        self._ready.clear()
        self._scheduled.clear()
        self._selector = None
        self._closed = True
        for task in tasks:
            task._log_destroy_pending = False
            task.get_coro().close()


class SimClock:
    """The clock port on a simulated loop."""

    def __init__(self, loop, ids):
        self.loop = loop
        self.ids = ids

    def now_ms(self):
        return 1_700_000_000_000 + int(self.loop.now * 1000)

    def monotonic_s(self):
        return self.loop.now

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    def new_id(self):
        return f"{next(self.ids):08d}"
