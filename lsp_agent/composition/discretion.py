"""What must not leave with what the agent says: the user's own keys, wherever a tool came upon one (RELIABILITY EX-13,
EX-15)."""

from collections.abc import Sequence

from lsp_agent.domain.run import Outcome, Run
from lsp_agent.log import HIDDEN, MIN_SECRET_CHARS, Redactor
from lsp_agent.ports.events import Events, Update
from lsp_agent.ports.store import Write
from lsp_agent.web.holdback import HoldBack


class Secrets:
    """Values that were looked up for this process: keys, headers, the environment of MCP servers."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._values: set[str] = set()

    def keep(self, value: str) -> None:
        """Hide `value` from now on. Short ones are ordinary words and ignored."""
        self._redactor.register(value)
        if len(value.strip()) >= MIN_SECRET_CHARS:
            self._values.add(value.strip())

    def values(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._values)

    def hide(self, text: str) -> str:
        """`text` without them. What merely looks like a key stays: it may be what the model has to edit."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text


class DiscreetEvents:
    """Implements `ports.events.Events` for who runs commands: live output without secrets, also when cut in two."""

    def __init__(self, events: Events, secrets: Secrets) -> None:
        self._events = events
        self._secrets = secrets
        self._held: dict[str, HoldBack] = {}

    def chunk(self, session_id: str, run: Run | None, kind: str, key: str, text: str) -> None:
        if kind == "terminal_output_chunk":
            held = self._held.setdefault(key, HoldBack(self._secrets.hide, self._secrets.values))
            text = held.feed(text)
        if text:
            self._events.chunk(session_id, run, kind, key, text)

    def durable(self, session_id: str, run: Run | None, update: Update, *, writes: Sequence[Write] = ()) -> int:
        if update["sessionUpdate"] == "terminal_update" and update.get("status") != "running":
            held = self._held.pop(str(update.get("terminalId")), None)
            rest = held.finish() if held is not None else ""
            if rest:
                self._events.chunk(session_id, run, "terminal_output_chunk", str(update["terminalId"]), rest)
        return self._events.durable(session_id, run, update, writes=writes)

    def ephemeral(self, session_id: str, run: Run | None, update: Update) -> None:
        self._events.ephemeral(session_id, run, update)

    def complete(self, run: Run, outcome: Outcome, *, writes: Sequence[Write] = ()) -> int:
        return self._events.complete(run, outcome, writes=writes)
