"""What a first prompt does not need is not imported for it, and is there when it is asked for."""

import asyncio
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from lsp_agent.composition.idle import MODULES, import_when_idle
from lsp_agent.composition.late_tools import late_tools
from lsp_agent.domain.late import Late
from lsp_agent.language import faces as language_faces
from lsp_agent.language.tools import language_tools
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.web import faces as web_faces
from lsp_agent.web.offered import web_tools

ROOT = Path(__file__).parents[2]
LATE = (
    "pydantic",
    "lsp_agent.protocol.base",
    "lsp_agent.mcp.servers",
    "lsp_agent.language.service",
    "lsp_agent.language.client",
    "lsp_agent.web.fetching",
    "lsp_agent.web.connect_proxy",
    "lsp_agent.changes.commands",
    "lsp_agent.changes.checkpoints",
    "lsp_agent.context.mentions",
    "lsp_agent.context.commands",
    "lsp_agent.hooks.process",
    "lsp_agent.local.engine",
    "lsp_agent.trust.remote_references",
)


class Shout:
    """A tool."""

    spec = ToolSpec("shout", "Shouts.", {"type": "object"})
    kind = "other"
    parallel = False
    read_only = True

    def title(self, arguments: Any) -> str:
        return "Shout"

    async def run(self, arguments: Any, context: ToolContext) -> ToolResult:
        return ToolResult(str(arguments["text"]).upper())


def test_what_a_first_prompt_does_not_need_is_not_imported_for_it():
    code = (
        "import sys, lsp_agent.app, lsp_agent.composition.build, lsp_agent.server.run_handlers\n"
        f"print(','.join(sorted(set({LATE!r}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_something_late_is_made_once_and_again_when_it_failed():
    made: list[int] = []

    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise ImportError("not yet")
        return len(made)

    late = Late(make)
    assert late.made is None
    with pytest.raises(ImportError):
        late()
    assert (late(), late(), late.made, len(made)) == (2, 2, 2, 2)


async def test_a_late_tool_is_told_at_once_and_made_with_its_first_call():
    made: list[Shout] = []

    def make() -> list[Shout]:
        made.append(Shout())
        return made

    (tool,) = late_tools([Shout()], make)
    assert (tool.spec, tool.kind, tool.parallel, tool.read_only) == (Shout.spec, "other", False, True)
    assert tool.title({}) == "Shout"
    assert not made
    context = cast("ToolContext", None)
    assert (await tool.run({"text": "a"}, context)).content == "A"
    assert (await tool.run({"text": "b"}, context)).content == "B"
    assert len(made) == 1


def test_every_face_has_its_tool_and_every_tool_its_face():
    nothing: Any = None
    for tools, faces in (
        (web_tools(nothing), web_faces.FACES),
        (language_tools(nothing, nothing, nothing), language_faces.FACES),
    ):
        told = {face.spec.name: (face.spec, face.kind, face.parallel, face.read_only, face.title({})) for face in faces}
        made = {tool.spec.name: (tool.spec, tool.kind, tool.parallel, tool.read_only, tool.title({})) for tool in tools}
        assert told == made


async def test_nothing_is_imported_while_a_run_is_active():
    asked = asyncio.Event()

    def is_busy() -> bool:
        asked.set()
        return True

    task = asyncio.ensure_future(import_when_idle(is_busy, ["lsp_agent.no_such_module"]))
    async with asyncio.timeout(10):
        await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ModuleNotFoundError):
        await import_when_idle(lambda: False, ["lsp_agent.no_such_module"])


def test_what_is_imported_in_idle_moments_is_there():
    for name in MODULES:
        import_module(name)
