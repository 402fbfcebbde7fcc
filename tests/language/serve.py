"""`lsp-agent serve` with the language tools in it, as the composition root is to put them there."""

import os
import sys
from pathlib import Path
from typing import Any

from lsp_agent.app import serve
from lsp_agent.composition import build as composition
from lsp_agent.language.own import OwnServers
from lsp_agent.language.service import LanguageService
from lsp_agent.language.tools import language_tools
from lsp_agent.language.watch import DiagnosticsWatch
from lsp_agent.language.wrapping import with_diagnostics, with_warming
from lsp_agent.policy.rules import Policy
from lsp_agent.server.editor_lsp import ConnectedLanguage
from lsp_agent.shell.spawner import Spawner

_build = composition.build_core


async def build_core(agreed: Any, editors: Any, *, clock: Any, flags: Any) -> Any:
    core = await _build(agreed, editors, clock=clock, flags=flags)
    own = OwnServers(
        spawner=Spawner(),
        clock=clock,
        environ=os.environ,
        roots=lambda: core.workspace.roots,
        trusted=lambda root: (Path(root) / "trusted-by-test").exists(),
    )
    service = LanguageService(ConnectedLanguage(lambda: editors.connections), own, core.workspace)
    watch = DiagnosticsWatch(service)
    tools: dict[str, Any] = core.tools._tools  # type: ignore[attr-defined]
    for tool in language_tools(service, watch, Policy().decide_ask):
        tools[tool.spec.name] = tool
    for name in ("edit", "multiedit", "write"):
        tools[name] = with_diagnostics(tools[name], watch)
    tools["view"] = with_warming(tools["view"], watch)
    return core


composition.build_core = build_core

if __name__ == "__main__":
    sys.exit(serve())
