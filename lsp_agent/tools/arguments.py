"""What tools share about their arguments: the schema's outer shape, and reading values that may be of any type.

`title` of a tool is called with whatever has streamed in so far, so nothing here raises.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.domain.errors import ToolError

MAX_TEXT_CHARS = 10_000_000
"""Largest text one call may write: more is a runaway model, not a source file."""


def object_schema(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """A JSON Schema object that refuses unknown keys."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def text_argument(arguments: Mapping[str, Any], name: str, default: str = "") -> str:
    """The string under `name`, or `default` when it is missing or something else."""
    value = arguments.get(name)
    return value if isinstance(value, str) else default


def number_argument(arguments: Mapping[str, Any], name: str, default: int) -> int:
    """The whole number under `name`, or `default` when it is missing or something else."""
    value = arguments.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def one_line(text: str, limit_chars: int = 80) -> str:
    """`text` fit for a title: control characters become spaces, long text is cut with an ellipsis."""
    flat = " ".join("".join([ch if ch.isprintable() else " " for ch in text[: limit_chars * 4]]).split())
    return flat if len(flat) <= limit_chars else flat[: limit_chars - 1] + "…"


def require_writable_text(text: str, name: str) -> None:
    """Refuse text that no file should be given.

    Raises: ToolError for more than `MAX_TEXT_CHARS` characters, and for lone surrogates, which UTF-8 cannot hold.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise ToolError(f"{name} is too long: {len(text)} characters, the limit is {MAX_TEXT_CHARS}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError(f"{name} holds a lone surrogate at character {error.start}; it is not valid text.") from error
