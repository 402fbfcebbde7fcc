"""The real server with one planted fault: it believes that every client can do everything.

`test_capabilities` runs a whole job with it, to see that the checker would find such a fault.
"""

import sys
from collections.abc import Mapping
from typing import Any

import lsp_agent.server.server as server
from lsp_agent.__main__ import main
from lsp_agent.server.negotiation import Negotiated, negotiate

EVERYTHING = {
    "general": {"positionEncodings": ["utf-8"]},
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {"groupsOnLabel": True}},
        "codeLens": {"refreshSupport": True},
    },
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}},
            "tagSupport": {"valueSet": [1]},
        },
        "codeLens": {},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {"versionSupport": True},
    },
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
}


def believing(params: Mapping[str, Any]) -> Negotiated:
    """As if every client had said EVERYTHING."""
    return negotiate({**params, "capabilities": EVERYTHING})


if __name__ == "__main__":
    server.negotiate = believing  # type: ignore[attr-defined]
    sys.exit(main())
