"""The real server with the context wired in, while the composition root does not do it: it does nothing else then.

Everything is real; only the places where the context goes in are put in from outside. The project is trusted.
"""

import os
import sys
from dataclasses import dataclass, field, fields, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lsp_agent import app
from lsp_agent.cli.serve import serve_command
from lsp_agent.composition import build
from lsp_agent.config.paths import config_file
from lsp_agent.context.assembly import ContextWorld, WorkspaceContext
from lsp_agent.server import context_handlers, handlers
from lsp_agent.server.core import Core
from lsp_agent.shell.spawner import Spawner


@dataclass
class Kept:
    """What the composition root made, for the context to be made of."""

    found: dict[str, Any] = field(default_factory=dict)

    def services(self, original: Any, **given: Any) -> Any:
        """In place of `TurnServices(…)`."""
        jobs = self.found["jobs"]
        given["context"] = self._context(given, jobs).turn.blocks
        return original(**given)

    def jobs(self, original: Any, *arguments: Any, **given: Any) -> Any:
        """In place of `shell_jobs(…)`."""
        self.found["jobs"] = original(*arguments, **given)
        return self.found["jobs"]

    def _context(self, given: dict[str, Any], jobs: Any) -> WorkspaceContext:
        editors = given["workspace"]._editor
        made = self.found["context"] = WorkspaceContext(
            ContextWorld(
                workspace=given["workspace"],
                documents=editors.documents,
                focus=list,
                admits=lambda path: True,
                trusted=lambda root: True,
                spawner=Spawner(),
                sandbox=jobs.sandbox,
                events=given["events"],
                clock=given["clock"],
                environ=os.environ,
                config_dir=config_file(os.environ).parent,
                terminals=lambda session_id: jobs.terminals(session_id)["terminals"],
            )
        )
        return made

    async def core(self, original: Any, *arguments: Any, **given: Any) -> Any:
        """In place of `build_core(…)`."""
        core = await original(*arguments, **given)
        values = {each.name: getattr(core, each.name) for each in fields(core)}
        wide = make_dataclass("CoreWithContext", [("context", Any, None)], bases=(Core,), frozen=True)
        return wide(**values, context=self.found["context"])


def wire() -> None:
    """Put the context in where it belongs."""
    kept = Kept()
    build.TurnServices = partial(kept.services, build.TurnServices)
    build.shell_jobs = partial(kept.jobs, build.shell_jobs)
    build.build_core = partial(kept.core, build.build_core)
    app.REQUESTS = {**handlers.REQUESTS, **context_handlers.REQUESTS}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    if "context" not in {each.name for each in fields(Core)}:
        wire()
    sys.exit(serve_command([]))
