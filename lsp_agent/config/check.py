"""A parsed document against the table of keys: valid values in, problems beside them. Pure."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lsp_agent.config.keys import (
    HOOK_COMMAND_KEYS,
    HOOK_EVENTS,
    HOOK_KEYS,
    KEYS,
    MCP_KEYS,
    MODEL_KEYS,
    PROVIDER_KEYS,
    SECTIONS,
    TYPE_OF_ID,
    Key,
    Kind,
)
from lsp_agent.config.sections import Layer, Problem, ProviderSection
from lsp_agent.domain.model import Model

Path = tuple[str | int, ...]
LineOf = Callable[[Path], int | None]


def checked(value: Any, key: Key) -> Any:
    """`value` as the product uses it (lists as tuples).

    Raises: ValueError with a sentence that never holds the value.
    """
    match key.kind:
        case Kind.TEXT | Kind.REF | Kind.URL:
            _must(isinstance(value, str), "must be a string")
            _text(value, key)
        case Kind.FLAG:
            _must(isinstance(value, bool), "must be true or false")
        case Kind.WHOLE:
            _must(isinstance(value, int) and not isinstance(value, bool), "must be an integer")
        case Kind.NUMBER:
            _must(isinstance(value, int | float) and not isinstance(value, bool), "must be a number")
        case Kind.TEXTS:
            _must(isinstance(value, list | tuple), "must be a list of strings")
            _must(all(isinstance(item, str) for item in value), "must be a list of strings")
            value = tuple(value)
        case Kind.TABLE:
            _must(isinstance(value, Mapping), "must be a table")
            _must(_is_json(value), "must hold only what JSON can say")
        case Kind.STRINGS:
            _must(isinstance(value, Mapping), "must be a table of strings")
            _must(all(isinstance(item, str) for item in value.values()), "must be a table of strings")
    if key.kind in (Kind.WHOLE, Kind.NUMBER):
        _within(value, key)
        value = float(value) if key.kind is Kind.NUMBER else value
    return value


def layer(document: Mapping[str, Any], source: str, line_of: LineOf = lambda _path: None) -> Layer:
    """Everything `document` says that is valid, and what is not. Wrong keys are left out, their neighbours stay."""
    return _Check(source, line_of).run(document)


def _plain(event: str) -> str:
    return event.replace("_", "").casefold()


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


def _text(value: str, key: Key) -> None:
    if key.choices:
        _must(value in key.choices, f"must be one of {', '.join(key.choices)}")
    if key.kind is Kind.REF:
        provider, slash, model = value.partition("/")
        _must(bool(provider and slash and model), "must be written as provider/model")
    if key.kind is Kind.URL and not value.startswith("$"):
        try:
            parts = urlsplit(value)
        except ValueError:
            raise ValueError("must be an http or https URL") from None
        _must(parts.scheme in ("http", "https") and bool(parts.hostname), "must be an http or https URL")
        _must(parts.username is None and parts.password is None, "must not hold a user name or password")


def _is_json(value: Any) -> bool:
    """No dates, no `nan`, no `inf`: TOML can say more than a request's body can."""
    match value:
        case Mapping():
            return all(_is_json(item) for item in value.values())
        case list():
            return all(_is_json(item) for item in value)
        case float():
            return math.isfinite(value)
        case _:
            return value is None or isinstance(value, str | int)


def _within(value: float, key: Key) -> None:
    # `not >=` so that nan is out as well
    if key.minimum is not None:
        _must(value >= key.minimum, f"must be at least {key.minimum:g}")
    if key.maximum is not None:
        _must(value <= key.maximum, f"must be at most {key.maximum:g}")


@dataclass(slots=True)
class _Check:
    source: str
    line_of: LineOf
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int | None] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def run(self, document: Mapping[str, Any]) -> Layer:
        """All sections, in the order of the file."""
        providers: list[ProviderSection] = []
        mcp: dict[str, Mapping[str, Any]] = {}
        tools: dict[str, Mapping[str, Any]] = {}
        hooks: Mapping[str, Any] = {}
        for name, section in document.items():
            if name not in SECTIONS:
                self.unknown((name,), SECTIONS)
            elif not isinstance(section, Mapping):
                self.error((name,), "must be a table")
            elif name == "providers":
                found = [self.provider(block, raw) for block, raw in section.items()]
                providers = [provider for provider in found if provider is not None]
            elif name == "mcp":
                servers = {block: self.server(block, raw) for block, raw in section.items()}
                mcp = {block: server for block, server in servers.items() if server is not None}
            elif name == "hooks":
                hooks = self.hooks(section)
            else:
                self.settings(name, section, tools)
        return Layer(
            values=self.values,
            lines=self.lines,
            providers=tuple(providers),
            mcp=mcp,
            hooks=hooks,
            tool_options=tools,
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
        )

    def settings(self, name: str, section: Mapping[str, Any], tools: dict[str, Mapping[str, Any]]) -> None:
        """A section of plain keys; `[tools.<name>]` tables are kept as they are."""
        for part, value in section.items():
            key = KEYS.get(f"{name}.{part}")
            if key is not None:
                ok, clean = self.value((name, part), value, key)
                if ok:
                    self.values[key.name] = clean
                    self.lines[key.name] = self.line_of((name, part))
            elif name == "tools" and isinstance(value, Mapping):
                tools[part] = value
            else:
                known = [item.partition(".")[2] for item in KEYS if item.startswith(f"{name}.")]
                self.unknown((name, part), known)

    def provider(self, block: str, raw: Any) -> ProviderSection | None:
        """`[providers.<block>]`; None when it cannot be used at all."""
        path: Path = ("providers", block)
        if not isinstance(raw, Mapping):
            self.error(path, "must be a table")
            return None
        if not block or "/" in block:
            self.error(path, "a provider id is not empty and holds no slash")
            return None
        before = len(self.errors)
        fields = self.block(path, {key: value for key, value in raw.items() if key != "models"}, PROVIDER_KEYS)
        if len(self.errors) > before:
            # without its own address or key a provider might send the user's text, or a key, somewhere else
            return None
        if "type" not in fields:
            if block not in TYPE_OF_ID:
                self.error((*path, "type"), "is required")
                return None
            fields["type"] = TYPE_OF_ID[block]
        return ProviderSection(
            provider_id=block, models=self.models(path, raw.get("models", []), fields.get("flat_rate", False)), **fields
        )

    def models(self, path: Path, raw: Any, flat_rate: bool) -> tuple[Model, ...]:
        """`[[providers.<block>.models]]`."""
        if not isinstance(raw, list) or not all(isinstance(item, Mapping) for item in raw):
            self.error((*path, "models"), "must be a list of tables")
            return ()
        models: dict[str, Model] = {}
        for index, item in enumerate(raw):
            here: Path = (*path, "models", index)
            fields = self.block(here, item, MODEL_KEYS)
            model_id = fields.pop("id", "")
            if not model_id:
                if "id" not in item or item["id"] == "":
                    self.error((*here, "id"), "is required")
            elif model_id in models:
                self.error((*here, "id"), "is there twice")
            else:
                models[model_id] = Model(provider_id=str(path[1]), model_id=model_id, flat_rate=flat_rate, **fields)
        return tuple(models.values())

    def server(self, block: str, raw: Any) -> Mapping[str, Any] | None:
        """`[mcp.<block>]`: what we know is checked, the rest is kept; None when something known is wrong."""
        if not isinstance(raw, Mapping):
            self.error(("mcp", block), "must be a table")
            return None
        for name, key in MCP_KEYS.items():
            if name in raw and not self.value(("mcp", block, name), raw[name], key)[0]:
                return None
        return raw

    def hooks(self, section: Mapping[str, Any]) -> Mapping[str, Any]:
        """`[hooks]`: what is right of it, as it is written."""
        found: dict[str, Any] = {}
        known = {_plain(event): event for event in HOOK_EVENTS}
        for name, raw in section.items():
            path: Path = ("hooks", name)
            if name == "claude_settings":
                if isinstance(raw, bool | str):
                    found[name] = raw
                else:
                    self.error(path, "must be true, false or the path of a settings file")
            elif _plain(name) not in known:
                self.unknown(path, (*HOOK_EVENTS, "claude_settings"))
            elif not isinstance(raw, list) or not all(isinstance(item, Mapping) for item in raw):
                self.error(path, "must be a list of tables")
            elif entries := [item for index, item in enumerate(raw) if self.hook((*path, index), item)]:
                found[name] = entries
        return found

    def hook(self, path: Path, raw: Mapping[str, Any]) -> bool:
        """One entry of an event: a command, or a list of them under `hooks`. False when it cannot be used."""
        before = len(self.errors)
        nested = raw.get("hooks")
        fields = self.block(path, {name: value for name, value in raw.items() if name != "hooks"}, HOOK_KEYS)
        if nested is None:
            self.command(path, fields, raw)
        elif not isinstance(nested, list) or not all(isinstance(item, Mapping) for item in nested):
            self.error((*path, "hooks"), "must be a list of tables")
        else:
            for index, item in enumerate(nested):
                here: Path = (*path, "hooks", index)
                self.command(here, self.block(here, item, HOOK_COMMAND_KEYS), item)
        return len(self.errors) == before

    def command(self, path: Path, fields: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
        """A hook without a command line is of no use."""
        if "command" not in raw or ("command" in fields and not fields["command"].strip()):
            self.error((*path, "command"), "is required")

    def block(self, path: Path, raw: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
        """The valid fields of a block."""
        fields: dict[str, Any] = {}
        for name, value in raw.items():
            if name not in keys:
                self.unknown((*path, name), keys)
                continue
            ok, clean = self.value((*path, name), value, keys[name])
            if ok:
                fields[name] = clean
        return fields

    def value(self, path: Path, value: Any, key: Key) -> tuple[bool, Any]:
        """Whether the value fits, and the value; what does not fit is noted."""
        try:
            return True, checked(value, key)
        except ValueError as error:
            self.error(path, str(error))
            return False, None

    def error(self, path: Path, message: str) -> None:
        """Note what is wrong."""
        self.errors.append(Problem(self.source, dotted(path), message, self.line_of(path)))

    def unknown(self, path: Path, known: Iterable[str]) -> None:
        """Note a key nobody reads, and what may have been meant."""
        near = difflib.get_close_matches(str(path[-1]), list(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        self.warnings.append(Problem(self.source, dotted(path), f"unknown key{hint}", self.line_of(path)))


def dotted(path: Iterable[str | int]) -> str:
    """`("providers", "local", "models", 0, "id")` as `providers.local.models[0].id`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    # a quoted key of a file from a repository may hold anything, and this ends up in logs and message boxes
    return "".join([character if character.isprintable() else "?" for character in text])[:200]
