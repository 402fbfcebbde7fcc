"""Listening to a model's stream with two deadlines: how long it may be silent and how long it may take at all.

Bytes are life: an adapter yields an empty batch for a ping, and that counts. The per-batch price is one clock reading;
a timer looks after the deadline only when it may have passed.
"""

import asyncio
from collections.abc import Callable, Sequence

from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Provider, Request

_BATCHES_IN_A_ROW = 64
"""After so many batches the loop gets a turn, for a stream that never has to wait."""


class _Watch:
    """Moves `timeout` to now once a deadline has passed."""

    def __init__(self, timeout: asyncio.Timeout, limits: TurnLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._idle_s = limits.stream_idle_s or float("inf")
        self.last = self._loop.time()
        self._end = self.last + (limits.stream_total_s or float("inf"))
        self.silent = False
        self._handle: asyncio.TimerHandle | None = None
        self.check()

    def check(self) -> None:
        """Fire, or come back when the next deadline may be due."""
        now, due = self._loop.time(), min(self.last + self._idle_s, self._end)
        if now >= due:
            self.silent = due < self._end
            self._timeout.reschedule(now)
        elif due != float("inf"):
            self._handle = self._loop.call_at(due, self.check)

    def stop(self) -> None:
        """No more checks."""
        if self._handle is not None:
            self._handle.cancel()

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()


async def listen(
    provider: Provider, request: Request, limits: TurnLimits, on_batch: Callable[[Sequence[StreamEvent]], None]
) -> None:
    """Stream `request` and hand over every batch that holds an event.

    Raises: ProviderError of the adapter, or one with `kind="Timeout"`, retryable.
    """
    watch: _Watch | None = None
    stream = provider.stream(request)
    timeout = asyncio.timeout(None)
    try:
        async with timeout:
            watch = _Watch(timeout, limits)
            in_a_row = 0
            async for batch in stream:
                watch.last = watch.now()
                if batch:
                    on_batch(batch)
                in_a_row += 1
                if in_a_row == _BATCHES_IN_A_ROW:
                    in_a_row = 0
                    await asyncio.sleep(0)
    except TimeoutError as error:
        if watch is None or not timeout.expired():
            raise
        raise _timed_out(limits, silent=watch.silent) from error
    finally:
        if watch is not None:
            watch.stop()
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _timed_out(limits: TurnLimits, *, silent: bool) -> ProviderError:
    if silent:
        text = f"The model's service sent nothing for {limits.stream_idle_s:g} s."
    else:
        text = f"The model's answer took longer than {limits.stream_total_s:g} s."
    return ProviderError("Timeout", "Timed out", text, retryable=True)
