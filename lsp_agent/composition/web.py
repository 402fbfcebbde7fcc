"""The web: its tools, offered at once, and the way out of commands; made when first used."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_agent.composition.late_tools import late_tools
from lsp_agent.composition.settled import Settled
from lsp_agent.domain.late import Late
from lsp_agent.ports.tools import Tool
from lsp_agent.shell.outlet import HostAsker, Outlet, Outlets
from lsp_agent.shell.spawner import Spawner
from lsp_agent.web.faces import FACES
from lsp_agent.web.guard import Guard

if TYPE_CHECKING:  # what is made late
    from lsp_agent.composition.web_making import MadeWeb


class Web:
    """The tools of the web; one pace for everybody who searches."""

    def __init__(self, make: "Callable[[], MadeWeb]") -> None:
        self._late = Late(make)
        self.tools = late_tools(FACES, lambda: self._late().tools())
        """Those of the coding agent."""

    def research(self, directory: Path) -> list[Tool]:
        """Those of a sub-agent that reads pages; `directory` takes the long ones."""
        return self._late().research(directory)


class LateOutlets:
    """Implements `shell.outlet.Outlets`: the proxy of commands comes with the first command."""

    def __init__(self, make: Callable[[], Outlets]) -> None:
        self._late = Late(make)

    def open(self, asker: HostAsker | None, say: Callable[[str], None]) -> Outlet | None:
        return self._late().open(asker, say)


def web(settled: Settled, secrets: Callable[[], Sequence[str]]) -> Web:
    """`secrets`: the values that must never leave. Starts and imports nothing."""
    guard = _guard(settled)
    search_url = settled.config.web.search_url

    def make() -> "MadeWeb":
        from lsp_agent.composition.web_making import make_web_tools

        return make_web_tools(Spawner(), settled.directory / "web", secrets, guard, search_url)

    return Web(make)


def command_outlets(settled: Settled) -> LateOutlets:
    """The way out of commands, to the hosts that are granted."""
    guard = _guard(settled)

    def make() -> Outlets:
        from lsp_agent.web.command_outlet import CommandOutlets

        return CommandOutlets(guard, domains=lambda: settled.config.sandbox.network_domains)

    return LateOutlets(make)


def _guard(settled: Settled) -> Guard:
    """What the settings forbid now is never connected to."""
    guard = Guard()
    settled.follow(lambda _config: guard.forbid(settled.rules.forbidden_hosts))
    return guard
