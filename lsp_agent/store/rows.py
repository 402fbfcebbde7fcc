"""Rows and what they mean: pure functions between database values and domain objects.

Everything that came from outside is made storable here (RELIABILITY F16), so that the writer never meets a value the
database cannot take. Knows nothing of connections or SQL.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import AttachmentPart, Message, Part, Role, part_from_json, part_to_json
from lsp_agent.domain.model import Sampling
from lsp_agent.domain.run import Run, RunOptions, RunState
from lsp_agent.domain.session import Session, Todo
from lsp_agent.ports.store import StoredRun

_MAX_INT = 2**63 - 1
_MAX_DEPTH = 100

Row = Sequence[Any]

SESSION_COLUMNS = (
    "session_id, title, title_is_users, parent_session_id, parent_tool_call_id, root, prompt_tokens, completion_tokens,"
    " cost_usd, estimated_usage, summary_message_id, todos, options, created_at_ms, updated_at_ms, message_count, seq"
)
MESSAGE_COLUMNS = (
    "message_id, session_id, role, parts, model, provider, is_summary, created_at_ms, updated_at_ms, run_key"
)
RUN_COLUMNS = "run_key, session_id, run_id, state, stop_reason, into_key, content_hash, prompt, body, accepted_at_ms"


def clean_text(text: str) -> str:
    """`text` without what a TEXT column cannot hold: lone surrogates and NUL become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # joins pairs, too
    return text


def clean_text_or_none(text: str | None) -> str | None:
    """As `clean_text`, None stays."""
    return None if text is None else clean_text(text)


def clean_int(value: int) -> int:
    """`value` within the 63 bits of an INTEGER column, at its nearest end when beyond."""
    return max(-_MAX_INT, min(_MAX_INT, int(value)))


def encode_json(value: Any) -> bytes:
    """JSON text as UTF-8. What JSON cannot say (surrogates, huge integers, bytes, odd keys) is made sayable."""
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson.JSONEncodeError is one
        return orjson.dumps(_sayable(value, 0))


def decode_json(text: bytes | str) -> Any:
    """The inverse. Raises: StoreError for text that is not JSON."""
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise StoreError(f"a stored value is not JSON: {error}") from error


def encode_text(text: str) -> bytes:
    """A file's text, kept exactly, whatever code points it holds."""
    return text.encode("utf-8", "surrogatepass")


def decode_text(data: bytes) -> str:
    """The inverse of `encode_text`."""
    return data.decode("utf-8", "surrogatepass")


def session_row(session: Session) -> tuple[Any, ...]:
    """Values in the order of `SESSION_COLUMNS`."""
    return (
        clean_text(session.session_id),
        clean_text(session.title),
        int(session.title_is_users),
        clean_text_or_none(session.parent_session_id),
        clean_text_or_none(session.parent_tool_call_id),
        clean_text_or_none(session.root),
        clean_int(session.prompt_tokens),
        clean_int(session.completion_tokens),
        float(session.cost_usd),
        int(session.estimated_usage),
        clean_text_or_none(session.summary_message_id),
        encode_json([dataclasses.asdict(todo) for todo in session.todos]),
        encode_json(session.options),
        clean_int(session.created_at_ms),
        clean_int(session.updated_at_ms),
        session.message_count,
        session.seq,
    )


def session_from(row: Row) -> Session:
    """The session of a row. Raises: StoreError."""
    try:
        todos = tuple([Todo(**todo) for todo in decode_json(row[11])])
    except TypeError as error:
        raise StoreError(f"session {row[0]!r} has a plan that cannot be read") from error
    return Session(
        session_id=row[0],
        title=row[1],
        title_is_users=bool(row[2]),
        parent_session_id=row[3],
        parent_tool_call_id=row[4],
        root=row[5],
        prompt_tokens=row[6],
        completion_tokens=row[7],
        cost_usd=row[8],
        estimated_usage=bool(row[9]),
        summary_message_id=row[10],
        todos=todos,
        options=decode_json(row[12]),
        created_at_ms=row[13],
        updated_at_ms=row[14],
        message_count=row[15],
        seq=row[16],
    )


def message_row(message: Message) -> tuple[Any, ...]:
    """Values in the order of `MESSAGE_COLUMNS`."""
    return (
        clean_text(message.message_id),
        clean_text(message.session_id),
        str(message.role),
        encode_json([part_to_json(part) for part in message.parts]),
        clean_text_or_none(message.model),
        clean_text_or_none(message.provider),
        int(message.is_summary),
        clean_int(message.created_at_ms),
        clean_int(message.updated_at_ms),
        clean_text_or_none(message.run_key),
    )


def message_from(row: Row, decoded: Sequence[Part] | None = None) -> Message:
    """The message of a row. `decoded`: its parts, when they are known from this very row.

    Raises: StoreError for a part nobody knows (nothing is dropped in silence).
    """
    try:
        parts = [part_from_json(part) for part in decode_json(row[3])] if decoded is None else list(decoded)
        role = Role(row[2])
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"message {row[0]!r} cannot be read: {error}") from error
    return Message(
        message_id=row[0],
        session_id=row[1],
        role=role,
        parts=parts,
        model=row[4],
        provider=row[5],
        is_summary=bool(row[6]),
        created_at_ms=row[7],
        updated_at_ms=row[8],
        run_key=row[9],
    )


def run_row(run: Run) -> tuple[Any, ...]:
    """Values in the order of `RUN_COLUMNS`, for a run that was just accepted."""
    options = {name: getattr(run.options, name) for name in RunOptions.__dataclass_fields__}
    options["sampling"] = dataclasses.asdict(run.options.sampling)
    options["provider_options"] = dict(run.options.provider_options)
    body = {
        "message_id": run.message_id,
        "attachments": [part_to_json(part) for part in run.attachments],
        "options": options,
        "fold": run.fold,
        "fold_into": run.fold_into,
    }
    return (
        clean_text(run.run_key),
        clean_text(run.session_id),
        clean_text_or_none(run.run_id),
        RunState.QUEUED.value,
        None,
        None,
        clean_text(run.content_hash),
        clean_text(run.prompt),
        encode_json(body),
        clean_int(run.accepted_at_ms),
    )


def run_from(row: Row) -> StoredRun:
    """The run of a row; `accept_seq` is 0. A folded run names the run it joined in `fold_into`. Raises: StoreError."""
    body = decode_json(row[8])
    try:
        sampling = Sampling(**body["options"].pop("sampling"))
        run = Run(
            run_key=row[0],
            session_id=row[1],
            run_id=row[2],
            message_id=body["message_id"],
            prompt=row[7],
            attachments=tuple([_attachment(part) for part in body["attachments"]]),
            options=RunOptions(sampling=sampling, **body["options"]),
            content_hash=row[6],
            fold=body["fold"],
            fold_into=row[5] or body["fold_into"],
            accepted_at_ms=row[9],
        )
        return StoredRun(run, RunState(row[3]), row[4])
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"run {row[0]!r} cannot be read: {error}") from error


def _attachment(value: dict[str, Any]) -> AttachmentPart:
    part = part_from_json(value)
    if not isinstance(part, AttachmentPart):
        raise ValueError("not an attachment")
    return part


def _sayable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return clean_text(str(value))
    if isinstance(value, int):
        return int(value) if -_MAX_INT <= value <= _MAX_INT else str(value) if abs(value) > 10**300 else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _sayable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_sayable(item, depth + 1) for item in value]
    return clean_text(str(value))
