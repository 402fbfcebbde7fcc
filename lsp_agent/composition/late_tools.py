"""Tools that are offered before they are imported: the model gets their schemas with the first request, and what they
are made of comes with the first call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lsp_agent.domain.late import Late
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult


class Face(Protocol):
    """What is told of a tool: `ports.tools.Tool` without `run`."""

    spec: ToolSpec
    kind: str
    parallel: bool
    read_only: bool

    def title(self, arguments: Mapping[str, Any]) -> str:
        """See `Tool.title`."""
        ...


class LateTool:
    """Implements `ports.tools.Tool`: `face` at once, `make` with the first call."""

    def __init__(self, face: Face, make: Callable[[], Tool]) -> None:
        self.spec, self.kind, self.parallel, self.read_only = face.spec, face.kind, face.parallel, face.read_only
        self._face = face
        self._tool = Late(make)

    def title(self, arguments: Mapping[str, Any]) -> str:
        return self._face.title(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return await self._tool().run(arguments, context)


def late_tools(faces: Sequence[Face], make: Callable[[], Sequence[Tool]]) -> list[Tool]:
    """A tool for every face; `make`, called once, gives those behind them, with the same names."""
    behind = Late(lambda: {tool.spec.name: tool for tool in make()})

    def late(face: Face) -> Tool:
        return LateTool(face, lambda: behind()[face.spec.name])

    return [late(face) for face in faces]
