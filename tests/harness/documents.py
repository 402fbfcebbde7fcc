"""The documents an editor has open, and LSP edits applied to them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class OpenDocument:
    """One open document, the way an editor holds it."""

    uri: str
    text: str
    version: int
    language: str


@dataclass
class Documents:
    """All open documents. Lines end at LF, CRLF and CR only, as LSP says."""

    encoding: str = "utf-16"
    open: dict[str, OpenDocument] = field(default_factory=dict)

    def offset(self, text: str, position: dict[str, int]) -> int:
        """A position in the negotiated encoding as an index into the text; beyond the end of a line = its end."""
        start = 0
        for _ in range(position["line"]):
            ends = [at for at in (text.find("\n", start), text.find("\r", start)) if at >= 0]
            if not ends:
                return len(text)
            start = min(ends) + (2 if text.startswith("\r\n", min(ends)) else 1)
        units, index = position["character"], start
        while units > 0 and index < len(text) and text[index] not in "\r\n":
            units -= self._width(text[index])
            index += 1
        return index

    def apply(self, text: str, edits: list[dict[str, Any]]) -> str:
        """The text with edits that all refer to it."""
        spans = [
            (self.offset(text, edit["range"]["start"]), self.offset(text, edit["range"]["end"]), edit["newText"])
            for edit in edits
        ]
        for start, end, new in sorted(spans, key=lambda span: span[:2], reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def workspace_edit(self, edit: dict[str, Any]) -> tuple[str | None, list[dict[str, Any]]]:
        """Apply a WorkspaceEdit. Returns (why not, or None; the `didChange` params it leads to)."""
        steps = edit.get("documentChanges")
        if steps is None:
            steps = [{"textDocument": {"uri": uri}, "edits": e} for uri, e in edit.get("changes", {}).items()]
        for step in steps:
            document = self.open.get(step.get("textDocument", {}).get("uri", ""))
            wanted = step.get("textDocument", {}).get("version")
            if document is not None and wanted is not None and wanted != document.version:
                return f"{document.uri} is at version {document.version}, not {wanted}", []
        changes: list[dict[str, Any]] = []
        for step in steps:
            if "kind" in step:
                self._file_operation(step)
            else:
                changes += self._text_edit(step["textDocument"]["uri"], step["edits"])
        return None, changes

    def _text_edit(self, uri: str, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        document = self.open.get(uri)
        if document is None:
            path = path_of(uri)
            path.write_text(self.apply(path.read_text("utf-8"), edits), "utf-8")
            return []
        document.text = self.apply(document.text, edits)
        document.version += 1
        ordered = sorted(
            edits, key=lambda e: (e["range"]["start"]["line"], e["range"]["start"]["character"]), reverse=True
        )
        return [
            {
                "textDocument": {"uri": uri, "version": document.version},
                "contentChanges": [{"range": edit["range"], "text": edit["newText"]} for edit in ordered],
            }
        ]

    def _file_operation(self, step: dict[str, Any]) -> None:
        if step["kind"] == "create":
            path_of(step["uri"]).parent.mkdir(parents=True, exist_ok=True)
            path_of(step["uri"]).touch()
        elif step["kind"] == "rename":
            path_of(step["oldUri"]).rename(path_of(step["newUri"]))
        elif step["kind"] == "delete":
            path_of(step["uri"]).unlink(missing_ok=True)

    def _width(self, character: str) -> int:
        if self.encoding == "utf-8":
            return len(character.encode("utf-8"))
        return 2 if self.encoding == "utf-16" and ord(character) > 0xFFFF else 1


def path_of(uri: str) -> Path:
    """The path of a `file:` URI."""
    return Path(unquote(urlsplit(uri).path))
