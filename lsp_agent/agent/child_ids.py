"""The ids of sub-agents' sessions (CORE 18). Pure."""

import re

import xxhash

SEPARATOR = "$$"
_PLAIN = re.compile(r"[\w.:-]{1,100}", re.ASCII)


def child_session_id(message_id: str, tool_call_id: str) -> str:
    """`<assistant message id>$$<tool call id>`; a hash of a call id that is long or has other characters than usual."""
    plain = _PLAIN.fullmatch(tool_call_id)
    return (
        message_id
        + SEPARATOR
        + (tool_call_id if plain else xxhash.xxh3_64_hexdigest(tool_call_id.encode("utf-8", "replace")))
    )


def is_child(session_id: str) -> bool:
    """Whether the session belongs to a sub-agent: it is shown, but cannot be continued, steered or configured."""
    return SEPARATOR in session_id
