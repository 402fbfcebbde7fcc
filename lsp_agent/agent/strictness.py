"""What a call's arguments must not be even when they are a valid object: too large, or saying one thing twice.

Readers of JSON differ on which of two equal keys counts, so a person could be shown another command than the one that
runs (RELIABILITY PI-10). Pure.
"""

import json
from typing import Any

MAX_INPUT_CHARS = 1_000_000
"""Of one call. A call that writes text may hold more."""
MAX_WRITING_CHARS = 24_000_000
"""The longest text a file may be given, escaped."""


class _Twice(Exception):
    """A key occurs twice in one object."""


def refusal_of(text: str, *, writes: bool) -> str:
    """Why the arguments written as `text` are not taken, one sentence for the model; empty when they are.

    `writes`: the tool gives a file its text. Takes some 10 ms a megabyte.
    """
    limit = MAX_WRITING_CHARS if writes else MAX_INPUT_CHARS
    if len(text) > limit:
        return f"The arguments of this call are too long: {len(text)} characters, the limit is {limit}."
    try:
        json.loads(text, object_pairs_hook=_object)
    except _Twice as error:
        return f"The arguments of this call name {str(error)[:80]!r} twice. Call it again with each name once."
    except (ValueError, RecursionError):
        return "The arguments of this call were not a valid JSON object. Call it again."
    return ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _Twice(key)
        made[key] = value
    return made
