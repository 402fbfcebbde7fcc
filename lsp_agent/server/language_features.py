"""The plain LSP surface, served by pygls: code actions and commands for editors with no plugin (PROTOCOL 14, tier 0).

pygls and lsprotocol cost 0.7 s to import, so this module is loaded when the server is idle, or at the first request
that needs it, in a thread. The transport stays ours: a request arrives as plain params, is structured by pygls'
converter, answered by the registered feature, and goes back as plain JSON. Each connection has its own
`LanguageServer`, so nothing of one editor reaches another.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from cattrs.errors import BaseValidationError
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from lsp_agent import __version__
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.server.tier0.hints import SOURCE
from lsp_agent.server.tier0.notes import Note, lenses, note
from lsp_agent.server.tier0.offers import Facts, Offer, offers

Command = Callable[[list[Any], int | str | None], Awaitable[Any]]
"""Over the command's arguments and the client's progress token."""
Look = Callable[[str, dict[str, Any], list[str]], Facts]
"""What is known at a URI and range, with the messages of the request's diagnostics."""


class LanguageFeatures:
    """What one connection can ask for through standard LSP methods."""

    def __init__(self, commands: dict[str, Command], look: Look, agreed: Negotiated) -> None:
        self._server = LanguageServer("lsp-agent", __version__)
        self._server.feature(types.TEXT_DOCUMENT_CODE_ACTION)(_code_actions(look, agreed))
        self._server.feature(types.TEXT_DOCUMENT_CODE_LENS)(_lenses(look))
        self._server.feature(types.TEXT_DOCUMENT_HOVER)(_hover(look, agreed))
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


def _lenses(look: Look) -> Callable[[types.CodeLensParams], list[types.CodeLens]]:
    """The feature: what can be done with a line, above it."""

    def code_lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        found = []
        for lens in lenses(look(params.text_document.uri, _line(0), [])):
            place = types.Position(line=lens.line, character=0)
            command = types.Command(title=lens.title, command=lens.command, arguments=list(lens.arguments))
            found.append(types.CodeLens(range=types.Range(start=place, end=place), command=command))
        return found

    return code_lenses


def _hover(look: Look, agreed: Negotiated) -> Callable[[types.HoverParams], types.Hover | None]:
    """The feature: what stood where a change is, or what a marked comment is for, in the shape this client takes."""
    text_document = agreed.capabilities.get("textDocument")
    said = text_document.get("hover") if isinstance(text_document, dict) else None
    formats = said.get("contentFormat") if isinstance(said, dict) else None

    def hover(params: types.HoverParams) -> types.Hover | None:
        line = params.position.line
        found = note(look(params.text_document.uri, _line(line), []), line)
        return types.Hover(contents=_contents(found, formats)) if found is not None else None

    return hover


def _contents(found: Note, formats: object) -> types.MarkupContent | str:
    """A client that names no format takes no `MarkupContent`, only a string, which is read as markdown."""
    known = formats if isinstance(formats, list) else []
    is_markdown = "markdown" in known or not known
    fence = "`" * max(3, _longest_run(found.code, "`") + 1)
    code = f"\n\n{fence}\n{found.code.rstrip()}\n{fence}" if is_markdown else f"\n{found.code}"
    value = f"{found.text}{code if found.code else ''}".rstrip()
    if not known:
        return value
    return types.MarkupContent(
        kind=types.MarkupKind.Markdown if is_markdown else types.MarkupKind.PlainText, value=value
    )


def _line(number: int) -> dict[str, Any]:
    place = {"line": number, "character": 0}
    return {"start": place, "end": dict(place)}


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
