"""Language servers as tools, made: imported with the first call that asks them, or in the idle time after the start."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_agent.clock import SystemClock
from lsp_agent.composition.settled import Settled
from lsp_agent.config.paths import state_home
from lsp_agent.language.own import OwnServers
from lsp_agent.language.service import LanguageService
from lsp_agent.language.tools import language_tools
from lsp_agent.language.walls import sandbox_walls
from lsp_agent.language.watch import DiagnosticsWatch
from lsp_agent.language.wrapping import with_diagnostics, with_warming
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.ports.tools import Tool
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.editor_lsp import ConnectedLanguage
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from lsp_agent.workspace.overlay import OverlayWorkspace


@dataclass(frozen=True, slots=True)
class MadeLanguage:
    """What the editor's language servers, ours, and the syntax tree know. `tools`: all `lsp_…`."""

    service: LanguageService
    watch: DiagnosticsWatch
    tools: Sequence[Tool]

    def with_diagnostics(self, tool: Tool) -> Tool:
        """See `language.wrapping`."""
        return with_diagnostics(tool, self.watch)

    def with_warming(self, tool: Tool) -> Tool:
        """See `language.wrapping`."""
        return with_warming(tool, self.watch)

    async def close(self) -> None:
        """End servers of ours. Bounded, may be called twice."""
        await self.watch.close()
        await self.service.close()


def make_language(
    settled: Settled, editors: ConnectedEditors, workspace: OverlayWorkspace, sandbox: Sandbox, clock: SystemClock
) -> MadeLanguage:
    """Starts nothing."""

    def roots() -> Sequence[Path]:
        return workspace.roots

    walls = sandbox_walls(
        sandbox,
        roots=roots,
        home=Path.home(),
        hide=(settled.directory, state_home(os.environ), settled.config_dir),
        is_protected=is_protected,
        is_secret=is_secret,
    )
    own = OwnServers(
        spawner=Spawner(), clock=clock, environ=os.environ, roots=roots, trusted=settled.trust.trusts, walls=walls
    )
    withhold: Callable[[Path], bool] = lambda path: settled.rules.withholds(path, settled.roots)  # noqa: E731
    service = LanguageService(
        ConnectedLanguage(lambda: editors.connections, reports=OpenDocuments.reports), own, workspace, withhold=withhold
    )
    watch = DiagnosticsWatch(service)
    return MadeLanguage(service, watch, language_tools(service, watch, settled.rules.decide))
