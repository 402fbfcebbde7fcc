"""The permission rules in force, from the configuration."""

from pathlib import Path

from lsp_agent.config.sections import Config
from lsp_agent.policy.rules import Effect, Policy, Verdict, parse_rule
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.trust.remote_references import remote_references_of
from lsp_agent.workspace.roots import Roots


class Rules:
    """The permission rules in force. A rule that cannot be read is dropped with every allow rule beside it."""

    def __init__(self) -> None:
        self._policy = Policy()
        self.problems: list[str] = []

    def follow(self, config: Config) -> None:
        """Take the rules of a configuration that was just read."""
        allow, deny = config.permissions.allow, config.permissions.deny
        try:
            self._policy = Policy(allow=allow, deny=deny)
        except ValueError as error:
            self.problems.append(f"permissions: {error}; no allow rule is in force")
            self._policy = Policy(deny=[text for text in deny if _is_rule(text)])

    def decide(self, ask: PermissionAsk, mode: str, shown: str | None, granted: bool | None) -> Verdict:
        """See `Policy.decide_ask`."""
        verdict = self._policy.decide_ask(ask, mode, shown, granted)
        if verdict.effect is Effect.ALLOW and remote_references_of(ask):
            return Verdict(Effect.ASK, "Opening this file makes an editor load something.", once_only=True)
        return verdict

    def withholds(self, path: Path, roots: Roots) -> bool:
        """Whether a search must leave out this file's text."""
        root = roots.containing(path)
        return self._policy.withholds(path.as_posix(), path.relative_to(root).as_posix() if root is not None else None)


def _is_rule(text: str) -> bool:
    try:
        parse_rule(text)
    except ValueError:
        return False
    return True
