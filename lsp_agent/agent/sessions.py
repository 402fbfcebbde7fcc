"""What can be asked of a session while nobody waits for a model: make, list, read, rename, fork, export, configure.

Answers are wire dicts, made by whatever implements `WireForms`. Deleting, attaching and compacting need the lane and
are elsewhere. Knows no connection.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lsp_agent.agent.acceptance import of_a_subagent
from lsp_agent.agent.child_ids import is_child
from lsp_agent.domain.errors import ProviderError, RequestRejected
from lsp_agent.domain.message import Message
from lsp_agent.domain.session import UNTITLED, Session
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.provider import Providers
from lsp_agent.ports.store import PatchSession, PutMessage, PutSession, Store, Write

MODES = ("ask", "plan", "accept-edits", "full-auto")
NEVER_STORED = "full-auto"
"""A mode that ends with the process: the user chooses it again after a restart."""
MAX_TITLE_CHARS = 200
_PAGE, _MAX_PAGE = 100, 500
_OPTIONS = {"model.large": "Model", "model.small": "Model for titles", "mode": "Mode", "thinking": "Thinking"}

Json = dict[str, Any]


class WireForms(Protocol):
    """How things are written for clients (`lsp_agent.protocol.convert` is one)."""

    def session_info(self, session: Session, /, *, is_busy: bool, queued: int, model: str | None) -> Json:
        """`SessionInfo` of PROTOCOL 4."""
        ...

    def message(self, value: Message, /) -> Json:
        """`Message` of PROTOCOL 4."""
        ...

    def as_json(self, info: Mapping[str, Any], messages: Sequence[Message], /) -> str:
        """A session as one JSON text."""
        ...

    def as_markdown(self, info: Mapping[str, Any], messages: Sequence[Message], /) -> str:
        """A session as a text for people."""
        ...


@dataclass(frozen=True, slots=True)
class SessionWorld:
    """What the sessions are made of and who knows the rest."""

    store: Store
    events: Events
    clock: Clock
    providers: Providers
    wire: WireForms
    open_session: Callable[[str], Awaitable[object]]
    """Gets the event hub ready for a session. Raises: RequestRejected SessionNotFound."""
    flush: Callable[[str], object]
    """Submits what a running turn has not stored yet of a session. Never waits."""
    activity: Callable[[str], tuple[bool, int]]
    """Whether a session is busy, and how many prompts wait in it."""
    default_mode: Callable[[], str]
    default_root: Callable[[], str | None]
    """File URI of the first workspace root, for sessions made without one."""


class Sessions:
    """The session requests of PROTOCOL 4 that need no lane."""

    def __init__(self, world: SessionWorld) -> None:
        self._world = world
        self._options: dict[str, dict[str, Any]] = {}
        """Options of sessions configured by this process, `NEVER_STORED` included; wins over what is stored."""

    async def new(self, title: str | None = None, root: str | None = None) -> Json:
        """`{sessionId}`; it exists when this returns. Raises: StoreError."""
        now = self._world.clock.now_ms()
        name = _one_line(title or "")
        session = Session(
            session_id=self._world.clock.new_id(),
            title=name or UNTITLED,
            title_is_users=bool(name),
            root=root or self._world.default_root(),
            created_at_ms=now,
            updated_at_ms=now,
        )
        await self._world.store.write([PutSession(session)])
        return {"sessionId": session.session_id}

    async def list(
        self, *, cursor: str | None = None, limit: int | None = None, query: str | None = None, root: str | None = None
    ) -> Json:
        """`{sessions, nextCursor?}`, most recently updated first. Raises: RequestRejected for a broken cursor."""
        found, following = await self._world.store.sessions(
            limit=_page(limit), cursor=cursor, query=query or None, root=root
        )
        return _with_cursor({"sessions": [self.info(session) for session in found]}, following)

    async def get(self, session_id: str) -> Json:
        """`SessionInfo`, and its `options` as `configure` answers. Raises: RequestRejected SessionNotFound."""
        session = await self._session(session_id)
        return {**self.info(session), "options": self.options(session)}

    def default_mode(self) -> str:
        """The mode of sessions that have none of their own."""
        return self._world.default_mode()

    async def read(self, session_id: str, *, cursor: str | None = None, limit: int | None = None) -> Json:
        """`{messages, nextCursor?}`, oldest first, with everything said so far. Raises: RequestRejected."""
        await self._session(session_id)
        self._world.flush(session_id)
        messages, following = await self._world.store.messages(session_id, limit=_page(limit), cursor=cursor)
        return _with_cursor({"messages": [self._world.wire.message(item) for item in messages]}, following)

    async def rename(self, session_id: str, title: str) -> Json:
        """Give a name no generated title overwrites. Stored when this returns. Raises: RequestRejected, StoreError."""
        name = _one_line(title)
        if not name:
            raise _invalid("title", "must not be empty")
        await self._session(session_id)
        await self._say(
            session_id,
            {"sessionUpdate": "session_info_update", "title": name},
            self._patch(session_id, {"title": name, "title_is_users": True}),
        )
        return {}

    async def fork(self, session_id: str, at_message_id: str | None = None) -> Json:
        """`{sessionId}` of a copy up to and including a message. One transaction; the original is not touched.

        Messages get new ids in the same order; one that is still being written is left out. Raises: RequestRejected.
        """
        source = await self._session(session_id)
        self._world.flush(session_id)
        messages, _ = await self._world.store.messages(session_id)
        if at_message_id is not None:
            places = [index for index, item in enumerate(messages) if item.message_id == at_message_id]
            if not places:
                raise _invalid("atMessageId", "is not a message of this session")
            messages = messages[: places[0] + 1]
        messages = [item for item in messages if item.finish is not None]
        new_ids = {item.message_id: self._world.clock.new_id() for item in messages}
        copy = self._copy(source, new_ids, is_whole=at_message_id is None)
        await self._world.store.write([PutSession(copy), *_copied(messages, new_ids, copy.session_id)])
        return {"sessionId": copy.session_id}

    async def export(self, session_id: str, form: str) -> Json:
        """`{text}`; `form` is `markdown` or `json`. Raises: RequestRejected."""
        session = await self._session(session_id)
        self._world.flush(session_id)
        messages, _ = await self._world.store.messages(session_id)
        info = self.info(session)
        wire = self._world.wire
        return {"text": wire.as_json(info, messages) if form == "json" else wire.as_markdown(info, messages)}

    async def configure(self, session_id: str, option_id: str, value: str | bool | None) -> Json:
        """Set one option, or with None give it back to the configuration. `{options}` after it.

        Stored when this returns, but for `full-auto`, which ends with the process. Raises: RequestRejected, StoreError.
        """
        if option_id not in _OPTIONS:
            raise _invalid("optionId", f"must be one of {', '.join(_OPTIONS)}")
        if is_child(session_id):
            raise of_a_subagent(session_id)
        session = await self._session(session_id)
        chosen = self._checked(session, option_id, value)
        await self._world.open_session(session_id)
        # no await from here to the write: a second request must see the first one's choice
        options = dict(self.options_of(session))
        options.pop(option_id, None)
        if chosen is not None:
            options[option_id] = chosen
        self._options[session_id] = options
        shown = self.options(session)
        stored = {key: item for key, item in options.items() if item != NEVER_STORED}
        self._world.events.durable(
            session_id,
            None,
            {"sessionUpdate": "config_option_update", "options": shown},
            writes=[self._patch(session_id, {"options": stored})],
        )
        await self._world.store.flush()
        return {"options": shown}

    def info(self, session: Session) -> Json:
        """`SessionInfo`. Never waits."""
        is_busy, queued = self._world.activity(session.session_id)
        return self._world.wire.session_info(
            session, is_busy=is_busy, queued=queued, model=self._model(session, "large")
        )

    def options_of(self, session: Session) -> Mapping[str, Any]:
        """Options in force: `model.large`, `model.small`, `mode`, `thinking`, where the session has its own.

        Stored ones, but for what this process changed; a stored `full-auto` does not count. Never waits.
        """
        live = self._options.get(session.session_id)
        if live is not None:
            return live
        return {key: item for key, item in session.options.items() if item != NEVER_STORED}

    def options(self, session: Session) -> Sequence[Json]:
        """Every option with its value in force and what it may be, as `configure` answers and announces."""
        own = self.options_of(session)
        models = [model.ref for model in self._world.providers.models()][:500]
        values: dict[str, tuple[str | None, Sequence[str]]] = {
            "model.large": (self._model(session, "large"), models),
            "model.small": (self._model(session, "small"), models),
            "mode": (own.get("mode", self._world.default_mode()), list(MODES)),
            "thinking": (own.get("thinking"), self._efforts(session)),
        }
        return [
            {"optionId": option_id, "name": _OPTIONS[option_id], "value": value, "choices": [*choices]}
            for option_id, (value, choices) in values.items()
        ]

    def forget(self, session_id: str) -> None:
        """The session is deleted."""
        self._options.pop(session_id, None)

    # -------------------------------------------------------------------------------------------------------- parts

    async def _session(self, session_id: str) -> Session:
        session = await self._world.store.session(session_id)
        if session is None:
            raise RequestRejected("SessionNotFound", "No such session", id=session_id)
        return session

    async def _say(self, session_id: str, update: Json, write: Write) -> None:
        await self._world.open_session(session_id)
        self._world.events.durable(session_id, None, update, writes=[write])
        await self._world.store.flush()

    def _patch(self, session_id: str, changes: Mapping[str, Any]) -> PatchSession:
        return PatchSession(session_id, self._world.clock.now_ms(), changes, {})

    def _checked(self, session: Session, option_id: str, value: str | bool | None) -> str | None:
        """The value as it is kept. Raises: RequestRejected(InvalidParams)."""
        if value is None or (value == "" and option_id != "mode"):
            return None
        if option_id == "thinking":
            return self._thinking(session, value)
        if not isinstance(value, str):
            raise _invalid("value", "must be a string or null")
        if option_id == "mode":
            if value not in MODES:
                raise _invalid("value", f"must be one of {', '.join(MODES)}")
            return value
        try:
            return self._world.providers.resolve(value, role=option_id.removeprefix("model.")).ref
        except ProviderError as error:
            raise _invalid("value", error.message) from error

    def _thinking(self, session: Session, value: str | bool) -> str:
        if isinstance(value, bool):
            value = "on" if value else "off"
        choices = self._efforts(session)
        if value not in choices:
            raise _invalid("value", f"must be one of {', '.join(choices)}")
        return value

    def _efforts(self, session: Session) -> Sequence[str]:
        """Levels of the session's large model. `off` is always one, `on` where the model can think."""
        try:
            model = self._world.providers.resolve(self.options_of(session).get("model.large"), role="large")
        except ProviderError:
            return ["off", "on"]
        levels = [level for level in model.reasoning_efforts if level not in ("off", "on")]
        return ["off", *(["on"] if model.can_reason or levels else []), *levels]

    def _model(self, session: Session, role: str) -> str | None:
        """`provider/model` a run would use; None when there is none."""
        try:
            return self._world.providers.resolve(self.options_of(session).get(f"model.{role}"), role=role).ref
        except ProviderError:
            return None

    def _copy(self, source: Session, new_ids: Mapping[str, str], *, is_whole: bool) -> Session:
        now = self._world.clock.now_ms()
        return replace(
            source,
            session_id=self._world.clock.new_id(),
            title=source.title if source.title == UNTITLED else _one_line(f"{source.title} (fork)"),
            parent_session_id=None,
            parent_tool_call_id=None,
            prompt_tokens=source.prompt_tokens if is_whole else 0,
            completion_tokens=source.completion_tokens if is_whole else 0,
            cost_usd=0.0,
            summary_message_id=new_ids.get(source.summary_message_id or ""),
            options={key: item for key, item in self.options_of(source).items() if item != NEVER_STORED},
            created_at_ms=now,
            updated_at_ms=now,
            message_count=0,
            seq=0,
        )


def _copied(messages: Sequence[Message], new_ids: Mapping[str, str], session_id: str) -> list[Write]:
    writes: list[Write] = []
    for item in messages:
        copy = item.copy()
        copy.message_id, copy.session_id, copy.run_key = new_ids[item.message_id], session_id, None
        writes.append(PutMessage(copy))
    return writes


def _one_line(title: str) -> str:
    """Control characters and runs of white space become one space; bounded."""
    return " ".join("".join([char if char.isprintable() else " " for char in title]).split())[:MAX_TITLE_CHARS].rstrip()


def _page(limit: int | None) -> int:
    return min(max(limit or _PAGE, 1), _MAX_PAGE)


def _with_cursor(page: Json, following: str | None) -> Json:
    if following is not None:
        page["nextCursor"] = following
    return page


def _invalid(path: str, sentence: str) -> RequestRejected:
    return RequestRejected("InvalidParams", f"{path}: {sentence}", path=path)
