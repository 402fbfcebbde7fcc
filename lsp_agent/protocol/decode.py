"""Untrusted params to typed params. The only way in.

What is wrong is said with the path of the first field that does not fit and a sentence of ours: never the value that
was sent, never a word of the validator's own.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol.base import Wire
from lsp_agent.protocol.errors import invalid_params

Params = TypeVar("Params", bound=Wire)

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "is not valid Unicode",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has the wrong form",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "too_long": "has too many items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "literal_error": "is not one of the known values",
    "union_tag_invalid": "is not a known type",
    "union_tag_not_found": "has the wrong type",
}


def decode(params_type: type[Params], raw: Any) -> Params:
    """`raw` (parsed JSON) as `params_type`.

    Shape: a missing or null `params` reads as `{}`. Raises: RequestRejected, kind `InvalidParams`, with
    `data.path` such as `attachments[0].uri` (empty = the params themselves); nothing else, whatever `raw` holds.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise invalid_params("", "params must be an object")
    try:
        return params_type.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _rejection(str(first["type"]), first["loc"], first.get("ctx"), raw) from None


def _rejection(kind: str, location: Sequence[int | str], context: Any, raw: Any) -> RequestRejected:
    steps = _within(raw, [step for step in location if not (isinstance(step, str) and step.startswith("<"))], kind)
    if kind.startswith("union_tag") and isinstance(_at(raw, steps), dict):
        steps.append("type")
        kind = (
            "missing" if kind == "union_tag_not_found" and "type" not in _at(raw, steps[:-1]) else "union_tag_invalid"
        )
    sentence = _SENTENCES.get(kind, "is not valid")
    if kind == "value_error" and isinstance(context, dict):
        # our own validators raise ValueError with a text that names fields only
        sentence = str(context.get("error", sentence))
    return invalid_params(path_of(steps), sentence)


def path_of(steps: Sequence[int | str]) -> str:
    """`("attachments", 0, "uri")` as `attachments[0].uri`."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


def _within(raw: Any, steps: Sequence[int | str], kind: str) -> list[int | str]:
    """`steps` as far as they name keys: behind a value of the wrong type pydantic goes on with members of a union, and
    a default that does not fit is named by its attribute.
    """
    names_absent = kind in ("missing", "value_error")
    kept: list[int | str] = []
    for step in steps:
        here = _at(raw, kept)
        is_absent = isinstance(here, dict) and step not in here
        if not isinstance(here, dict if isinstance(step, str) else list) or (is_absent and not names_absent):
            break
        kept.append(to_camel(step) if is_absent and isinstance(step, str) else step)
    return kept


def _at(raw: Any, steps: Sequence[int | str]) -> Any:
    for step in steps:
        is_there = step in raw if isinstance(raw, dict) else isinstance(raw, list) and step in range(len(raw))
        if not is_there:
            return None
        raw = raw[step]
    return raw
