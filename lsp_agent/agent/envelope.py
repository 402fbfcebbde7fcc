"""JSON bytes of what leaves the agent. Pure; takes text that is not valid Unicode, too."""

from typing import Any

import orjson

_BIGGEST = 2**63 - 1


def encode(value: Any) -> bytes:
    """`value` as JSON. Lone surrogates become U+FFFD, integers are clamped to 64 bits, the rest must be ready.

    Raises: TypeError for values that have no JSON.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_clean(value))


def event(
    session_id: str,
    run_id: str | None,
    seq: int,
    update: Any,
    *,
    has_run: bool,
    parent: dict[str, str] | None,
) -> bytes:
    """Params of one `agent/event`. `runId` is left out for what belongs to no run, null for a run without an id."""
    params: dict[str, Any] = {"sessionId": session_id}
    if has_run:
        params["runId"] = run_id
    params["seq"] = seq
    if parent is not None:
        params["parent"] = parent
    params["update"] = update
    return encode(params)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return max(-_BIGGEST, min(_BIGGEST, value))
    if isinstance(value, dict):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
