"""Shortening a conversation that no longer fits: the model writes a hand-over, and history starts there (CORE 9).

The summary is kept in memory until it is whole and then stored together with the session's new counters, so a cancelled
or failed compaction leaves nothing behind that would have to be deleted. Its text is not streamed to clients: they see
`compaction_update started` and exactly one final status. The user's PreCompact hooks are asked first: they may forbid
it, and say what the hand-over must not forget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lsp_agent.agent.costs import estimate_tokens, step_usage
from lsp_agent.agent.fold import Fold
from lsp_agent.agent.history import build
from lsp_agent.agent.requests import plain_request
from lsp_agent.agent.retry import persistently
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.agent.system_prompt import prompt_text, summary_request
from lsp_agent.agent.watchdog import listen
from lsp_agent.domain.errors import AgentError, ProviderError
from lsp_agent.domain.message import AttachmentPart, FinishPart, FinishReason, Message, Role, TextPart, ToolResultPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Session
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import Provider, Request
from lsp_agent.ports.store import PatchSession, PutMessage, Write

_LONGEST_RESULT_CHARS = 4_000
_TRIES_TO_FIT = 4


class CompactionForbidden(AgentError):
    """A hook of the user does not want the conversation shortened."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """The summary as stored, and what it cost."""

    summary: Message
    usage: Usage


class Compaction:
    """One compaction of one session. `run` is the run it happens in, None when the user asked for it."""

    def __init__(self, services: TurnServices, limits: TurnLimits, session: Session, run: Run | None) -> None:
        self._services = services
        self._limits = limits
        self._session = session
        self._run = run
        self._open = False
        self._wishes = ""
        """What hooks add to the request for the hand-over."""

    async def perform(self, model: Model | None, history: Sequence[Message]) -> Compacted:
        """Write the hand-over of `history` and make it the session's new beginning.

        `model` None = the one the session is set to. Sets the session object's counters.
        Raises: ProviderError when the model could not, CompactionForbidden when a hook said no; both are announced.
        """
        self._open = True
        self._announce("started")
        try:
            if model is None:
                wanted = self._session.options.get("model.large")
                model = self._services.providers.resolve(str(wanted) if wanted else None)
            await self._ask_hooks()
            text, usage = await self._write(model, history)
        except AgentError as error:
            self.close("failed")
            self.notice("compaction", f"The conversation could not be shortened: {error}")
            raise
        except BaseException:
            self.close("cancelled")
            raise
        return self._keep(model, text, usage)

    def close(self, status: str, message_id: str | None = None, *writes: Write) -> None:
        """Announce the final status, unless that has been done."""
        if self._open:
            self._open = False
            self._announce(status, message_id, *writes)

    async def _ask_hooks(self) -> None:
        hooks, session = self._services.hooks, self._session
        if session.parent_session_id is not None or not hooks.wants("PreCompact"):
            return
        run = self._run or Run(self._services.clock.new_id(), session.session_id, None, "", "")
        payload = {"trigger": "auto" if self._run else "manual", "custom_instructions": ""}
        said = await hooks.run("PreCompact", run, payload=payload)
        for message in said.metadata.get("messages", ()):
            self.notice("hook", message)
        if said.halt or said.decision == "deny":
            raise CompactionForbidden(f"a hook forbids it: {said.reason}")
        self._wishes = said.context

    # ---------------------------------------------------------------------------------------------------- writing

    async def _write(self, model: Model, history: Sequence[Message]) -> tuple[str, Usage]:
        """The hand-over's text. What is too long even for that is cut, oldest first, until it fits."""
        messages = list(history)
        window = model.context_window
        for shrinking in range(_TRIES_TO_FIT):
            try:
                return await self._ask(model, messages)
            except ProviderError as error:
                if error.kind != "ContextOverflow" or shrinking == _TRIES_TO_FIT - 1:
                    raise
                budget = (window or estimate_tokens(messages)) >> (shrinking + 1)
                messages = shortened(messages, budget)
        raise AssertionError("the loop returns or raises")

    async def _ask(self, model: Model, messages: Sequence[Message]) -> tuple[str, Usage]:
        session, limits = self._session, self._limits
        fold = Fold(Message("", session.session_id, Role.ASSISTANT))
        sent: list[Message] = []

        def fold_in(batch: Sequence[StreamEvent]) -> None:
            fold.apply(batch, 0)

        async def attempt(provider: Provider) -> None:
            fold.reset()
            request = self._request(model, messages, provider)
            sent[:] = request.messages
            await listen(provider, request, limits, fold_in)

        await persistently(attempt, services=self._services, limits=limits, model=model, on_retry=self._retrying)
        fold.close(0)
        text = fold.message.text.strip()
        if not text:
            raise ProviderError("Provider", "Summarization Error", "The model's summary was empty.")
        return text, step_usage(fold.usage, model, sent, fold.message)

    def _request(self, model: Model, messages: Sequence[Message], provider: Provider) -> Request:
        history = build(
            messages, images=model.supports_images, media_in_results=provider.media_in_tool_results, todos=None
        )
        wishes = f"\n\nThe user's hooks add:\n{self._wishes}" if self._wishes else ""
        ask = TextPart(summary_request(self._session.todos) + wishes)
        return plain_request(
            self._session,
            model,
            self._limits,
            system=prompt_text("summary"),
            messages=[*history, Message("", self._session.session_id, Role.USER, [ask])],
            purpose="summary",
            max_output_tokens=model.max_output_tokens or None,
        )

    def _retrying(self, error: ProviderError, delay_s: float) -> None:
        self.notice("retry", f"{error.title}: {error.message} Trying again in {delay_s:g} s.")

    # ---------------------------------------------------------------------------------------------------- keeping

    def _keep(self, model: Model, text: str, usage: Usage) -> Compacted:
        clock, session = self._services.clock, self._session
        now = clock.now_ms()
        summary = Message(
            clock.new_id(),
            session.session_id,
            Role.ASSISTANT,
            [TextPart(text), FinishPart(FinishReason.END_TURN, time_ms=now)],
            model.model_id,
            model.provider_id,
            is_summary=True,
            created_at_ms=now,
            updated_at_ms=now,
            run_key=self._run.run_key if self._run else None,
        )
        changes = {
            "summary_message_id": summary.message_id,
            "prompt_tokens": 0,
            "completion_tokens": usage.output,
            "estimated_usage": usage.estimated,
        }
        for name, value in changes.items():
            setattr(session, name, value)
        session.cost_usd += usage.cost_usd
        patch = PatchSession(session.session_id, now, changes, {"cost_usd": usage.cost_usd})
        self.close("completed", summary.message_id, PutMessage(summary.copy()), patch)
        return Compacted(summary, usage)

    def notice(self, code: str, message: str) -> None:
        """Tell the user."""
        update = {"sessionUpdate": "notice", "level": "warning", "code": code, "message": message}
        self._services.events.durable(self._session.session_id, self._run, update)

    def _announce(self, status: str, message_id: str | None = None, *writes: Write) -> None:
        update = {"sessionUpdate": "compaction_update", "status": status}
        if message_id is not None:
            update["messageId"] = message_id
        self._services.events.durable(self._session.session_id, self._run, update, writes=writes)


def shortened(messages: Sequence[Message], budget_tokens: int) -> list[Message]:
    """The end of the conversation that fits the budget: attachments dropped, long results cut in the middle.

    The last message stays whatever it weighs.
    """
    kept: list[Message] = []
    left = budget_tokens
    for message in reversed(messages):
        small = _small(message)
        left -= estimate_tokens([small])
        if left < 0 and kept:
            break
        kept.append(small)
    return kept[::-1]


def _small(message: Message) -> Message:
    small = message.copy()
    small.parts = [part for part in small.parts if not isinstance(part, AttachmentPart)]
    for part in small.parts:
        if isinstance(part, ToolResultPart):
            part.data = part.mime_type = None
            if len(part.content) > _LONGEST_RESULT_CHARS:
                half = _LONGEST_RESULT_CHARS // 2
                part.content = f"{part.content[:half]}\n[… cut …]\n{part.content[-half:]}"
    return small


class CompactRunner:
    """The compaction a user asks for. The lane sees to it that no run of the session is active meanwhile."""

    def __init__(self, services: TurnServices) -> None:
        self._services = services

    async def __call__(self, session_id: str) -> bool:
        """Shorten the session; False when there is nothing to shorten.

        A failure is announced (`compaction_update failed` and a notice), not raised. Cancellation passes through after
        `compaction_update cancelled`. Raises: StoreError when the session cannot be read.
        """
        services = self._services
        session = await services.store.session(session_id)
        if session is None:
            return False
        history = await load_history(services, session)
        if not any(not message.is_summary for message in history):
            return False
        compaction = Compaction(services, services.limits(), session, None)
        try:
            await compaction.perform(None, history)
        except AgentError:
            return True  # announced where it happened
        return True


async def load_history(services: TurnServices, session: Session) -> list[Message]:
    """Every message of the session from its summary on, oldest first. Raises: StoreError."""
    out: list[Message] = []
    cursor: str | None = None
    while True:
        page, cursor = await services.store.messages(
            session.session_id, cursor=cursor, from_message=session.summary_message_id
        )
        out.extend(page)
        if cursor is None:
            return out
