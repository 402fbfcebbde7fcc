"""The `agent` blocks of `initialize` (PROTOCOL 2). One wrong field of the client's costs that field only."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from lsp_agent.protocol.base import Count, Empty, Identifier, Int, JsonObject, Limit, Short, Wire, known, open_enum

PROTOCOL_VERSION = 1
_CHANNELS = ("event", "showMessage", "none")
Channel = Annotated[str, AfterValidator(known(*_CHANNELS, otherwise="event")), open_enum(*_CHANNELS)]


class ClientInfo(Wire):
    """Who connects. `id` survives restarts of the editor."""

    id: Short | None = None
    name: Short | None = None
    version: Short | None = None


class EventWishes(Wire):
    """Which events this connection wants. `max_latency_ms`: merge chunks for so long; 0 = as they come."""

    enabled: bool = True
    opt_out: Annotated[list[Short], Field(max_length=100)] = Field(default_factory=list)
    opt_in: Annotated[list[Short], Field(max_length=100)] = Field(default_factory=list)
    max_latency_ms: Annotated[int, Field(ge=0, le=10_000)] = 0


class UiWishes(Wire):
    """How the user is asked."""

    permission: Channel = "event"
    question: Channel = "event"


class EditorWishes(Wire):
    """What the editor can do for us. `lsp`: methods of `agent/editor/lsp`."""

    lsp: Annotated[list[Short], Field(max_length=200)] = Field(default_factory=list)
    diagnostics: Annotated[str, AfterValidator(known("push", "none", otherwise="none")), open_enum("push", "none")] = (
        "none"
    )
    selection: bool = False


class AttachWish(Wire):
    """A session to attach to at once."""

    session_id: Identifier
    after_seq: Count | None = None


class ClientBlock(Wire):
    """`initializationOptions.agent`, merged under `capabilities.experimental.agent`."""

    protocol_versions: Annotated[list[Int], Field(max_length=100)] = Field(default_factory=lambda: [PROTOCOL_VERSION])
    client: ClientInfo = Field(default_factory=ClientInfo)
    events: EventWishes = Field(default_factory=EventWishes)
    ui: UiWishes = Field(default_factory=UiWishes)
    editor: EditorWishes = Field(default_factory=EditorWishes)
    attach: Annotated[list[AttachWish], Field(max_length=1000)] = Field(default_factory=list)

    @property
    def version(self) -> int | None:
        """The highest version both sides speak; None = none."""
        return PROTOCOL_VERSION if PROTOCOL_VERSION in self.protocol_versions else None


class PromptAbilities(Wire):
    """What a prompt may hold."""

    image: bool
    buffer_ref: bool


class SessionAbilities(Wire):
    """Present = supported."""

    list: Empty | None = None
    read: Empty | None = None
    attach: Empty | None = None
    fork: Empty | None = None
    compact: Empty | None = None
    export: Empty | None = None


class RunAbilities(Wire):
    """Runs."""

    queue_max: Limit
    steer: Empty | None = None


class ChangeAbilities(Wire):
    """Changes."""

    hunk: bool
    undo: bool


class Limits(Wire):
    """Bounds a client should know."""

    max_message_bytes: Limit
    replay_events: Limit


class VersionError(Wire):
    """No common version."""

    kind: str
    supported_versions: list[Int]


class ServerBlock(Wire):
    """`InitializeResult.capabilities.experimental.agent`; only `error` when there is no common version."""

    protocol_version: Int | None = None
    instance_id: str | None = None
    version: str | None = None
    prompt: PromptAbilities | None = None
    session: SessionAbilities | None = None
    run: RunAbilities | None = None
    changes: ChangeAbilities | None = None
    checkpoint: JsonObject | None = None
    limits: Limits | None = None
    error: VersionError | None = None


def client_block(initialize_params: Mapping[str, Any]) -> ClientBlock | None:
    """The client's block; None = absent or not an object (tier 0).

    Shape: `capabilities.experimental.agent` wins field by field over `initializationOptions.agent`, objects are merged.
    Promise: never raises; a field that does not fit is left out, so a typing error in an editor's settings cannot keep
    the server from starting.
    """
    from_options = _get(initialize_params, "initializationOptions", "agent")
    from_plugin = _get(initialize_params, "capabilities", "experimental", "agent")
    if from_options is None and from_plugin is None:
        return None
    raw = _merge(from_options or {}, from_plugin or {})
    for _ in range(50):
        try:
            return ClientBlock.model_validate(raw)
        except ValidationError as error:
            for wrong in error.errors(include_url=False, include_input=False, include_context=False):
                _remove(raw, wrong["loc"])
    return ClientBlock.model_validate({})


def _get(value: Any, *path: str) -> dict[str, Any] | None:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return dict(value) if isinstance(value, Mapping) else None


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """A new tree; nothing of the arguments is shared that could be changed."""
    merged: dict[str, Any] = {key: _copy(value) for key, value in low.items()}
    for key, value in high.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merge(below, value)
        else:
            merged[key] = _copy(value)
    return {key: value for key, value in merged.items() if value is not None}


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items() if item is not None}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _remove(raw: dict[str, Any], location: tuple[int | str, ...]) -> None:
    """Take away the innermost thing on the path of an error that exists; an item of a list with it its whole field."""
    holder: Any = raw
    for step in location[:-1]:
        below = holder.get(step)
        if not isinstance(below, dict):
            holder.pop(step, None)
            return
        holder = below
    if location:
        holder.pop(location[-1], None)
