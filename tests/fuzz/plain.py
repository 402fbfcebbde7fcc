"""Params of the methods of LSP itself, which our schema does not describe."""

import random
from typing import Any

from tests.fuzz.values import Values

COMMANDS = [
    f"lspAgent.{name}"
    for name in (
        *("stop", "accept", "reject", "permissions", "undo", "status", "transcript", "prompt", "sessions", "model"),
        *("mode", "none"),
    )
]
"""Those that start no run."""
DOCUMENT_METHODS = (
    "textDocument/didOpen",
    "textDocument/didChange",
    "textDocument/didClose",
    "textDocument/didSave",
    "workspace/didChangeWorkspaceFolders",
    "workspace/didChangeConfiguration",
    "window/workDoneProgress/cancel",
)
ARGUMENT_MAKERS = ("textDocument/codeAction", "workspace/executeCommand")


class Plain:
    """What a plain editor sends."""

    def __init__(self, source: random.Random, values: Values) -> None:
        self.random = source
        self._values = values

    def params(self, method: str) -> Any:
        """Valid params of a method of `DOCUMENT_METHODS` or `ARGUMENT_MAKERS`."""
        document: dict[str, Any] = {"uri": self._values.text("uri")}
        match method.rpartition("/")[2]:
            case "didOpen":
                text = self.random.choice(["", "one\ntwo\n", "é\U0001f600\r\nx\r", "# agent: fix this\nx = 1\n"])
                document |= {"languageId": "python", "version": self.random.randrange(5), "text": text}
                return {"textDocument": document}
            case "didChange":
                document["version"] = self.random.randrange(9)
                change: dict[str, Any] = {"text": self.random.choice(["", "new", "a\nb", "\U0001f600"])}
                if self.random.random() < 0.7:
                    change["range"] = self.span()
                return {"textDocument": document, "contentChanges": [change]}
            case "didSave":
                return {"textDocument": document, **({"text": "saved"} if self.random.random() < 0.3 else {})}
            case "didChangeWorkspaceFolders":
                folders = [{"uri": self._values.text("uri"), "name": "x"}]
                # never the whole machine: a root is allowed to be read
                added = [folder for folder in folders if folder["uri"] not in ("file:///", "FILE:///etc/hosts")]
                return {"event": {"added": added, "removed": folders if self.random.random() < 0.7 else []}}
            case "didChangeConfiguration":
                return {"settings": {"agent": {"mode": "plan"}}}
            case "cancel":
                return {"token": self.random.choice(["lsp-agent/1", 1, "x"])}
            case "codeAction":
                problem = {"range": self.span(), "message": "broken", "severity": 1}
                context = {"diagnostics": [problem] if self.random.random() < 0.5 else [], "only": ["quickfix"]}
                return {"textDocument": document, "range": self.span(), "context": context}
            case "executeCommand":
                return self._command()
            case _:
                return {"textDocument": document}

    def span(self) -> dict[str, Any]:
        """A range, forwards or not."""
        numbers = [self.random.choice([0, 0, 1, 2, 3, 99]) for _ in range(4)]
        return {
            "start": {"line": numbers[0], "character": numbers[1]},
            "end": {"line": numbers[2], "character": numbers[3]},
        }

    def _command(self) -> dict[str, Any]:
        name = self.random.choice([*COMMANDS, "lspAgent.ask", "lspAgent.ask", "lspAgent.send"])
        values = self._values
        place = {"uri": values.text("uri"), "range": self.span(), "prompt": values.text("prompt")}
        argument = self.random.choice(
            [place, {"prompt": "hello", "problems": ["p"]}, values.text("sessionId"), values.text("requestId")]
        )
        params: dict[str, Any] = {"command": name}
        if self.random.random() < 0.8:
            params["arguments"] = [argument]
        if self.random.random() < 0.2:
            params["workDoneToken"] = self.random.choice(["t", 4])
        return params
