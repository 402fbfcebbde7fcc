"""Allow, ask or deny. A pure function of what is wanted, the mode, the rules and the grants; it never waits.

Deny wins over ask, ask over allow, and whatever is not understood asks. In this order:

1. a deny rule, or a lasting rejection of the user
2. plan mode: nothing that changes anything
3. a protected path: asks every time
4. a grant of the user for exactly this
5. outside the roots: asks · a secret file: asks, unless a rule names it
6. an allow rule
7. the mode

A command of the shell has an order of its own, see `_decide_command`: what never runs, what destroys, and what no
sandbox confines come before every grant and every mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lsp_agent.policy.patterns import command_matches, name_matches, path_matches, url_below
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import PermissionAsk

MODES = ("ask", "plan", "accept-edits", "full-auto")
READING = frozenset({"read", "list"})
ACTIONS = frozenset({"read", "list", "write", "execute", "fetch", "download"})
_EDITORS = frozenset({"edit", "multiedit", "write"})
_READERS = frozenset({"view", "grep"})
_FETCHERS = frozenset({"fetch", "web_fetch", "agentic_fetch", "download"})


class Effect(StrEnum):
    """What to do with a wish."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Question:
    """What a tool wants to do."""

    tool: str
    action: str
    mode: str
    inside_workspace: bool = True
    path: str | None = None
    """Real path with `/`."""
    shown: str | None = None
    """The path relative to its root, where it has one."""
    command: str | None = None
    sandbox: str = "none"
    """What confines the command: `bubblewrap`, `landlock`, or `none`."""
    url: str | None = None
    granted: bool | None = None
    """What the user decided before for exactly this; None = nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision. `once_only`: ask again next time, whatever the user answers."""

    effect: Effect
    reason: str
    once_only: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """`tool` or `tool:argument`: an action, a glob for paths, a command, or a URL prefix."""

    tool: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.tool}:{self.argument}" if self.argument else self.tool


class Policy:
    """The rules of a configuration. `allow` and `deny` are texts like `view`, `bash:git status`, `edit:src/**`.

    A rule for `edit` covers every tool that edits, one for `view` every tool that shows text; a deny rule for `fetch`
    every way to the address. A tool may hold `*` (`mcp__github__*`). Raises: ValueError for a text that is no rule.
    """

    def __init__(self, *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow = tuple([parse_rule(text) for text in allow])
        self._deny = tuple([parse_rule(text) for text in deny])

    def decide(self, question: Question) -> Verdict:
        """The verdict; see the module for the order."""
        denied = next((rule for rule in self._deny if _denies(rule, question)), None)
        if denied is not None:
            return Verdict(Effect.DENY, f"A rule of the configuration forbids this ({denied}).")
        if question.granted is False:
            return Verdict(Effect.DENY, "The user has ruled this out.")
        if question.mode == "plan" and question.action not in READING | {"fetch"}:
            return Verdict(
                Effect.DENY, "Plan mode is on: nothing may be changed or run. Describe what you would do instead."
            )
        if question.command is not None:
            return self._decide_command(question, question.command)
        if question.action in ("write", "download") and _protected(question):
            return Verdict(Effect.ASK, "This file can run code or change permissions.", once_only=True)
        if question.granted:
            return Verdict(Effect.ALLOW, "The user allowed this before.")
        return self._by_place_and_mode(question)

    def decide_ask(self, ask: PermissionAsk, mode: str, shown: str | None, granted: bool | None) -> Verdict:
        """`decide` for what a tool asks; fits `ports.approver.Decide`. `shown`: the path relative to its root."""
        subject = ask.subject
        return self.decide(
            Question(
                tool=ask.tool,
                action=ask.action,
                mode=mode,
                inside_workspace=ask.inside_workspace,
                path=ask.path,
                shown=shown,
                command=str(subject["command"]) if "command" in subject else None,
                sandbox=str(subject.get("sandbox", "none")),
                url=str(subject["url"]) if "url" in subject else None,
                granted=granted,
            )
        )

    def withholds(self, path: str, shown: str | None) -> bool:
        """Whether a search over a directory must leave out this file's text: reading it would ask or be denied."""
        question = Question("view", "read", "full-auto", path=path, shown=shown)
        return self.decide(question).effect is not Effect.ALLOW

    def _decide_command(self, question: Question, command: str) -> Verdict:
        """A command of the shell. Landlock cannot hold protected paths, so there no mode lifts the asking."""
        judged = judge(command)
        if judged.effect == "deny":
            return Verdict(Effect.DENY, judged.reason)
        if judged.destructive or judged.opaque:
            return Verdict(Effect.ASK, judged.reason, once_only=True)
        if question.sandbox not in ("bubblewrap", "landlock"):
            return Verdict(Effect.ASK, "There is no sandbox here, so every command asks.", once_only=True)
        if question.granted:
            return Verdict(Effect.ALLOW, "The user allowed this before.")
        if not question.inside_workspace:
            return Verdict(Effect.ASK, "This is outside the workspace.")
        confined = question.sandbox == "bubblewrap"
        if judged.effect == "allow" and question.mode in MODES and (confined or not judged.broad):
            return Verdict(Effect.ALLOW, judged.reason)
        allowing = next((rule for rule in self._allow if _allows(rule, question)), None)
        if allowing is not None:
            return Verdict(Effect.ALLOW, f"A rule of the configuration allows this ({allowing}).")
        if question.mode == "full-auto" and confined:
            return Verdict(Effect.ALLOW, "The mode full-auto allows this inside the sandbox.")
        return Verdict(Effect.ASK, judged.reason if judged.effect == "ask" else f"The mode {question.mode} asks.")

    def _by_place_and_mode(self, question: Question) -> Verdict:
        if not question.inside_workspace:
            return Verdict(Effect.ASK, "This is outside the workspace.")
        allowing = [rule for rule in self._allow if _allows(rule, question)]
        if question.action == "read" and _secret(question) and not any(rule.argument for rule in allowing):
            return Verdict(Effect.ASK, "This file may hold secrets.")
        if allowing:
            return Verdict(Effect.ALLOW, f"A rule of the configuration allows this ({allowing[0]}).")
        if question.mode not in MODES or question.action not in ACTIONS:
            return Verdict(Effect.ASK, "This is not covered by any rule.")
        if question.action in READING:
            return Verdict(Effect.ALLOW, "Reading inside the workspace is allowed.")
        if question.action == "write" and question.path is None:
            return Verdict(Effect.ASK, "It is not known what would be changed.")
        if question.mode == "full-auto" or (question.mode == "accept-edits" and question.action == "write"):
            return Verdict(Effect.ALLOW, f"The mode {question.mode} allows this.")
        return Verdict(Effect.ASK, f"The mode {question.mode} asks.")


def parse_rule(text: str) -> Rule:
    """A rule from its text. Raises: ValueError."""
    tool, colon, argument = text.strip().partition(":")
    tool, argument = tool.strip(), argument.strip()
    if not tool or (colon and not argument):
        raise ValueError(f"{text!r} is not a permission rule; write `tool` or `tool:argument`")
    return Rule(tool, argument)


def _covers(rule: Rule, question: Question, *, fold: bool = False) -> bool:
    """Whether the rule's tool is the question's, or stands for its family. `fold`: case does not count."""
    wanted, tool = (rule.tool.casefold(), question.tool.casefold()) if fold else (rule.tool, question.tool)
    if name_matches(wanted, tool):
        return True
    if rule.tool == "edit":
        return question.action == "write" and (question.tool in _EDITORS or question.path is not None)
    return rule.tool == "view" and question.tool in _READERS


def _is_fetched(rule: Rule, question: Question) -> bool:
    """Whether a deny rule for `fetch` means this: whoever may not read an address may not reach it in another way."""
    if rule.tool != "fetch" or question.action not in ("fetch", "download"):
        return False
    return question.tool in _FETCHERS or (bool(rule.argument) and question.url is not None)


def _denies(rule: Rule, question: Question) -> bool:
    edits = rule.tool == "edit" and question.action == "download"  # it makes a file
    if not (edits or _covers(rule, question, fold=True) or _is_fetched(rule, question)):
        return False
    if not rule.argument or rule.argument == question.action:
        return True
    if question.command is not None:
        return command_matches(rule.argument, question.command, strict=False)
    if question.url is not None and url_below(rule.argument, question.url):
        return True
    return any(path_matches(rule.argument, path, fold=True) for path in _paths(question))


def _allows(rule: Rule, question: Question) -> bool:
    if not _covers(rule, question):
        return False
    if rule.tool == "bash" and question.command is None and not rule.argument:
        return False  # every command, and that none of them reaches a host the user has not been asked about
    if not rule.argument:
        # a rule for all commands is not one for every host they may want to reach
        return (question.tool, question.action) != ("bash", "fetch")
    if rule.argument in ACTIONS and rule.argument == question.action:
        return True
    if question.command is not None:
        return command_matches(rule.argument, question.command, strict=True)
    if question.url is not None:
        return question.url == rule.argument or question.url.startswith(rule.argument.rstrip("/") + "/")
    return any(path_matches(rule.argument, path, fold=False) for path in _paths(question))


def _paths(question: Question) -> list[str]:
    return [path for path in (question.shown, question.path) if path]


def _own_path(question: Question) -> str:
    """Below a root only what is below it counts: a workspace may lie in `~/.config` without all of it being special."""
    inside = question.shown if question.inside_workspace else None
    return inside or question.path or ""


def _protected(question: Question) -> bool:
    return is_protected(_own_path(question))


def _secret(question: Question) -> bool:
    return is_secret(_own_path(question))
