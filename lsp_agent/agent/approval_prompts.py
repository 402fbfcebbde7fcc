"""Permission records as prompts on a surface that can show only one at a time, such as `window/showMessageRequest`.

Answers go to `Approvals.respond` like any other. No answer (`null`, a lost connection) leaves the record pending; it is
offered again after the next record, or when somebody asks for it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Show = Callable[[Mapping[str, Any]], Awaitable[str | None]]
"""Put one record before the user; the option id they chose, or None. May raise OSError, TimeoutError: no answer."""
Respond = Callable[[str, object, str], Mapping[str, Any]]


class PromptQueue:
    """A `PermissionSurface` of one connection. `by` names it in `resolvedBy`; `answers_for` says for which sessions."""

    def __init__(self, *, show: Show, respond: Respond, by: str, answers_for: Callable[[str], bool]) -> None:
        self._show = show
        self._respond = respond
        self._by = by
        self._answers_for = answers_for
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._unanswered: list[Mapping[str, Any]] = []
        self._changed = asyncio.Event()
        self._current: tuple[str, asyncio.Future[str | None]] | None = None

    def can_answer(self, session_id: str) -> bool:
        return self._answers_for(session_id)

    def asked(self, record: Mapping[str, Any]) -> None:
        if not self._answers_for(record["sessionId"]):
            return
        self._waiting.append(record)
        self.offer_again()

    def closed(self, request_id: str) -> None:
        self._waiting = deque([record for record in self._waiting if record["requestId"] != request_id])
        self._unanswered = [record for record in self._unanswered if record["requestId"] != request_id]
        if self._current is not None and self._current[0] == request_id:
            self._current[1].cancel()

    @property
    def unanswered(self) -> int:
        """Records that were shown and not answered, and are offered again later."""
        return len(self._unanswered)

    def offer_again(self) -> None:
        """Put what was not answered behind what waits."""
        self._waiting.extend(self._unanswered)
        self._unanswered.clear()
        self._changed.set()

    async def run(self) -> None:
        """Show one prompt after another, for ever; the connection runs this and cancels it when it is gone."""
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            record = self._waiting.popleft()
            choice = await self._shown(record)
            if choice is None:
                continue
            self._respond(record["requestId"], {"type": "selected", "optionId": choice}, self._by)

    async def _shown(self, record: Mapping[str, Any]) -> str | None:
        """The choice; None when there is none, and then the record is kept for later unless it was closed meanwhile."""
        request_id = record["requestId"]
        showing: asyncio.Future[str | None] = asyncio.ensure_future(self._show(record))
        self._current = (request_id, showing)
        try:
            await asyncio.wait([showing])
        finally:
            self._current = None
            showing.cancel()
        if showing.cancelled():
            return None
        error = showing.exception()
        if error is not None and not isinstance(error, OSError | TimeoutError):
            raise error
        choice = None if error is not None else showing.result()
        offered = [option["optionId"] for option in record["options"]]
        if choice not in offered:
            self._unanswered.append(record)
            return None
        return choice
