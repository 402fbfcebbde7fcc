"""Where the price list comes from: the file beside this one, or the one that its authors publish.

Both have one shape, JSON of providers with models. Ours is made of the package `genai-prices` (MIT, Pydantic Services
Inc.), whose import would cost 20 MB and a quarter of a second; a test holds it to the installed version. The published
file is text from outside: every value is checked, and what makes no sense is left out. Of prices that depend on the
length of the prompt the first band counts; of prices that change on a date the one in force.
"""

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.providers.prices import Listed, PriceList
from lsp_agent.untrusted import clean

PACKAGE = "genai-prices"
SHIPPED_VERSION = "0.2.3"
_SHIPPED = Path(__file__).with_name("prices_list.json")
_PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_MAX_USD = 10_000.0
_MAX_WINDOW = 100_000_000
_MAX_MODELS = 20_000
_MAX_DEPTH = 6
_LEFT_OUT = "huggingface_"
"""The list has one block for each of the router's inference hosts; none of them is a service of ours."""


def package_version() -> str:
    """The version of the package that the shipped list was made of."""
    return SHIPPED_VERSION


def shipped(today: date) -> PriceList:
    """The list that comes with us. Blocks for about 25 ms: for a thread. Raises: OSError, ValueError."""
    return from_raw(orjson.loads(_SHIPPED.read_bytes()), today, source=f"{PACKAGE} {SHIPPED_VERSION}")


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
    if isinstance(value, bool) or not isinstance(value, int | float | str):
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
