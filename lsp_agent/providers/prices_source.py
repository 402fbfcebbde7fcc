"""Where the price list comes from: the package `genai-prices` as installed, or the file its authors publish.

Both have one shape, JSON of providers with models. The published file is text from outside: every value is checked, and
what makes no sense is left out. Of prices that depend on the length of the prompt the first band counts; of prices that
change on a date the one in force.
"""

import dataclasses
import importlib
import math
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lsp_agent.providers.prices import Listed, PriceList
from lsp_agent.untrusted import clean

PACKAGE = "genai-prices"
_PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_MAX_USD = 10_000.0
_MAX_WINDOW = 100_000_000
_MAX_MODELS = 20_000
_MAX_DEPTH = 6
_LEFT_OUT = "huggingface_"
"""The list has one block for each of the router's inference hosts; none of them is a service of ours."""


def package_version() -> str:
    """The installed package's version; empty when it is not installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


def from_package(today: date) -> PriceList:
    """The installed list. Blocks for about a quarter of a second: for a thread. Raises: ImportError."""
    data: Any = importlib.import_module("genai_prices.data")
    raw = [{"id": provider.id, "models": [_plain(model) for model in provider.models]} for provider in data.providers]
    return from_raw(raw, today, source=f"{PACKAGE} {package_version()}")


def from_raw(raw: object, today: date, *, source: str) -> PriceList:
    """The list of decoded JSON. Raises: ValueError when it is nothing of the kind."""
    if not isinstance(raw, list):
        raise ValueError("not a list of providers")
    services: dict[str, list[Listed]] = {}
    left = _MAX_MODELS
    for provider in raw:
        service, models = _of(provider, "id"), _of(provider, "models")
        if not isinstance(service, str) or service.startswith(_LEFT_OUT) or not isinstance(models, list):
            continue
        found = [one for one in [_listed(model, today) for model in models[:left]] if one is not None]
        left -= len(found)
        services[service] = found
    if not services:
        raise ValueError("no provider in it")
    return PriceList(services, source)


def _listed(model: object, today: date) -> Listed | None:
    model_id, name, window = _of(model, "id"), _of(model, "name"), _of(model, "context_window")
    if not isinstance(model_id, str) or not 0 < len(model_id) <= 200:
        return None
    rule = _of(model, "match")
    return Listed(
        model_id,
        clean(name)[:100] if isinstance(name, str) else "",
        window if isinstance(window, int) and 0 < window <= _MAX_WINDOW else 0,
        _usd(_in_force(_of(model, "prices"), today)),
        rule if isinstance(rule, Mapping) and not _deep(rule, _MAX_DEPTH) else {},
    )


def _in_force(prices: object, today: date) -> object:
    """The last set of prices whose date has come; those that hold for hours of a day only are left out."""
    if not isinstance(prices, list):
        return prices
    found: object = None
    for one in prices:
        condition = _of(one, "constraint")
        start = _of(condition, "start_date")
        if condition is None or (start is not None and _is_past(start, today)):
            found = _of(one, "prices")
    return found


def _is_past(start: object, today: date) -> bool:
    try:
        return (start if isinstance(start, date) else date.fromisoformat(str(start))) <= today
    except ValueError:
        return False


def _usd(prices: object) -> tuple[float, float, float, float]:
    values = [_price(_of(prices, name)) for name in _PRICES]
    if None in values:
        return (0.0, 0.0, 0.0, 0.0)
    read, write, cached, kept = [value or 0.0 for value in values]
    return (read, write, cached, kept)


def _price(value: object) -> float | None:
    """USD; 0 where nothing is said, None for nonsense."""
    if isinstance(value, Mapping):
        value = value.get("base")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= _MAX_USD else None


def _deep(rule: object, left: int) -> bool:
    """Whether a rule is nested deeper than any honest one."""
    if left == 0:
        return True
    inner: list[object] = []
    if isinstance(rule, Mapping):
        inner = list(rule.values())
    elif isinstance(rule, list):
        inner = rule
    return any(_deep(one, left - 1) for one in inner)


def _of(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _plain(model: Any) -> dict[str, Any]:
    """A model object of the package in the shape of the published file."""
    prices = model.prices
    if isinstance(prices, list):
        told: object = [{"constraint": _fields(one.constraint), "prices": _fields(one.prices)} for one in prices]
    else:
        told = _fields(prices)
    return {
        "id": model.id,
        "name": model.name,
        "context_window": model.context_window,
        "match": _fields(model.match),
        "prices": told,
    }


def _fields(value: Any) -> Any:
    """An object of the package as plain data; its `or_` and `and_` are the file's `or` and `and`."""
    if isinstance(value, list):
        return [_fields(one) for one in value]
    if dataclasses.is_dataclass(value) or type(value).__name__ == "ModelPrice":
        return {name.rstrip("_"): _fields(one) for name, one in _attributes(value)}
    return value


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    for name, one in vars(value).items():
        if not name.startswith("_"):
            yield name, one
