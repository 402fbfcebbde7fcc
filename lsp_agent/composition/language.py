"""Language servers as tools, and what they say of an edit: offered at once, made when first used."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lsp_agent.clock import SystemClock
from lsp_agent.composition.late_tools import LateTool, late_tools
from lsp_agent.composition.settled import Settled
from lsp_agent.domain.late import Late
from lsp_agent.language.faces import FACES
from lsp_agent.ports.tools import Tool
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.workspace.overlay import OverlayWorkspace

if TYPE_CHECKING:  # what is made late
    from lsp_agent.composition.language_making import MadeLanguage

EDITING = frozenset({"edit", "multiedit", "write"})


class Language:
    """What the editor's language servers, ours, and the syntax tree know."""

    def __init__(self, make: "Callable[[], MadeLanguage]") -> None:
        self._late = Late(make)
        self.tools = late_tools(FACES, lambda: self._late().tools)

    def wrap(self, tool: Tool) -> Tool:
        """An editing tool tells what its edit did to the diagnostics; viewing a file starts a server for it."""
        if tool.spec.name in EDITING:
            return LateTool(tool, lambda: self._late().with_diagnostics(tool))
        return LateTool(tool, lambda: self._late().with_warming(tool)) if tool.spec.name == "view" else tool

    def pending_notes(self, session_id: str) -> str:
        """`DiagnosticsWatch.pending_notes`."""
        return made.watch.pending_notes(session_id) if (made := self._late.made) is not None else ""

    async def leave_untrusted(self) -> None:
        """`OwnServers.leave_untrusted`."""
        if (made := self._late.made) is not None:
            await made.service.own.leave_untrusted()

    async def close(self) -> None:
        """End servers of ours. Bounded, may be called twice."""
        if (made := self._late.made) is not None:
            await made.close()


def language(
    settled: Settled, editors: ConnectedEditors, workspace: OverlayWorkspace, sandbox: Sandbox, clock: SystemClock
) -> Language:
    """Starts and imports nothing."""

    def make() -> "MadeLanguage":
        from lsp_agent.composition.language_making import make_language

        return make_language(settled, editors, workspace, sandbox, clock)

    return Language(make)
