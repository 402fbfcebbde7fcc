"""A name for a session, made from its first prompt by a small model, beside the turn and never waited for (CORE 10)."""

import asyncio
import logging
import re
from collections.abc import Sequence

from lsp_agent.agent.costs import step_usage
from lsp_agent.agent.fold import Fold
from lsp_agent.agent.requests import plain_request
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.agent.system_prompt import prompt_text, title_request
from lsp_agent.agent.waiting import end_tasks
from lsp_agent.agent.watchdog import listen
from lsp_agent.domain.errors import AgentError
from lsp_agent.domain.message import FinishReason, Message, Role, TextPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.session import UNTITLED, Session
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.store import PatchSession
from lsp_agent.untrusted import clean

_log = logging.getLogger(__name__)

MAX_CHARS = 50
_MAX_TOKENS = 40
_MAX_PROMPT_CHARS = 4_000
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_MARKUP = re.compile(r"[*_]{2,}|`+")
_STRAY_TAG = re.compile(r"</?think>", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]\n]{0,200})\]\([^()\n]{0,500}\)")
_TAG = re.compile(r"</?[a-z!][^<>\n]{0,200}>", re.IGNORECASE)
_LONGEST_CHARS = 20_000
"""Of an answer that should be one line; more is not looked at."""
_EDGES = " \t\"'`*_#“”«»"


def cleaned(text: str) -> str:
    """One line of at most 50 characters without thinking, quotes, markup, links or hidden characters; may be empty."""
    text = _STRAY_TAG.sub("", _THINKING.sub("", text[:_LONGEST_CHARS]))
    text = _MARKUP.sub("", _TAG.sub("", _LINK.sub(r"\1", clean(text))))
    if _TAG.search(text) or _LINK.search(text):  # what was put together by taking something out of it
        text = re.sub(r"[<>\[\]()]", "", text)
    return shortened(" ".join(text.split()).strip(_EDGES))


def shortened(text: str) -> str:
    """At most 50 characters, the last one `…` when something was cut."""
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1].rstrip() + "…"


def title_of_prompt(prompt: str) -> str:
    """What a session is called when no model names it."""
    visible = _TAG.sub("", clean(prompt[:_LONGEST_CHARS]))
    return shortened(" ".join(visible.split())) or UNTITLED


def is_prompt(message: Message) -> bool:
    """True for a user's words, or a summary of them: the session has begun before."""
    return message.is_summary or (message.role is Role.USER and bool(message.text.strip()))


class TitleTasks:
    """The titles being thought about right now."""

    def __init__(self, services: TurnServices) -> None:
        self._maker = TitleMaker(services)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, session: Session, prompt: str) -> None:
        """Begin to name a session that has no name of the user's and is nobody's child. Never waits."""
        if prompt.strip() and not session.title_is_users and session.parent_session_id is None:
            task = asyncio.create_task(self._maker.name(session, prompt), name=f"title {session.session_id}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.warning("no title was made", exc_info=error)

    async def aclose(self, timeout_s: float) -> None:
        """Give up what is not done. May be called twice."""
        await end_tasks(list(self._tasks), timeout_s)


class TitleMaker:
    """Names sessions. A name the user gave is never overwritten, neither here nor by the store."""

    def __init__(self, services: TurnServices) -> None:
        self._services = services

    async def name(self, session: Session, prompt: str) -> None:
        """Find a title for `prompt`, store it and announce it. Failures end in a title made of the prompt."""
        limits = self._services.limits()
        cost_usd = 0.0
        title = ""
        for model in self._models(session):
            try:
                title, spent = await self._ask(session, model, limits, prompt)
            except AgentError as error:
                _log.info("no title from %s: %s", model.ref, error)
                continue
            cost_usd += spent
            if title:
                break
        await self._keep(session.session_id, title or title_of_prompt(prompt), cost_usd)

    def _models(self, session: Session) -> Sequence[Model]:
        """The small model, then the large one, without those that are not configured."""
        found: list[Model] = []
        for role in ("small", "large"):
            wanted = session.options.get(f"model.{role}")
            try:
                model = self._services.providers.resolve(str(wanted) if wanted else None, role=role)
            except AgentError as error:
                _log.info("no %s model for a title: %s", role, error)
                continue
            if model.ref not in [other.ref for other in found]:
                found.append(model)
        return found

    async def _ask(self, session: Session, model: Model, limits: TurnLimits, prompt: str) -> tuple[str, float]:
        """One attempt: the title (empty when it did not fit) and its price."""
        fold = Fold(Message("", session.session_id, Role.ASSISTANT))
        request = plain_request(
            session,
            model,
            limits,
            system=prompt_text("title"),
            messages=[
                Message("", session.session_id, Role.USER, [TextPart(title_request(prompt[:_MAX_PROMPT_CHARS]))])
            ],
            purpose="title",
            max_output_tokens=(model.max_output_tokens or None) if model.can_reason else _MAX_TOKENS,
        )

        def fold_in(batch: Sequence[StreamEvent]) -> None:
            fold.apply(batch, 0)

        provider = await self._services.providers.provider_for(model)
        await listen(provider, request, limits, fold_in)
        fold.close(0)
        usage = step_usage(fold.usage, model, request.messages, fold.message)
        whole = fold.finished is not None and fold.finished.reason is not FinishReason.MAX_TOKENS
        return cleaned(fold.message.text) if whole else "", usage.cost_usd

    async def _keep(self, session_id: str, title: str, cost_usd: float) -> None:
        """Store what was found. The session is read again: it may have been named or deleted meanwhile."""
        services = self._services
        current = await services.store.session(session_id)
        if current is None:
            return
        now, paid = services.clock.now_ms(), {"cost_usd": cost_usd}
        if current.title_is_users:
            _ = services.store.write([PatchSession(session_id, now, {}, paid)])
            return
        patch = PatchSession(session_id, now, {"title": title}, paid, unless_titled=True)
        update = {"sessionUpdate": "session_info_update", "title": title}
        services.events.durable(session_id, None, update, writes=[patch])
