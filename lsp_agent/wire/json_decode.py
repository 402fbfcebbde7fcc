"""A message body as a Python object, or the reason why not.

orjson does the work; what it is too strict about (lone surrogates, which some editors send) or too lax about (integers
beyond 64 bits become floats) goes through the standard library, once more. Knows nothing of requests and answers.
"""

import json
import math
from typing import Any

import orjson

_INT_MIN = -(2**63)
_INT_MAX = 2**63 - 1
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19
"""2**63 has 19 digits: a body without such a run of digits holds no integer that is too large."""


class NotJson(Exception):
    """The body cannot be read at all: answered with -32700. The text holds nothing of the body."""


def decode(body: bytes, max_depth: int = 64) -> tuple[Any, bool]:
    """Read one body.

    Shape: `(value, exact)`; `exact` is False when the value holds a number that has no place in JSON or in 64 bits
    (NaN, Infinity, 2**63, 1e999), which then reads as None. A lone surrogate becomes U+FFFD. Of a key that occurs
    twice the last value wins. Raises: NotJson for invalid JSON or UTF-8, and for nesting beyond `max_depth`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_slowly(body, max_depth)
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_depth(value, max_depth)
    if _LONG_NUMBER in body.translate(_DIGITS_TO_ZERO) and _holds_large_number(value):
        return _decode_slowly(body, max_depth)
    return value, True


def replace_surrogates(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD, so that it is valid UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(value: Any) -> Any:
    """A copy of a JSON value with `replace_surrogates` applied to every string and key."""
    match value:
        case str():
            return value if value.isascii() else replace_surrogates(value)
        case list() | tuple():
            return [clean(item) for item in value]
        case dict():
            return {clean(key): clean(item) for key, item in value.items()}
        case _:
            return value


def _decode_slowly(body: bytes, max_depth: int) -> tuple[Any, bool]:
    reader = _NumberReader()
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_int=reader.integer,
            parse_float=reader.float,
            parse_constant=reader.constant,
        )
    except (ValueError, RecursionError) as error:
        raise NotJson("the message is not valid JSON") from error
    _check_depth(value, max_depth)
    return clean(value), not reader.refused


class _NumberReader:
    """Reads numbers for `json.loads` and remembers whether one was refused."""

    def __init__(self) -> None:
        self.refused = False

    def integer(self, digits: str) -> int | None:
        if len(digits) <= 20 and _INT_MIN <= int(digits) <= _INT_MAX:
            return int(digits)
        self.refused = True
        return None

    def float(self, digits: str) -> float | None:
        number = float(digits)
        if math.isfinite(number):
            return number
        self.refused = True
        return None

    def constant(self, _name: str) -> None:
        self.refused = True


def _check_depth(value: Any, max_depth: int) -> None:
    level: list[Any] = [value]
    for _ in range(max_depth):
        level = [child for node in level if isinstance(node, (dict, list)) for child in _children(node)]
        if not level:
            return
    raise NotJson(f"the message is nested deeper than {max_depth}")


def _children(node: dict[str, Any] | list[Any]) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node
    return [child for child in values if isinstance(child, (dict, list))]


def _holds_large_number(value: Any) -> bool:
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, (int, float)) and not _INT_MIN < node < 2**63:
            return True  # perhaps: a large float, or an integer that was made one
    return False
