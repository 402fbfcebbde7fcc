"""What a price list says of models: window and prices by service and model id. Pure; knows not where it is from.

Our own catalogue knows fewer models and knows them better (reasoning levels, images, output limit, a window chosen on
purpose); the list knows thousands and is kept up by others. `priced` puts the two together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lsp_agent.domain.model import Model

LIST_IDS: Mapping[str, str] = {
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "copilot": "",
    "xai": "x-ai",
    "zhipu": "zhipuai",
    "z-ai": "zai",
    "moonshot": "moonshotai",
    "fireworks-ai": "fireworks",
}
"""Our ids that the list knows by another; empty = the list says nothing that is true there."""
_MAX_ID_CHARS = 200
_SAFE_PATTERN = re.compile(r"[\w\-^$@:./\\{}\[\]]{1,200}")
"""No groups, no alternatives and no quantifiers but counts: such a pattern cannot take long."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of the list. USD per million tokens: input, output, cache read, cache write."""

    model_id: str
    name: str = ""
    window: int = 0
    usd: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    match: Mapping[str, Any] = field(default_factory=dict)
    """Other ids it answers to: `{"equals" | "starts_with" | "ends_with" | "contains" | "regex": text}`, `{"or" | "and":
    [rule, …]}`; empty = none."""


class PriceList:
    """The list as a whole; immutable. `source` says where it is from, for people."""

    def __init__(self, services: Mapping[str, Sequence[Listed]] | None = None, source: str = "") -> None:
        self.source = source
        self._services = {name: tuple(models) for name, models in (services or {}).items()}
        self.services = tuple(self._services)
        """Ids of the services, as the list writes them."""
        self._exact = {name: {one.model_id.lower(): one for one in models} for name, models in self._services.items()}

    def __len__(self) -> int:
        return sum([len(models) for models in self._services.values()])

    def listed(self, provider_id: str) -> Sequence[Listed]:
        """Every model of a service, in the list's order; empty for one the list does not know."""
        return self._services.get(LIST_IDS.get(provider_id, provider_id), ())

    def find(self, provider_id: str, model_id: str) -> Listed | None:
        """By exact id, else by the first rule that fits. Never raises, whatever the list holds."""
        service = LIST_IDS.get(provider_id, provider_id)
        wanted = model_id.lower()
        if len(wanted) > _MAX_ID_CHARS or service not in self._services:
            return None
        exact = self._exact[service].get(wanted)
        return exact or next((one for one in self._services[service] if fits(one.match, wanted)), None)

    def priced(self, model: Model, *, ours: bool = False) -> Model:
        """`model` with what it lacks. `ours`: an entry of our catalogue, whose prices the list replaces.

        Prices are taken all together or not at all: half of an old price and half of a new one are no price.
        """
        listed = self.find(model.provider_id, model.model_id)
        if listed is None:
            return model
        filled = replace(
            model,
            name=model.name if model.name not in ("", model.model_id) else listed.name or model.name,
            context_window=model.context_window or listed.window,
        )
        if not any(listed.usd) or (not ours and _has_price(model)):
            return filled
        read, write, cached, kept = listed.usd
        return replace(
            filled,
            input_usd_per_mtok=read,
            output_usd_per_mtok=write,
            cache_read_usd_per_mtok=cached,
            cache_write_usd_per_mtok=kept,
        )


def fits(rule: Mapping[str, Any], model_id: str) -> bool:
    """Whether a rule of the list holds for a lower-case id. A rule of another shape holds for nothing."""
    kind, text = next(iter(rule.items()), ("", ""))
    if kind in ("or", "and") and isinstance(text, list):
        each = [isinstance(one, Mapping) and fits(one, model_id) for one in text]
        return any(each) if kind == "or" else bool(each) and all(each)
    if not isinstance(text, str) or not text:
        return False
    wanted = text.lower()
    match kind:
        case "equals":
            return model_id == wanted
        case "starts_with":
            return model_id.startswith(wanted)
        case "ends_with":
            return model_id.endswith(wanted)
        case "contains":
            return wanted in model_id
        case "regex":
            return _searched(text, model_id)
        case _:
            return False


def _searched(pattern: str, model_id: str) -> bool:
    if _SAFE_PATTERN.fullmatch(pattern) is None:
        return False
    try:
        return re.search(pattern, model_id) is not None
    except re.error:
        return False


def _has_price(model: Model) -> bool:
    return bool(
        model.input_usd_per_mtok
        or model.output_usd_per_mtok
        or model.cache_read_usd_per_mtok
        or model.cache_write_usd_per_mtok
    )
