"""How we introduce ourselves to a language server: what we can do, and the much we do not (LSP 3.17, `initialize`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_agent import __version__

_KINDS = ["", "quickfix", "refactor", "refactor.extract", "refactor.inline", "refactor.rewrite", "source"]
_TAGS = {"valueSet": [1, 2]}


def introduction(root: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The params of `initialize`, JSON-ready. `options`: what the server calls its initialization options."""
    literals = {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": _KINDS}}}
    resolving = {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}, "isPreferredSupport": True}
    return {
        "processId": None,
        "clientInfo": {"name": "lsp-agent", "version": __version__},
        "rootUri": root.as_uri(),
        "rootPath": str(root),
        "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
        "initializationOptions": dict(options),
        "capabilities": {
            "general": {"positionEncodings": ["utf-32", "utf-8", "utf-16"]},
            "textDocument": {
                "synchronization": {"dynamicRegistration": False, "didSave": True},
                "publishDiagnostics": {"versionSupport": True, "relatedInformation": False, "tagSupport": _TAGS},
                "definition": {"linkSupport": True},
                "references": {},
                "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
                "rename": {"prepareSupport": False},
                "callHierarchy": {},
                "codeAction": {**literals, **resolving},
            },
            "workspace": {
                "workspaceFolders": True,
                "configuration": True,
                "applyEdit": False,
                "workspaceEdit": {"documentChanges": True},
                "symbol": {},
            },
            "window": {"workDoneProgress": False},
        },
    }
