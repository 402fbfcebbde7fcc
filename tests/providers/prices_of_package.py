"""The list that we ship, made of the package `genai-prices` (MIT, Pydantic Services Inc.): what we use of it, as JSON.

UPDATE_SNAPSHOTS=1 pytest tests/providers/test_prices.py writes it anew, after the package was updated.
"""

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson

PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
LEFT_OUT = "huggingface_"
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def shipped_bytes() -> bytes:
    """The file: JSON in the shape of the published list, one model a line."""
    from genai_prices.data import providers

    blocks = []
    for provider in providers:
        if provider.id.startswith(LEFT_OUT):
            continue
        models = [orjson.dumps(_model(model), default=_said, option=_OPTIONS) for model in provider.models]
        name = orjson.dumps(provider.id)
        blocks.append(b'{"id": ' + name + b', "models": [\n' + b",\n".join(models) + b"\n]}")
    return b"[\n" + b",\n".join(blocks) + b"\n]\n"


def _model(model: Any) -> dict[str, Any]:
    prices = model.prices
    if isinstance(prices, list):
        told: object = [{"constraint": _fields(one.constraint), "prices": _prices(one.prices)} for one in prices]
    else:
        told = _prices(prices)
    found = {
        "id": model.id,
        "name": model.name,
        "context_window": model.context_window,
        "match": _fields(model.match),
        "prices": told,
    }
    return {name: value for name, value in found.items() if value not in (None, {})}


def _prices(prices: Any) -> dict[str, Any]:
    """The four we know; of those that depend on the length of the prompt the first band."""
    found: dict[str, Any] = {}
    for name, value in _attributes(prices):
        if name in PRICES and value is not None:
            found[name] = _fields(value) if isinstance(value, Decimal) else _fields(value)["base"]
    return found


def _fields(value: Any) -> Any:
    """An object of the package as plain data; its `or_` and `and_` are the file's `or` and `and`."""
    if isinstance(value, list):
        return [_fields(one) for one in value]
    if dataclasses.is_dataclass(value):
        return {name.rstrip("_"): _fields(one) for name, one in _attributes(value)}
    return value


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    for name, one in vars(value).items():
        if not name.startswith("_"):
            yield name, one


def _said(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)
