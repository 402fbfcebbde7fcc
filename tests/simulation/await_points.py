"""Cancel at every await point (RELIABILITY 5.3): play a coroutine again and again, each time cancelled one wait later.

`points(make)` makes a fresh world, gets a coroutine from it, and throws CancelledError at its k-th suspension, for
k = 1, 2, … until it runs through; after each it calls the world's `check(k)`.
"""

import asyncio


class Cancelling:
    """Awaits like the coroutine, and throws at the k-th suspension."""

    def __init__(self, coroutine, k):
        self.coroutine = coroutine
        self.k = k
        self.fired = False

    def __await__(self):
        return self.steps()

    def steps(self):
        suspensions = 0
        send, value = self.coroutine.send, None
        while True:
            try:
                waited_for = send(value)
            except StopIteration as stop:
                return stop.value
            suspensions += 1
            send = self.coroutine.send
            if suspensions == self.k:
                self.fired = True
                if hasattr(waited_for, "_asyncio_future_blocking"):
                    waited_for._asyncio_future_blocking = False
                    if not isinstance(waited_for, asyncio.Task):
                        waited_for.cancel()
                send, value = self.coroutine.throw, asyncio.CancelledError()
                continue
            try:
                value = yield waited_for
            except BaseException as error:  # delivered by the loop
                send, value = self.coroutine.throw, error


def points(make, *, limit=200):
    """How many await points were cancelled. `make()` gives (run(wrap), check(k)); `run` drives the loop with `wrap`
    around the coroutine under test.
    """
    for k in range(1, limit):
        fired = []

        def wrap(coroutine, k=k, fired=fired):
            wrapped = Cancelling(coroutine, k)
            fired.append(wrapped)

            async def driven():
                return await wrapped

            return driven()

        run, check = make()
        run(wrap)
        check(k)
        if not any(wrapped.fired for wrapped in fired):
            return k - 1
    raise AssertionError("more await points than the limit")
