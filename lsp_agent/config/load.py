"""Every source of settings into one `Config`: defaults < user file < environment < flags, then project and editor.

Never raises and never stops the server: what is wrong is left out and reported. A user file that became invalid leaves
the last good one in force; at a first start its valid keys count, and a mode looser than `ask` does not, because the
rules that should have bounded it may be among what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lsp_agent.config import check, tighten
from lsp_agent.config.keys import KEYS, MODES, Key, Kind
from lsp_agent.config.lines import line_of
from lsp_agent.config.paths import PROJECT_FILE, config_file
from lsp_agent.config.read import read_file, source_of
from lsp_agent.config.sections import (
    AgentSection,
    CheckpointsSection,
    Config,
    ContextSection,
    DisabledSection,
    Layer,
    LimitsSection,
    LocalSection,
    PermissionsSection,
    Problem,
    SandboxSection,
    Source,
    ToolsSection,
    WebSection,
)

DEFAULT = "default"
UNTRUSTED = "is not read until you trust this folder"
CHANGED = "has changed since you trusted this folder; it is not read until you trust the folder again"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def load_config(
    env: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    editor_values: Sequence[Mapping[str, Any]] = (),
    project_root: Path | None = None,
    trusted: Callable[[Path], bool] = lambda _path: False,
    *,
    last_good: Config | None = None,
    watch: Sequence[Path] = (),
) -> Config:
    """Read everything again.

    `flags`: dotted key to value (text is parsed as the environment's is). `editor_values`: one mapping a source, such
    as `initializationOptions` and the `lspAgent` section, lowest first. `trusted`: whether the project file may be
    read as it is now (`TrustStore.admits`). `last_good`: the configuration in force so far, for when the user's file is
    invalid now. `watch`: files whose change makes this configuration stale as well (the record of trust).
    Promise: never raises; reads two files at most, so it may run on the event loop at start and in a thread later.
    """
    merge = _Merge()
    merge.sources += [source_of(path, follow_links=True) for path in watch]
    merge.user_file(config_file(env), last_good)
    merge.environment(env)
    merge.flags(flags or {})
    if project_root is not None:
        path = project_root / PROJECT_FILE
        was_read = last_good is not None and any(
            source.path == path and source.content_hash is not None for source in last_good.sources
        )
        merge.project(path, trusted, was_read=was_read)
    for raw in editor_values:
        merge.editor(raw)
    return merge.result()


def is_stale(config: Config) -> bool:
    """True when a file that `config` was made of has other content now, appeared or went away."""
    return any(
        source_of(source.path, follow_links=source.path.name != PROJECT_FILE).content_hash != source.content_hash
        for source in config.sources
    )


def parsed(text: str, key: Key) -> Any:
    """A value written as text (environment, `--set`). Raises: ValueError with a sentence without the value."""
    match key.kind:
        case Kind.FLAG:
            if text.strip().lower() not in _WORDS:
                raise ValueError("must be true or false")
            return _WORDS[text.strip().lower()]
        case Kind.WHOLE | Kind.NUMBER:
            try:
                return check.checked(int(text) if key.kind is Kind.WHOLE else float(text), key)
            except (ValueError, OverflowError) as error:
                is_ours = str(error).startswith("must")
                raise ValueError(str(error) if is_ours else f"must be a {key.kind.value}") from None
        case Kind.TEXTS:
            return tuple([item.strip() for item in text.split(",") if item.strip()])
        case _:
            return check.checked(text, key)


@dataclass(slots=True)
class _Merge:
    values: dict[str, Any] = field(default_factory=lambda: {name: key.default for name, key in KEYS.items()})
    origins: dict[str, str] = field(default_factory=lambda: dict.fromkeys(KEYS, DEFAULT))
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    user: Layer = field(default_factory=Layer)

    def user_file(self, path: Path, last_good: Config | None) -> None:
        """The user's own file: everything may be set."""
        found = read_file(path, follow_links=True)
        self.sources.append(found.source)
        layer = Layer()
        if found.problem is not None:
            self.errors.append(found.problem)
        elif found.document is not None:
            layer = check.layer(found.document, str(path), partial(line_of, found.text))
            self.errors += layer.errors
            self.warnings += layer.warnings
        is_bad = bool(self.errors)
        self.user = last_good.user if is_bad and last_good is not None else layer
        for name, value in self.user.values.items():
            line = self.user.lines.get(name)
            self.set(name, value, str(path) if line is None else f"{path}:{line}")
        for section in ("providers", "mcp", "hooks"):
            if getattr(self.user, section):
                self.origins[section] = str(path)
        if is_bad and last_good is None and self.is_loose():
            self.set("permissions.mode", "ask", f"{path} is invalid")

    def environment(self, env: Mapping[str, str]) -> None:
        """`LSP_AGENT_*`. Full-auto is not for the environment: a repository's `.envrc` can set that."""
        for name, key in KEYS.items():
            text = env.get(key.env, "") if key.env else ""
            if not text:
                continue
            try:
                value = check.checked(parsed(text, key), key)
            except ValueError as error:
                self.errors.append(Problem("environment", str(key.env), str(error)))
                continue
            if name == "permissions.mode" and value == "full-auto":
                if self.values[name] != value:
                    message = "full-auto is ignored here; set it in your configuration file or by a flag"
                    self.notices.append(Problem("environment", str(key.env), message))
            else:
                self.set(name, value, f"environment {key.env}")

    def flags(self, flags: Mapping[str, Any]) -> None:
        """The command line: everything may be set."""
        for name, value in flags.items():
            if value is None:
                continue
            key = KEYS.get(name)
            if key is None:
                self.warnings.append(Problem("flag", check.dotted([name]), "unknown key"))
                continue
            try:
                self.set(name, check.checked(parsed(value, key) if isinstance(value, str) else value, key), "flag")
            except ValueError as error:
                self.errors.append(Problem("flag", name, str(error)))

    def project(self, path: Path, trusted: Callable[[Path], bool], *, was_read: bool) -> None:
        """`.lsp-agent.toml` of the root. Never parsed unless it is what the user admitted."""
        if not trusted(path):
            if not path.is_file():
                return
            self.notices.append(Problem(str(path), "", CHANGED if was_read else UNTRUSTED))
            if was_read:  # seen again as soon as it is what it was
                self.sources.append(source_of(path, follow_links=False))
            return
        found = read_file(path, follow_links=False)
        self.sources.append(found.source)
        if found.problem is not None:
            self.warnings.append(found.problem)
        elif found.document is not None:
            self.tighten(found.document, str(path), partial(line_of, found.text))

    def editor(self, raw: Mapping[str, Any]) -> None:
        """Values an editor sent."""
        self.tighten(tighten.editor_document(raw), tighten.EDITOR, lambda _path: None)

    def tighten(self, document: Mapping[str, Any], source: str, find: check.LineOf) -> None:
        """Anything that may only tighten."""
        allowed, refused = tighten.split_security(document)
        layer = check.layer(allowed, source, find)
        self.warnings += (*layer.errors, *layer.warnings)
        notice = tighten.apply(self.values, self.origins, layer, refused, source)
        if notice is not None:
            self.notices.append(notice)

    def set(self, name: str, value: Any, origin: str) -> None:
        """A later source wins."""
        self.values[name] = value
        self.origins[name] = origin

    def is_loose(self) -> bool:
        """The mode allows more than asking."""
        return MODES.index(self.values["permissions.mode"]) > MODES.index("ask")

    def section(self, name: str) -> dict[str, Any]:
        """The values of one section by their plain names."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.values.items() if key.startswith(prefix)}

    def result(self) -> Config:
        """Everything, frozen."""
        return Config(
            large=self.values["models.large"],
            small=self.values["models.small"],
            refresh_prices=self.values["models.refresh_prices"],
            fallback=self.values["models.fallback"],
            providers=self.user.providers,
            agent=AgentSection(**self.section("agent")),
            limits=LimitsSection(**self.section("limits")),
            permissions=PermissionsSection(**self.section("permissions")),
            mcp=self.user.mcp,
            hooks=self.user.hooks,
            tools=ToolsSection(**self.section("tools"), options=self.user.tool_options),
            context=ContextSection(**self.section("context")),
            skills=DisabledSection(**self.section("skills")),
            agents=DisabledSection(**self.section("agents")),
            checkpoints=CheckpointsSection(**self.section("checkpoints")),
            sandbox=SandboxSection(**self.section("sandbox")),
            local=LocalSection(**self.section("local")),
            web=WebSection(**self.section("web")),
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
            notices=tuple(self.notices),
            origins=self.origins,
            sources=tuple(self.sources),
            user=self.user,
        )
