"""Small pieces of encoding that every dialect needs: images, tool inputs, call ids, the request's bytes.

The dialects encode text, images, reasoning, tool calls and tool results. Text attachments and shell parts are already
inlined into the prompt by the agent's history and are skipped.
"""

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from lsp_agent.domain.message import AttachmentPart, Message, ToolResultPart

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MAX_CALL_ID = 64
_COUNT_LIMIT = 2**53 - 1
_BAD_ID_CHARACTERS = re.compile(r"[^A-Za-z0-9_-]")
_OWN_ID = re.compile(r"call_[0-9a-f]{24}")


def body_bytes(body: Mapping[str, Any]) -> bytes:
    """The request body as JSON. Lone surrogates (from a tool or a client) become `?` instead of an exception."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, ensure_ascii=False, default=str).encode("utf-8", "replace")


def image_base64(part: AttachmentPart | ToolResultPart) -> tuple[str, str] | None:
    """(mime type, base64) of an image the services take; None for anything else."""
    mime = (part.mime_type or "").lower().replace("image/jpg", "image/jpeg")
    if not part.data or mime not in IMAGE_TYPES:
        return None
    return mime, base64.b64encode(part.data).decode("ascii")


def image_url(part: AttachmentPart | ToolResultPart) -> str | None:
    """The same as a `data:` URL."""
    image = image_base64(part)
    return f"data:{image[0]};base64,{image[1]}" if image else None


def input_object(text: str) -> dict[str, Any]:
    """A tool call's stored input as an object; `{}` when it is not one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def wire_call_id(call_id: str, *, restricted: bool = False) -> str:
    """A call id that the dialect accepts: at most 64 characters, and only letters, digits, `_`, `-` when `restricted`.

    Promise: the same id always maps to the same wire id, so a call and its result stay together.
    """
    bad = len(call_id) > MAX_CALL_ID or (restricted and _BAD_ID_CHARACTERS.search(call_id)) or not call_id
    if not bad:
        return call_id
    digest = hashlib.blake2s(call_id.encode("utf-8", "replace"), digest_size=12).hexdigest()
    return f"call_{digest}"


def wire_tool_name(name: str) -> str:
    """A name the services accept in history; a model may have invented one that is not."""
    return _BAD_ID_CHARACTERS.sub("_", name)[:64] or "unknown"


class CallIds:
    """Gives every call of a step an id that is non-empty and new in the conversation."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def claim(self, call_id: object) -> str:
        """`call_id` itself when it is a fresh non-empty string, else one of ours."""
        if not isinstance(call_id, str) or not call_id or call_id in self._taken:
            call_id = f"call_{os.urandom(12).hex()}"
        self._taken.add(call_id)
        return call_id


def is_own_call_id(call_id: str) -> bool:
    """True for an id that `CallIds` made up because the service gave none."""
    return _OWN_ID.fullmatch(call_id) is not None


def call_ids_of(messages: Iterable[Message]) -> set[str]:
    """Ids of the calls already made."""
    return {call.tool_call_id for message in messages for call in message.tool_calls}


def count(value: object) -> int:
    """A token counter as an int that is neither negative nor absurd; 0 for anything that is no number (F24)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return min(max(int(value), 0), _COUNT_LIMIT)


def money(value: object) -> float | None:
    """A cost in USD; None when absent, negative or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge: objects are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        result[key] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result
