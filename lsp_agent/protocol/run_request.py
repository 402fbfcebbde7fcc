"""`agent/run` as the handler gets it. A plain prompt is read by hand, so that the first one waits for no validator.

By hand is read only what cannot be wrong: a string with ids and nothing else. Everything that holds more, or anything
out of the ordinary, goes to the types (`protocol.accept`), which alone refuse and whose reading of a plain prompt is
the same (a test).
"""

from dataclasses import dataclass
from typing import Any

import orjson
import xxhash

from lsp_agent.domain.run import RunOptions

_KEYS = frozenset({"prompt", "sessionId", "runId", "whenBusy", "attachments", "options"})
WHEN_BUSY = ("queue", "fold", "reject", "interrupt")
"""What a prompt may do while a run is active (PROTOCOL 3)."""
_PLAIN_CHARS = 100_000
_PLAIN_ID_CHARS = 128


@dataclass(frozen=True, slots=True)
class Submitted:
    """A prompt in one text, and what is attached, as PROTOCOL 13 objects.

    The caller's attachments come first, so `attachments[i]` in an error names the caller's own.
    """

    prompt: str
    attachments: tuple[dict[str, Any], ...]
    options: RunOptions
    content_hash: str


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `agent/run` asks for. `when_busy` is None when absent or unknown."""

    content: Submitted
    session_id: str | None = None
    run_id: str | None = None
    when_busy: str | None = None


def read_run(raw: Any) -> RunRequest:
    """`raw` (parsed JSON). Raises: RequestRejected, kind `InvalidParams`, as `protocol.decode` does."""
    plain = plain_run(raw)
    if plain is not None:
        return plain
    from lsp_agent.protocol.accept import typed_run

    return typed_run(raw)


def plain_run(raw: Any) -> RunRequest | None:
    """The request when it is a plain one; None when the types must look at it."""
    if not isinstance(raw, dict) or not _KEYS.issuperset(raw):
        return None
    if raw.get("attachments") not in (None, []) or raw.get("options") not in (None, {}):
        return None
    prompt, session_id, run_id, when_busy = map(raw.get, ("prompt", "sessionId", "runId", "whenBusy"))
    if type(prompt) is not str or len(prompt) > _PLAIN_CHARS or not _is_unicode(prompt):
        return None
    if not (_is_plain_id(session_id) and _is_plain_id(run_id)):
        return None
    if when_busy is not None and (type(when_busy) is not str or when_busy not in WHEN_BUSY):
        return None
    content = Submitted(prompt, (), RunOptions(), hash_of({"prompt": prompt}))
    return RunRequest(content, session_id, run_id, when_busy)


def hash_of(fields: dict[str, Any]) -> str:
    """Hex XXH3-128 of JSON values whose order does not matter."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))


def _is_plain_id(value: Any) -> bool:
    return value is None or (type(value) is str and value.isascii() and 0 < len(value) <= _PLAIN_ID_CHARS)


def _is_unicode(text: str) -> bool:
    """Whether it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
