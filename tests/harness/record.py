"""Everything a server has said, with the time it said it; and waiting for what it will say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Gone(Exception):
    """The connection ended before the answer (or the frame waited for) came."""


@dataclass(frozen=True)
class Recorded:
    """One frame of the server."""

    at_s: float
    """Monotonic time of arrival."""
    message: dict[str, Any]


class Record:
    """Frames in order of arrival. `until` looks at past ones too."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []
        self.eof = asyncio.Event()
        self.framing_error: Exception | None = None
        """Set when the server wrote anything but correct frames; everything then fails with Gone."""
        self._arrived = asyncio.Event()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything the server has sent, in order."""
        return [item.message for item in self.recorded]

    async def until(self, predicate: Callable[[dict[str, Any]], Any], timeout: float = 20.0) -> dict[str, Any]:
        """The first frame, past or to come, for which `predicate` holds. Raises: TimeoutError, Gone."""
        seen = 0
        async with asyncio.timeout(timeout):
            while True:
                while seen < len(self.recorded):
                    message = self.recorded[seen].message
                    seen += 1
                    if predicate(message):
                        return message
                if self.eof.is_set():
                    raise Gone(str(self.framing_error or "the connection ended"))
                self._arrived.clear()
                await self._arrived.wait()

    async def arrived(self) -> None:
        """Wait for one more frame, or the end of the connection."""
        self._arrived.clear()
        await self._arrived.wait()

    async def until_event(self, kind: str, session: str | None = None, timeout: float = 20.0) -> dict[str, Any]:
        """The params of the first `agent/event` with that `sessionUpdate`."""

        def fits(message: dict[str, Any]) -> bool:
            params = message.get("params") or {}
            return (
                message.get("method") == "agent/event"
                and params["update"]["sessionUpdate"] == kind
                and session in (None, params["sessionId"])
            )

        return dict((await self.until(fits, timeout))["params"])

    async def until_complete(self, run_id: str | None = None, timeout: float = 20.0) -> dict[str, Any]:
        """The params of the first `agent/runComplete` (of that run)."""

        def fits(message: dict[str, Any]) -> bool:
            return message.get("method") == "agent/runComplete" and (
                run_id is None or message["params"]["runId"] == run_id
            )

        return dict((await self.until(fits, timeout))["params"])

    def events(self, session: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Params of `agent/event` and `agent/runComplete` so far, in order (`kind`: only events of that update)."""
        out = []
        for message in self.messages:
            params = message.get("params") or {}
            if message.get("method") not in ("agent/event", "agent/runComplete"):
                continue
            if session is not None and params.get("sessionId") != session:
                continue
            if kind is None or params.get("update", {}).get("sessionUpdate") == kind:
                out.append(params)
        return out

    def chunk_text(self, key: str, kind: str = "agent_message_chunk") -> str:
        """The text of a message's (tool call's, terminal's) chunks so far, joined."""
        return "".join(
            params["update"]["content"]["text"]
            for params in self.events(kind=kind)
            if key in (params["update"].get(name) for name in ("messageId", "toolCallId", "terminalId"))
        )
