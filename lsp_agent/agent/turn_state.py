"""The facts of one turn, and the one door through which a turn announces and stores.

Everything that leaves a turn passes `durable`, `chunk`, `ephemeral` or `save`; once the turn is sealed they do nothing,
so a straggler that outlived its cancellation cannot speak after the terminal event. None of them waits.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.agent.run_updates import attachment_json
from lsp_agent.agent.services import TurnServices
from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    FinishReason,
    Message,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import ChangeCount, Outcome, Run, RunError, StopReason
from lsp_agent.domain.session import Session, Todo
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.store import PatchSession, PutMessage, Write
from lsp_agent.ports.tools import Tool, ToolResult


@dataclass(slots=True)
class OpenCall:
    """A tool call that was announced and has no final status yet."""

    tool_call_id: str
    message_id: str
    name: str
    title: str
    kind: str
    raw_input: Mapping[str, Any] | None = None
    locations: Sequence[Mapping[str, Any]] = ()

    def update(self, status: str, **extra: Any) -> dict[str, Any]:
        """A `tool_call_update` of PROTOCOL 8."""
        update: dict[str, Any] = {
            "sessionUpdate": "tool_call_update",
            "toolCallId": self.tool_call_id,
            "messageId": self.message_id,
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "status": status,
        }
        if self.raw_input is not None:
            update["rawInput"] = self.raw_input
        if self.locations:
            update["locations"] = list(self.locations)
        return update | extra


@dataclass(slots=True)
class ChangeTally:
    """What tools changed so far: lines by their metadata, files by their URI or path."""

    files: set[str] = field(default_factory=set)
    added: int = 0
    removed: int = 0

    def add(self, call: OpenCall, result: ToolResult) -> None:
        """Count a result that went well."""
        added, removed = _count(result.metadata, "additions"), _count(result.metadata, "removals")
        uris = [str(change["uri"]) for change in result.changes if change.get("uri")]
        if result.is_error or not (added or removed or uris):
            return
        self.added += added
        self.removed += removed
        if not uris:
            uris = [str(place["uri"]) for place in result.locations if place.get("uri")]
        self.files.update(uris or [call.tool_call_id])

    def total(self) -> ChangeCount:
        """As `agent/runComplete` says it."""
        return ChangeCount(len(self.files), self.added, self.removed)


def _count(metadata: Mapping[str, Any], name: str) -> int:
    value = metadata.get(name, 0)
    return value if isinstance(value, int) and value > 0 else 0


class TurnState:
    """One turn of one session. Belongs to its turn's task."""

    def __init__(
        self,
        run: Run,
        services: TurnServices,
        options_of: Callable[[Session], Mapping[str, Any]],
    ) -> None:
        self.run = run
        self.services = services
        self.limits = services.limits()
        self.started_s = services.clock.monotonic_s()
        self.session = Session(run.session_id)
        self.model: Model | None = None
        self._options_of = options_of
        self.options: Mapping[str, Any] = {}
        """The session's own choices in force at this step."""
        self.mode = run.options.mode or self.limits.mode
        self.tools: dict[str, Tool] = {}
        self.history: list[Message] = []
        self.reminder_todos: tuple[Todo, ...] = ()
        """The list as it was when the turn began: the reminder stays the same for all of its steps (prompt cache)."""
        self.context: Sequence[str] = ()
        """More blocks of the system prompt, the same for all steps of the turn."""
        self.prompts: list[str] = []
        """What the user asked in this turn, folded prompts included, for the continuation."""
        self.taken_ids: set[str] = set()
        self.usage = Usage()
        self.steps = 0
        self.changes = ChangeTally()
        self.open_calls: dict[str, OpenCall] = {}
        self.results: dict[str, ToolResultPart] = {}
        """Of the current step, by call id."""
        self.sealed = False
        self._failed_save: StoreError | None = None

    # --------------------------------------------------------------------------------------------------- the door

    def durable(self, update: Mapping[str, Any], *writes: Write) -> None:
        """Announce and store in one transaction."""
        if not self.sealed:
            self.services.events.durable(self.run.session_id, self.run, update, writes=writes)

    def chunk(self, kind: str, key: str, text: str) -> None:
        """Announce text at once."""
        if not self.sealed:
            self.services.events.chunk(self.run.session_id, self.run, kind, key, text)

    def ephemeral(self, update: Mapping[str, Any]) -> None:
        """Announce a latest value."""
        if not self.sealed:
            self.services.events.ephemeral(self.run.session_id, self.run, update)

    def notice(self, code: str, message: str, *, level: str = "warning") -> None:
        """Tell the user something that is not part of the conversation."""
        self.durable({"sessionUpdate": "notice", "level": level, "code": code, "message": message})

    def save(self, *writes: Write) -> None:
        """Store without announcing. A failure surfaces at the next `check_store`."""
        if not self.sealed:
            self.services.store.write(writes).add_done_callback(self._saved)

    def _saved(self, future: "asyncio.Future[Any]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._failed_save = error if isinstance(error, StoreError) else StoreError(str(error))

    def check_store(self) -> None:
        """Raises: StoreError of a save that failed meanwhile: what cannot be remembered is not gone on with."""
        if self._failed_save is not None:
            raise self._failed_save

    # ----------------------------------------------------------------------------------------------------- steps

    def enter(self, session: Session) -> None:
        """The session as it is when the turn begins."""
        self.session = session
        self.services.spending.enter(session.session_id, self)
        self.reminder_todos = session.todos
        self._read_options()

    def _read_options(self) -> None:
        self.options = self._options_of(self.session)
        self.mode = self.run.options.mode or str(self.options.get("mode") or self.limits.mode)

    def begin_step(self) -> None:
        """Count a step and read mode and tools again: a choice of the user's counts from the next step on.

        Tools that appeared meanwhile are offered, in plan mode only those that read.
        """
        self.steps += 1
        self._read_options()
        self.results = {}
        interactive = not self.run.options.non_interactive
        offered = self.services.tools.for_turn(mode=self.mode, interactive=interactive)
        self.tools = {tool.spec.name: tool for tool in offered if tool.read_only or self.mode != "plan"}

    async def refresh_todos(self) -> None:
        """Read the list again when this step may have changed it. Raises: StoreError."""
        if any(part.name == "todos" for part in self.results.values()):
            fresh = await self.services.store.session(self.run.session_id)
            if fresh is not None:
                self.session.todos = fresh.todos

    def outcome(self, stopped: StopReason, last: Message | None, error: RunError | None) -> Outcome:
        """How the turn ended; `last` is its last assistant message."""
        spent_s = self.services.clock.monotonic_s() - self.started_s
        return Outcome(
            stopped,
            last.message_id if last else None,
            last.text if last else "",
            error,
            self.usage,
            self.changes.total(),
            self.steps,
            int(spent_s * 1000),
        )

    # -------------------------------------------------------------------------------------------------- messages

    def new_message(self, role: Role, parts: list[Part], message_id: str | None = None) -> Message:
        """A message of this turn, dated now."""
        now = self.services.clock.now_ms()
        return Message(
            message_id or self.services.clock.new_id(),
            self.run.session_id,
            role,
            parts,
            created_at_ms=now,
            updated_at_ms=now,
            run_key=self.run.run_key,
        )

    def put_user(
        self, text: str, attachments: Sequence[AttachmentPart], message_id: str | None, *writes: Write, **extra: Any
    ) -> Message:
        """A user message enters the conversation: history, store and clients in one go. Returns the one in history."""
        parts: list[Part] = [TextPart(text)] if text else []
        message = self.new_message(Role.USER, [*parts, *attachments, self.stop_part()], message_id)
        self.history.append(message)
        update: dict[str, Any] = {
            "sessionUpdate": "user_message",
            "messageId": message.message_id,
            "content": [{"type": "text", "text": text}] if text else [],
            "attachments": [attachment_json(part) for part in attachments],
        }
        self.durable(update | extra, PutMessage(message.copy()), *writes)
        return message

    def stop_part(self) -> FinishPart:
        """The finish part of a message that is whole when it is made."""
        return FinishPart(FinishReason.STOP, time_ms=self.services.clock.now_ms())

    # ----------------------------------------------------------------------------------------------------- calls

    def open_call(self, call: ToolCallPart, message_id: str) -> OpenCall:
        """Remember a call the model began."""
        tool = self.tools.get(call.name)
        opened = OpenCall(call.tool_call_id, message_id, call.name, call.name, tool.kind if tool else "other")
        self.open_calls[call.tool_call_id] = opened
        self.taken_ids.add(call.tool_call_id)
        return opened

    def settle_call(self, tool_call_id: str, result: ToolResult, status: str) -> None:
        """The call's one result: a tool message in history and store, the final status for clients.

        A second result for the same call is ignored.
        """
        call = self.open_calls.pop(tool_call_id, None)
        if call is None or self.sealed:
            return
        content = result.content
        if result.data is not None and not content:
            content = f"Loaded {result.mime_type or 'media'} content"
        part = ToolResultPart(
            tool_call_id, call.name, content, result.is_error, result.data, result.mime_type, dict(result.metadata)
        )
        self.results[tool_call_id] = part
        message = self.new_message(Role.TOOL, [part, self.stop_part()])
        self.history.append(message)
        self.changes.add(call, result)
        call.locations = result.locations or call.locations
        raw: dict[str, Any] = {"isError": result.is_error}
        if result.metadata:
            raw["metadata"] = dict(result.metadata)
        shown = [{"type": "content", "content": {"type": "text", "text": content}}]
        self.durable(call.update(status, rawOutput=raw, content=shown), PutMessage(message.copy()))

    # ----------------------------------------------------------------------------------------------------- money

    def charge(self, usage: Usage, changes: Mapping[str, Any] | None = None) -> None:
        """Add what was consumed to the run and its price to the session, setting `changes` of the session beside."""
        for name, value in (changes or {}).items():
            setattr(self.session, name, value)
        self.session.cost_usd += usage.cost_usd
        now = self.services.clock.now_ms()
        own = PatchSession(self.run.session_id, now, changes or {}, {"cost_usd": usage.cost_usd})
        self.save(own, *self._price_for_parent(usage))
        self._count(usage)

    def account(self, usage: Usage) -> None:
        """Count what a compaction consumed, which has stored its own price."""
        passed_on = self._price_for_parent(usage)
        if passed_on:
            self.save(*passed_on)
        self._count(usage)

    def spent_by_child(self, usage: Usage) -> None:
        """Count a sub-agent's step; its price is in this session's row already."""
        if not self.sealed:
            self.session.cost_usd += usage.cost_usd
            self._count(usage)

    @property
    def left_usd(self) -> float | None:
        """What is left of the run's budget; None = it has none."""
        limit = self.run.options.max_cost_usd or self.limits.max_cost_usd
        return max(limit - self.usage.cost_usd, 0.0) if limit else None

    def _price_for_parent(self, usage: Usage) -> list[Write]:
        """A sub-agent's price counts for the session that called it, whatever becomes of the sub-agent."""
        parent = self.session.parent_session_id
        if parent is None or not usage.cost_usd or self.sealed:
            return []
        return [PatchSession(parent, self.services.clock.now_ms(), {}, {"cost_usd": usage.cost_usd})]

    def _count(self, usage: Usage) -> None:
        """Add to the run, tell clients how full and how dear the session is now, and tell the turn above."""
        if self.session.parent_session_id is not None and not self.sealed:
            self.services.spending.tell(self.session.parent_session_id, usage)
        self.usage = self.usage + usage
        window = self.model.context_window if self.model else 0
        self.ephemeral(
            {
                "sessionUpdate": "usage_update",
                "usedTokens": self.session.prompt_tokens + self.session.completion_tokens,
                "contextWindow": window,
                "costUsd": self.session.cost_usd,
                "estimated": self.session.estimated_usage,
            }
        )


def stored_options(session: Session) -> Mapping[str, Any]:
    """The options as stored; a stored `full-auto` does not count, it ends with the process that was told so."""
    return {name: value for name, value in session.options.items() if value != "full-auto"}
