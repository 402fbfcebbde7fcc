"""The `lsp_…` tools as they look from outside: what the model and the user are told of them.

Known before anything behind them is imported (`composition.late_tools`). The tools themselves add `run`.
"""

from collections.abc import Mapping
from typing import Any

from lsp_agent.ports.provider import ToolSpec
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.workspace.diagnostics import SEVERITIES

ACTIONS = ("replace", "add_before", "add_after", "delete")
"""What `lsp_replace_symbol` does with a symbol."""
SYMBOL = {"type": "string", "description": "Name of the symbol; qualify it to be precise: `Class.method`, `ns::f`."}
PATH = {
    "type": "string",
    "description": "A file where the symbol occurs, absolute or relative to the first root. Absent: found by search.",
}
LINE = {"type": "integer", "minimum": 1, "description": "Line (from 1) where it occurs, when the name is not unique."}
FILE_PATH = {"type": "string", "description": "Absolute, or relative to the first workspace root."}
MOST_EACH = 10
"""Diagnostics shown of one kind."""
MOST_PLACES = 100
MOST_SYMBOLS = 200
DEFINITION_OF, REFERENCES_TO = "Definition of", "References to"


class LspDiagnosticsFace:
    """`lsp_diagnostics`."""

    kind = "read"
    parallel = False
    read_only = True
    spec = ToolSpec(
        name="lsp_diagnostics",
        description=(
            "Errors and warnings of the language servers (type checkers, linters): of one file, freshly checked, and "
            f"of the rest of the project as far as they are known. At most {MOST_EACH} of each, errors first, with "
            "path:line:column, source and code. After an edit you are told what changed without asking."
        ),
        input_schema=object_schema(
            {
                "file_path": {**FILE_PATH, "description": FILE_PATH["description"] + " Absent: the whole project."},
                "severity": {"type": "string", "enum": list(SEVERITIES), "description": "The least severe to show."},
            }
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Diagnostics of {one_line(text_argument(arguments, 'file_path', 'the project'))}"


class LspPlacesFace:
    """`lsp_definition` and `lsp_references`. `what`: before the symbol in the title of a call."""

    kind = "search"
    parallel = False
    read_only = True

    def __init__(self, spec: ToolSpec, what: str) -> None:
        self.spec = spec
        self._what = what

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"{self._what} {one_line(text_argument(arguments, 'symbol', '…'))}"


_ONE_SYMBOL = object_schema({"symbol": SYMBOL, "path": PATH, "line": LINE}, ["symbol"])
DEFINITION_SPEC = ToolSpec(
    name="lsp_definition",
    description=(
        "Where a symbol is defined, by the language server; without one, by the syntax of the files. Better than "
        "grep for names that occur often. The answer says who gave it."
    ),
    input_schema=_ONE_SYMBOL,
)
REFERENCES_SPEC = ToolSpec(
    name="lsp_references",
    description=(
        "Every use of a symbol in the workspace, by the language server (other things of the same name are left "
        f"out); without one, by a search for the word. At most {MOST_PLACES} places. The answer says who gave it."
    ),
    input_schema=_ONE_SYMBOL,
)


class LspSymbolsFace:
    """`lsp_symbols`."""

    kind = "search"
    parallel = False
    read_only = True
    spec = ToolSpec(
        name="lsp_symbols",
        description=(
            "The outline of a file (classes, functions, … with their lines), or with `query` everything in the "
            f"workspace whose name contains it. At most {MOST_SYMBOLS}."
        ),
        input_schema=object_schema(
            {"file_path": FILE_PATH, "query": {"type": "string", "description": "Part of a name, instead of a file."}}
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        named = text_argument(arguments, "file_path") or text_argument(arguments, "query", "…")
        return f"Symbols of {one_line(named)}"


class LspCallHierarchyFace:
    """`lsp_call_hierarchy`."""

    kind = "search"
    parallel = False
    read_only = True
    spec = ToolSpec(
        name="lsp_call_hierarchy",
        description=(
            "Who calls a function (`incoming`), or what it calls (`outgoing`), by the language server. Without one, "
            "incoming calls are the functions around the references."
        ),
        input_schema=object_schema(
            {
                "symbol": SYMBOL,
                "direction": {"type": "string", "enum": ["incoming", "outgoing"], "description": "Default incoming."},
                "path": PATH,
                "line": LINE,
            },
            ["symbol"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Calls of {one_line(text_argument(arguments, 'symbol', '…'))}"


class LspRenameFace:
    """`lsp_rename`."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="lsp_rename",
        description=(
            "Rename a symbol everywhere it is used, by the language server: all files change, or none. The user is "
            "asked once and sees every place. Needs a language server; without one use lsp_references and edit."
        ),
        input_schema=object_schema(
            {
                "symbol": SYMBOL,
                "new_name": {"type": "string", "description": "The new name, unqualified."},
                "path": PATH,
                "line": LINE,
            },
            ["symbol", "new_name"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        old, new = text_argument(arguments, "symbol", "…"), text_argument(arguments, "new_name", "…")
        return f"Rename {one_line(old, 40)} to {one_line(new, 40)}"


class LspReplaceSymbolFace:
    """`lsp_replace_symbol`."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="lsp_replace_symbol",
        description=(
            "Replace, delete, or add code before or after a whole function, class or other symbol, found by its name "
            "instead of its text. View the file first. Indentation is made to fit when the replacement has none."
        ),
        input_schema=object_schema(
            {
                "symbol": SYMBOL,
                "file_path": FILE_PATH,
                "replacement": {"type": "string", "description": "The new code, whole lines; not needed for delete."},
                "action": {"type": "string", "enum": list(ACTIONS), "description": "Default replace."},
            },
            ["symbol", "file_path"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        verb = {"delete": "Delete", "add_before": "Add before", "add_after": "Add after"}
        action = verb.get(text_argument(arguments, "action"), "Replace")
        return f"{action} {one_line(text_argument(arguments, 'symbol', '…'), 60)}"


class LspCodeActionFace:
    """`lsp_code_action`."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="lsp_code_action",
        description=(
            "The fixes and refactorings a language server offers for a line or a whole file (organise imports, quick "
            "fixes, …). Without `title` they are listed; with the title of one it is applied. Commands are not run."
        ),
        input_schema=object_schema(
            {
                "file_path": FILE_PATH,
                "line": {"type": "integer", "minimum": 1, "description": "Line (from 1); absent: the whole file."},
                "title": {"type": "string", "description": "The action to apply, as listed."},
                "kind": {"type": "string", "description": "Only this kind: quickfix, refactor, source.fixAll, …"},
            },
            ["file_path"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        named_ = text_argument(arguments, "title")
        where = one_line(text_argument(arguments, "file_path", "…"), 60)
        return f"Apply “{one_line(named_, 60)}” in {where}" if named_ else f"Code actions of {where}"


class LspRestartFace:
    """`lsp_restart`."""

    kind = "other"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="lsp_restart",
        description=(
            "Restart the language servers that were started for you (not the editor's own), one by `name` or all: when "
            "they answer nonsense, or after dependencies or their configuration changed."
        ),
        input_schema=object_schema({"name": {"type": "string", "description": "One of them; absent: all."}}),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Restart {one_line(text_argument(arguments, 'name', 'language servers'))}"


FACES = (
    LspDiagnosticsFace(),
    LspPlacesFace(DEFINITION_SPEC, DEFINITION_OF),
    LspPlacesFace(REFERENCES_SPEC, REFERENCES_TO),
    LspSymbolsFace(),
    LspCallHierarchyFace(),
    LspRestartFace(),
    LspRenameFace(),
    LspReplaceSymbolFace(),
    LspCodeActionFace(),
)
"""All of `tools.language_tools`."""
