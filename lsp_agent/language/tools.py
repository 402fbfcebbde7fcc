"""The tools of this package, for the list of tools of a workspace."""

from collections.abc import Sequence

from lsp_agent.language.changing import LspCodeAction, LspRename, LspReplaceSymbol, LspRestart
from lsp_agent.language.looking import (
    DEFINITION,
    REFERENCES,
    LspCallHierarchy,
    LspDiagnostics,
    LspPlaces,
    LspSymbols,
)
from lsp_agent.language.service import LanguageService
from lsp_agent.language.watch import DiagnosticsWatch
from lsp_agent.language.wrapping import with_diagnostics
from lsp_agent.ports.approver import Decide
from lsp_agent.ports.tools import Tool


def language_tools(service: LanguageService, watch: DiagnosticsWatch, decide: Decide) -> Sequence[Tool]:
    """Every `lsp_…` tool. `decide`: the permission policy, for edits of several files at once."""
    changing: list[Tool] = [LspRename(service, decide), LspReplaceSymbol(service), LspCodeAction(service, decide)]
    looking: list[Tool] = [
        LspDiagnostics(service, watch),
        LspPlaces(service, DEFINITION),
        LspPlaces(service, REFERENCES),
        LspSymbols(service),
        LspCallHierarchy(service),
        LspRestart(service),
    ]
    return [*looking, *[with_diagnostics(tool, watch) for tool in changing]]
