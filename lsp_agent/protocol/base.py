"""What every wire type shares: camelCase names, strict scalars, unknown fields ignored, open enums.

Strict means a wrong JSON type is an error and never converted, with one exception: a number without a fraction is an
integer however it was written (`3.0`), because some editors have only one kind of number. `null` reads as absent for
every optional field. Models are built when first used, so importing this package stays cheap.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

MAX_INT = 2**53 - 1
"""The largest integer every JSON reader keeps exactly."""
MAX_TEXT_CHARS = 8 * 1024 * 1024
"""Cap of a prompt or an attached text."""


class Wire(BaseModel):
    """Base of every object on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        strict=True,
        extra="ignore",
        frozen=True,
        defer_build=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


class Empty(Wire):
    """No fields: params that need none, results that say no more than `done`."""


def _integral(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def known(*values: str, otherwise: str | None = None) -> Callable[[str | None], str | None]:
    """A validator for an open enum: a value nobody here knows reads as `otherwise`."""

    def check(value: str | None) -> str | None:
        return value if value in values else otherwise

    return check


def open_enum(*values: str) -> WithJsonSchema:
    """The JSON Schema of an open enum: the known values, or any other string."""
    return WithJsonSchema({"type": "string", "anyOf": [{"enum": list(values)}, {}]})


Int = Annotated[int, BeforeValidator(_integral), Field(ge=-MAX_INT, le=MAX_INT)]
Count = Annotated[int, BeforeValidator(_integral), Field(ge=0, le=MAX_INT)]
Limit = Annotated[int, BeforeValidator(_integral), Field(ge=1, le=MAX_INT)]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=512)]
RunId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=32_768)]
Short = Annotated[str, StringConstraints(max_length=4096)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)]
Base64 = Annotated[str, StringConstraints(min_length=1, max_length=24 * 1024 * 1024)]
Timestamp = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
"""RFC 3339 in UTC with milliseconds: `2026-11-22T22:22:59.123Z`."""
JsonObject = dict[str, Any]


class Position(Wire):
    """Zero-based, in the encoding negotiated by `initialize`."""

    line: Count
    character: Count


class Range(Wire):
    """Half-open."""

    start: Position
    end: Position


class Paging(Wire):
    """Where a page starts (as a former answer said) and how much it may hold."""

    cursor: Short | None = None
    limit: Limit | None = None


class Page(Wire):
    """`next_cursor` is absent on the last page."""

    next_cursor: str | None = None
