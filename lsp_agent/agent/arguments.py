"""Reading the arguments a model wrote: JSON, mended where the intent is plain, then held against the tool's schema.

Pure. Mending knows four habits of models: a fence of back-ticks round the object, a trailing comma, brackets that were
never closed, and a string that was never closed. Anything else is an error the model gets to read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

_FENCE = re.compile(r"\A\s*```[\w-]*\s*\n?(.*?)\n?\s*```\s*\Z", re.DOTALL)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def read_object(text: str) -> tuple[dict[str, Any] | None, str]:
    """The object that `text` means and the JSON to keep of it; (None, `{}`) when it means none.

    What is valid is kept as it was written; empty text is the empty object.
    """
    if not text.strip():
        return {}, "{}"
    for candidate in _readings(text):
        try:
            value = orjson.loads(candidate)
            orjson.dumps(value)  # what is nested too deeply to be written can be read, but not announced
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            continue
        return (value, candidate) if isinstance(value, dict) else (None, "{}")
    return None, "{}"


def _readings(text: str) -> Sequence[str]:
    fenced = _FENCE.match(text)
    inner = fenced.group(1) if fenced else text
    return (text, inner, _mended(inner))


def _mended(text: str) -> str:
    """The text with trailing commas dropped and everything open closed."""
    out: list[str] = []
    open_brackets: list[str] = []
    in_string = escaped = False
    for char in text.strip():
        if in_string:
            out.append(char)
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
            continue
        if char in "}]":
            _drop_comma(out)
            if open_brackets and open_brackets[-1] == char:
                open_brackets.pop()
        elif char in "{[":
            open_brackets.append("}" if char == "{" else "]")
        elif char == '"':
            in_string = True
        out.append(char)
    if escaped:
        out.pop()
    if in_string:
        out.append('"')
    _drop_comma(out)
    return "".join(out) + "".join(reversed(open_brackets))


def _drop_comma(out: list[str]) -> None:
    index = len(out) - 1
    while index >= 0 and out[index].isspace():
        index -= 1
    if index >= 0 and out[index] == ",":
        del out[index]


def problems(value: Any, schema: Mapping[str, Any], where: str = "") -> list[str]:
    """What does not fit the schema, one sentence each; empty when it fits.

    Understands type, enum, required, properties, additionalProperties false, items, minimum, maximum, minLength,
    maxLength, minItems and maxItems, which is all our tools use; other keywords are ignored.
    """
    name = where or "the arguments"
    wanted = schema.get("type")
    if wanted is not None and not _is_type(value, wanted):
        text = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return [f"{name} must be of type {text}"]
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{name} must be one of {', '.join(repr(one) for one in schema['enum'])}")
    found.extend(_outside_limits(value, schema, name))
    if isinstance(value, dict):
        found.extend(_object_problems(value, schema, where))
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            found.extend(problems(item, schema["items"], f"{where}[{index}]"))
    return found


def _is_type(value: Any, wanted: str | Sequence[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    for name in names:
        if isinstance(value, bool):
            if name == "boolean":
                return True
        elif isinstance(value, _TYPES.get(name, (object,))):
            return True
    return False


def _outside_limits(value: Any, schema: Mapping[str, Any], name: str) -> list[str]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        size, low, high, unit = value, schema.get("minimum"), schema.get("maximum"), ""
    elif isinstance(value, str):
        size, low, high, unit = len(value), schema.get("minLength"), schema.get("maxLength"), " characters"
    elif isinstance(value, list):
        size, low, high, unit = len(value), schema.get("minItems"), schema.get("maxItems"), " items"
    else:
        return []
    if low is not None and size < low:
        return [f"{name} must be at least {low}{unit}"]
    if high is not None and size > high:
        return [f"{name} must be at most {high}{unit}"]
    return []


def _object_problems(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> list[str]:
    known: Mapping[str, Any] = schema.get("properties") or {}
    prefix = f"{where}." if where else ""
    found = [f"{prefix}{key} is required" for key in schema.get("required", ()) if key not in value]
    for key, item in value.items():
        if key in known:
            found.extend(problems(item, known[key], prefix + key))
        elif schema.get("additionalProperties") is False:
            found.append(f"{prefix}{key} is not a parameter (known: {', '.join(sorted(known))})")
    return found
