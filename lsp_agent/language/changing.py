"""The tools that change by what a language server knows: rename, replace a symbol, apply a code action; and restart."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.text import Position, Range
from lsp_agent.language.applying import apply_files, plan_files
from lsp_agent.language.blocks import placed
from lsp_agent.language.faces import LspCodeActionFace, LspRenameFace, LspReplaceSymbolFace, LspRestartFace
from lsp_agent.language.finding import candidates, the_file
from lsp_agent.language.service import LanguageService
from lsp_agent.language.shapes import Action, EditPlan, Symbol, actions, edit_plan, span, wire_range
from lsp_agent.language.words import components, named
from lsp_agent.ports.approver import Decide
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, one_line, require_writable_text, text_argument
from lsp_agent.tools.changing import Rewritten, change_file
from lsp_agent.tools.reading import read_file
from lsp_agent.untrusted import clean
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import path_to_uri

MOST_ACTIONS = 30


class LspRename(LspRenameFace):
    """`lsp_rename`."""

    def __init__(self, service: LanguageService, decide: Decide) -> None:
        self._service = service
        self._decide = decide

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        symbol, new = text_argument(arguments, "symbol").strip(), text_argument(arguments, "new_name").strip()
        if not new or re.search(r"\s", new) or len(new) > 200:
            raise ToolError("`new_name` is one word.")
        if components(symbol)[-1:] == [new]:
            raise ToolError("The new name is the old one: nothing to change.")
        tries = await candidates(arguments, context, self._service, self.spec.name)
        if isinstance(tries, ToolResult):
            return tries
        last = components(symbol)[-1]
        for one in tries:
            mentions = await self._service.feed_mentions(one.path, last)
            versions = _versions(context)
            params = {**self._service.where(one.path, one.at), "newName": new}
            answer = await self._service.ask("textDocument/rename", one.path, params)
            plan = edit_plan(answer.result) if answer is not None else None
            if answer is None or plan is None or not (plan.files or plan.unsupported):
                continue
            plans = await plan_files(plan, context)
            if any(versions.get(file.place.path) != file.before.version for file in plans):
                raise ToolError("A file was changed while the language server worked. Nothing was changed; try again.")
            summary = f"Renamed {one_line(symbol)} to {new} in {_count(len(plans))} ({answer.via})."
            changed = {file.place.path for file in plans}
            if left := [context.workspace.place(str(path)).shown for path in mentions if path not in changed]:
                more = f" and {len(left) - 10} more" if len(left) > 10 else ""
                summary += f" The word {last} also occurs in {', '.join(left[:10])}{more}; check if it means the same."
            return await apply_files(context, self.spec.name, self.title(arguments), plans, self._decide, summary)
        raise ToolError(
            f"No language server could rename {one_line(symbol)}{_why(self._service)}. "
            "Find its uses with lsp_references and change them with edit."
        )


class LspReplaceSymbol(LspReplaceSymbolFace):
    """`lsp_replace_symbol`."""

    def __init__(self, service: LanguageService) -> None:
        self._service = service

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = await the_file(arguments, context, self.spec.name, "file_path")
        if isinstance(place, ToolResult):
            return place
        action, symbol = text_argument(arguments, "action", "replace"), text_argument(arguments, "symbol")
        replacement = text_argument(arguments, "replacement")
        require_writable_text(replacement, "replacement")
        if action != "delete" and not replacement.strip():
            raise ToolError("`replacement` is empty. Use action delete to delete a symbol.")
        text = (await read_file(context, place)).text
        via, one = await self._find(place.path, symbol)

        def rewrite(current: str) -> Rewritten:
            if current != text:
                raise ToolError("the symbol may have moved")
            done = {"replace": "Replaced", "delete": "Deleted"}.get(action, "Added code beside")
            new = placed(current, one, replacement, action, python=place.path.suffix in (".py", ".pyi"))
            return Rewritten(new, 1, f"{done} {one.kind} {one.path} in {place.shown} ({via}).")

        return await change_file(context, self.spec.name, place, rewrite, may_rebase=False)

    async def _find(self, path: Path, symbol: str) -> tuple[str, Symbol]:
        via, found = await self._service.symbols(path)
        fitting = named(found, symbol)
        if not fitting:
            names = ", ".join([clean(one.path) for one in found if one.kind != "variable"][:30])
            hint = f" It has: {names}." if names else ""
            raise ToolError(f"{one_line(symbol)} is not defined in {path.name}.{hint}")
        if len([one for one in fitting if one.path == fitting[0].path]) > 1:
            lines = ", ".join([str(one.range.start.line + 1) for one in fitting])
            raise ToolError(f"{one_line(symbol)} is defined more than once, at lines {lines}. Use edit.")
        one = fitting[0]
        for parsed in await self._service.parsed(path) or ():
            # our own parser counts the decorators in, servers do not all
            if parsed.name_range.start == one.name_range.start and parsed.range.start < one.range.start:
                one = parsed
        return via, one


class LspCodeAction(LspCodeActionFace):
    """`lsp_code_action`."""

    def __init__(self, service: LanguageService, decide: Decide) -> None:
        self._service = service
        self._decide = decide

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = await the_file(arguments, context, self.spec.name, "file_path")
        if isinstance(place, ToolResult):
            return place
        index = LineIndex((await read_file(context, place)).text)
        line, wanted = number_argument(arguments, "line", 0), text_argument(arguments, "title")
        last = index.line_count - 1
        first, end = (min(line, last + 1) - 1,) * 2 if line else (0, last)
        where = Range(Position(first, 0), Position(end, len(index.body(end))))
        versions = _versions(context)
        offered = await self._offered(place.path, where, text_argument(arguments, "kind"))
        if not wanted:
            return ToolResult(_listing(place.shown, offered))
        via, action = _chosen(offered, wanted)
        plan = action.edit or await self._resolved(via, place.path, action)
        plans = await plan_files(plan, context)
        if any(versions.get(file.place.path) != file.before.version for file in plans):
            raise ToolError("A file was changed while the language server worked. Nothing was changed; try again.")
        summary = f"Applied “{clean(one_line(action.title, 200))}” ({via})."
        return await apply_files(context, self.spec.name, self.title(arguments), plans, self._decide, summary)

    async def _offered(self, path: Path, where: Range, kind: str) -> list[tuple[str, Action]]:
        uri = path_to_uri(path)
        await self._service.fed(path)
        known = [*self._service.editor.diagnostics(path), *self._service.published(path)]
        items = [item for one in known for item in one.items if _touches(span(item.get("range")), where)]
        limits: dict[str, Any] = {"diagnostics": items, "triggerKind": 1, **({"only": [kind]} if kind else {})}
        params = {"textDocument": {"uri": uri}, "range": wire_range(where), "context": limits}
        answers = await self._service.ask_all("textDocument/codeAction", path, params)
        found = [(answer.via, one) for answer in answers for one in actions(answer.result)]
        return [(via, one) for via, one in found if not kind or one.kind.startswith(kind)]

    async def _resolved(self, via: str, path: Path, action: Action) -> EditPlan:
        resolved = await self._service.resolve(via, path, action.raw) if "data" in action.raw else None
        plan = edit_plan(resolved.get("edit")) if isinstance(resolved, Mapping) else None
        if plan is None:
            raise ToolError(f"“{clean(one_line(action.title))}” is a command of {via}, not an edit; it is not run.")
        return plan


class LspRestart(LspRestartFace):
    """`lsp_restart`."""

    def __init__(self, service: LanguageService) -> None:
        self._service = service

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        ended = await self._service.own.restart(text_argument(arguments, "name") or None)
        if not ended:
            return ToolResult("No such language server was running. Missing programs are looked for again.")
        return ToolResult(f"Ended {', '.join(ended)}; they start again with the next question.")


def _versions(context: ToolContext) -> dict[Path, int]:
    """Of the open documents, before a server is asked."""
    found: dict[Path, int] = {}
    for root in context.workspace.roots:
        for document in context.workspace.open_documents_below(root):
            if document.path is not None:
                found[document.path] = document.version
    return found


def _chosen(offered: Sequence[tuple[str, Action]], title: str) -> tuple[str, Action]:
    exact = [pair for pair in offered if pair[1].title == title]
    wanted = title.casefold().strip()
    fitting = exact or [pair for pair in offered if wanted in pair[1].title.casefold()]
    if len({pair[1].title for pair in fitting}) != 1:
        raise ToolError(f"{'More than one' if fitting else 'No'} action is called so. {_listing('Offered', offered)}")
    via, action = fitting[0]
    if action.disabled:
        raise ToolError(f"“{clean(one_line(action.title))}” cannot be used: {clean(one_line(action.disabled, 200))}.")
    return via, action


def _listing(heading: str, offered: Sequence[tuple[str, Action]]) -> str:
    if not offered:
        return f"{heading}: no code actions."
    lines = [f"- {clean(one_line(one.title, 200))} [{clean(one.kind) or 'command'}] ({via})" for via, one in offered]
    more = [f"… and {len(lines) - MOST_ACTIONS} more"] if len(lines) > MOST_ACTIONS else []
    return "\n".join([f"{heading}:", *lines[:MOST_ACTIONS], *more])


def _touches(one: Range | None, where: Range) -> bool:
    return one is not None and one.start.line <= where.end.line and one.end.line >= where.start.line


def _count(files: int) -> str:
    return f"{files} files" if files != 1 else "one file"


def _why(service: LanguageService) -> str:
    problems = service.own.problems()
    return f" ({'; '.join(problems[:4])})" if problems else ""
