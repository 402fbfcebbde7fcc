"""The plain LSP surface, served by pygls: code actions and commands for editors with no plugin (PROTOCOL 14, tier 0).

pygls and lsprotocol cost 0.7 s to import, so this module is loaded when the server is idle, or at the first request
that needs it, in a thread. The transport stays ours: a request arrives as plain params, is structured by pygls'
converter, answered by the registered feature, and goes back as plain JSON. Each connection has its own
`LanguageServer`, so nothing of one editor reaches another.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from cattrs.errors import BaseValidationError
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from lsp_agent import __version__
from lsp_agent.domain.errors import RequestRejected

Ask = Callable[[str, str | None, types.Range | None], Awaitable[dict[str, Any]]]
Command = Callable[[list[Any]], Awaitable[Any]]

_ACTIONS = (
    ("Agent: fix this problem", types.CodeActionKind.QuickFix, "Fix this problem.", True),
    ("Agent: explain", "source.agent", "Explain this code.", False),
    ("Agent: write tests", "source.agent", "Write tests for this code.", False),
    ("Agent: improve this code", types.CodeActionKind.RefactorRewrite, "Improve this code. Keep its behaviour.", False),
)


class LanguageFeatures:
    """What one connection can ask for through standard LSP methods."""

    def __init__(self, commands: dict[str, Command]) -> None:
        self._server = LanguageServer("lsp-agent", __version__)
        self._server.feature(types.TEXT_DOCUMENT_CODE_ACTION)(code_actions)
        for name, run in commands.items():
            self._server.command(name)(_function(run))

    @property
    def methods(self) -> frozenset[str]:
        """The request methods answered here."""
        return frozenset({*self._server.protocol.fm.features, types.WORKSPACE_EXECUTE_COMMAND})

    async def answer(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a standard request, JSON-ready.

        Raises: RequestRejected for params that do not fit the method, or a command that is not ours.
        """
        protocol = self._server.protocol
        converter = protocol._converter  # pygls has no public name for it
        request_type = types.METHOD_TO_TYPES[method][0]
        try:
            typed: Any = converter.structure(
                {"id": 0, "jsonrpc": "2.0", "method": method, "params": params}, request_type
            )
        except (BaseValidationError, JsonRpcException, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RequestRejected("InvalidParams", f"the params of {method} do not fit LSP 3.17", path="") from error
        if isinstance(typed, types.ExecuteCommandRequest):
            return await self._command(typed.params)
        result = protocol.fm.features[method](typed.params)
        return converter.unstructure(result)

    async def _command(self, params: types.ExecuteCommandParams) -> Any:
        run = self._server.protocol.fm.commands.get(params.command)
        if run is None:
            raise RequestRejected("InvalidParams", "no such command", path="command")
        return await run(list(params.arguments or []))


def _function(run: Command) -> Command:
    """A plain function: pygls puts attributes on what it registers, which a bound method does not take."""

    async def command(arguments: list[Any]) -> Any:
        return await run(arguments)

    return command


def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
    """Actions on any selection or diagnostic; each is a command, so nothing is computed before it is chosen."""
    wanted = params.context.only
    found = []
    for title, kind, prompt, needs_problem in _ACTIONS:
        if needs_problem and not params.context.diagnostics:
            continue
        if wanted and not any(kind == only or kind.startswith(f"{only}.") for only in wanted):
            continue
        argument = {
            "prompt": prompt,
            "uri": params.text_document.uri,
            "range": {
                "start": {"line": params.range.start.line, "character": params.range.start.character},
                "end": {"line": params.range.end.line, "character": params.range.end.character},
            },
            "problems": [diagnostic.message for diagnostic in params.context.diagnostics],
        }
        found.append(
            types.CodeAction(
                title=title,
                kind=kind,
                diagnostics=list(params.context.diagnostics) if needs_problem else None,
                command=types.Command(title=title, command="lspAgent.ask", arguments=[argument]),
            )
        )
    return found
