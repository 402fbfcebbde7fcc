"""The permission rules in force, from the configuration."""

from pathlib import Path

from lsp_agent.config.sections import Config
from lsp_agent.policy.rules import Effect, Policy, Verdict, parse_rule
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.web.guard import Domains, readable
from lsp_agent.web.urls import UrlRefused, parse_url
from lsp_agent.workspace.roots import Roots

_PAGES = frozenset({"fetch", "web_fetch"})
"""What `web.allow_domains` speaks of: reading a page of that host, not research that goes on from there."""


class Rules:
    """The permission rules in force. A rule that cannot be read is dropped with every allow rule beside it."""

    def __init__(self) -> None:
        self._policy = Policy()
        self._open_hosts = Domains(())
        self.forbidden_hosts = Domains(())
        """Hosts that are never fetched."""
        self.problems: list[str] = []

    def follow(self, config: Config) -> None:
        """Take the rules of a configuration that was just read."""
        allow, deny = config.permissions.allow, config.permissions.deny
        self.problems = []
        self._open_hosts, unread = readable(config.web.allow_domains)
        self.forbidden_hosts, unread_too = readable(config.web.deny_domains, below=True)
        self.problems += [f"web: {name!r} is no host name; it is left out" for name in (*unread, *unread_too)]
        try:
            self._policy = Policy(allow=allow, deny=deny)
        except ValueError as error:
            self.problems.append(f"permissions: {error}; no allow rule is in force")
            self._policy = Policy(deny=[text for text in deny if _is_rule(text)])

    def decide(self, ask: PermissionAsk, mode: str, shown: str | None, granted: bool | None) -> Verdict:
        """See `Policy.decide_ask`."""
        verdict = self._policy.decide_ask(ask, mode, shown, granted)
        if verdict.effect is Effect.ALLOW and _loads_something(ask):
            return Verdict(Effect.ASK, "Opening this file makes an editor load something.", once_only=True)
        if verdict.effect is Effect.ASK and ask.tool in _PAGES and self._is_open(str(ask.subject.get("url") or "")):
            return Verdict(Effect.ALLOW, "The configuration allows this host.")
        return verdict

    def _is_open(self, url: str) -> bool:
        try:
            return self._open_hosts.covers(parse_url(url).host)
        except UrlRefused:
            return False

    def withholds(self, path: Path, roots: Roots) -> bool:
        """Whether a search must leave out this file's text."""
        root = roots.containing(path)
        return self._policy.withholds(path.as_posix(), path.relative_to(root).as_posix() if root is not None else None)


def _loads_something(ask: PermissionAsk) -> bool:
    """Whether the edit makes an editor load something from elsewhere; imported when something is asked."""
    from lsp_agent.trust.remote_references import remote_references_of

    return bool(remote_references_of(ask))


def _is_rule(text: str) -> bool:
    try:
        parse_rule(text)
    except ValueError:
        return False
    return True
