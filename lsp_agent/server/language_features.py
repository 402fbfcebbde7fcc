"""The plain LSP surface, served by pygls: code actions and commands for editors with no plugin (PROTOCOL 14, tier 0).

pygls and lsprotocol cost 0.7 s to import, so this module is loaded when the server is idle, or at the first request
that needs it, in a thread. The transport stays ours: a request arrives as plain params, is structured by pygls'
converter, answered by the registered feature, and goes back as plain JSON. Each connection has its own
`LanguageServer`, so nothing of one editor reaches another.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cattrs.errors import BaseValidationError
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from lsp_agent import __version__
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.server.tier0.hints import SOURCE, Mark
from lsp_agent.server.tier0.offers import Facts, Offer, offers

Command = Callable[[list[Any], int | str | None], Awaitable[Any]]
"""Over the command's arguments and the client's progress token."""
Look = Callable[[str, dict[str, Any], list[str]], Facts]
"""What is known at a URI and range, with the messages of the request's diagnostics."""

Marks = Callable[[str], Sequence[Mark]]
"""The agent's changes that wait in a document."""
MAX_HOVER_CHARS = 4_000


class LanguageFeatures:
    """What one connection can ask for through standard LSP methods."""

    def __init__(self, commands: dict[str, Command], look: Look, agreed: Negotiated, marks: Marks) -> None:
        self._server = LanguageServer("lsp-agent", __version__)
        self._server.feature(types.TEXT_DOCUMENT_CODE_ACTION)(_code_actions(look, agreed))
        self._server.feature(types.TEXT_DOCUMENT_CODE_LENS)(_lenses(marks))
        self._server.feature(types.TEXT_DOCUMENT_HOVER)(_hover(marks, agreed))
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
        return await run(list(params.arguments or []), params.work_done_token)


def _function(run: Command) -> Command:
    """A plain function: pygls puts attributes on what it registers, which a bound method does not take."""

    async def command(arguments: list[Any], token: int | str | None) -> Any:
        return await run(arguments, token)

    return command


def _code_actions(look: Look, agreed: Negotiated) -> Callable[[types.CodeActionParams], list[Any]]:
    """The feature: actions in the shape this client takes."""
    literals = agreed.can("textDocument", "codeAction", "codeActionLiteralSupport")
    tags = agreed.can("textDocument", "codeAction", "tagSupport")

    def code_actions(params: types.CodeActionParams) -> list[Any]:
        start, end = params.range.start, params.range.end
        span = {
            "start": {"line": start.line, "character": start.character},
            "end": {"line": end.line, "character": end.character},
        }
        theirs = [each for each in params.context.diagnostics if each.source != SOURCE]
        problems = [f"line {each.range.start.line + 1}: {each.message}" for each in theirs]
        found = offers(look(params.text_document.uri, span, problems), list(params.context.only or ()))
        if not literals:
            return [_command_of(offer) for offer in found]
        return [_action(offer, params.context.diagnostics, tags=tags) for offer in found]

    return code_actions


def _lenses(marks: Marks) -> Callable[[types.CodeLensParams], list[types.CodeLens]]:
    """The feature: keep and take back above each change that waits."""

    def code_lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        found = []
        for mark in marks(params.text_document.uri):
            place = types.Position(line=mark.start, character=0)
            span = types.Range(start=place, end=place)
            for title, name in (("Keep", "lspAgent.accept"), ("Take back", "lspAgent.reject")):
                command = types.Command(title=title, command=name, arguments=[mark.target])
                found.append(types.CodeLens(range=span, command=command))
        return found

    return code_lenses


def _hover(marks: Marks, agreed: Negotiated) -> Callable[[types.HoverParams], types.Hover | None]:
    """The feature: what stood where a change is, in the shape this client takes."""
    text_document = agreed.capabilities.get("textDocument")
    said = text_document.get("hover") if isinstance(text_document, dict) else None
    formats = said.get("contentFormat") if isinstance(said, dict) else None
    is_markdown = isinstance(formats, list) and "markdown" in formats

    def hover(params: types.HoverParams) -> types.Hover | None:
        line = params.position.line
        mark = next((each for each in marks(params.text_document.uri) if each.meets(line, line)), None)
        if mark is None:
            return None
        old = mark.old_text[:MAX_HOVER_CHARS]
        said = "The agent changed this. Before:" if old else "The agent added this."
        fence = "`" * max(3, _longest_run(old, "`") + 1)
        value = f"{said}\n\n{fence}\n{old.rstrip()}\n{fence}" if old and is_markdown else f"{said}\n{old}".rstrip()
        kind = types.MarkupKind.Markdown if is_markdown else types.MarkupKind.PlainText
        return types.Hover(contents=types.MarkupContent(kind=kind, value=value))

    return hover


def _longest_run(text: str, character: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(character)}+", text)), default=0)


def _command_of(offer: Offer) -> types.Command:
    return types.Command(title=offer.title, command=offer.command, arguments=list(offer.arguments))


def _action(offer: Offer, diagnostics: Any, *, tags: bool) -> types.CodeAction:
    return types.CodeAction(
        title=offer.title,
        kind=offer.kind,
        diagnostics=list(diagnostics) if offer.fixes else None,
        command=_command_of(offer),
        tags=[types.CodeActionTag.LlmGenerated] if tags and offer.is_models else None,
    )
