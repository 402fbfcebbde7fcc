"""Where an editor's user is and what other language servers told the editor: focus, selections, diagnostics.

Kept as the editor sent it, bounded, keyed by document. Knows nothing of texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection

CONTEXT = "context"
"""Stands for the server's name where diagnostics came in a code action request, which does not name it."""
MAX_ITEMS = 1_000
MAX_FILES = 5_000


class EditorState:
    """Focus, selections and diagnostics of one connection."""

    def __init__(self) -> None:
        self.focused_uri: str | None = None
        self._selections: dict[str, PushedSelection] = {}
        self._latest: PushedSelection | None = None
        self._diagnostics: dict[str, dict[str, PushedDiagnostics]] = {}
        self._reports: dict[str, int] = {}

    def select(self, selection: PushedSelection, key: str) -> None:
        """Take a pushed selection."""
        self._selections[key] = self._latest = selection
        if len(self._selections) > MAX_FILES:
            del self._selections[next(iter(self._selections))]

    def selection(self, key: str | None) -> PushedSelection | None:
        """The latest of one document, or of all."""
        return self._latest if key is None else self._selections.get(key)

    def closed(self, key: str) -> None:
        """A document was closed: its selection and what came with code actions mean nothing any more."""
        if self._selections.pop(key, None) is self._latest:
            self._latest = None
        servers = self._diagnostics.get(key, {})
        servers.pop(CONTEXT, None)
        if not servers:
            self._diagnostics.pop(key, None)

    def publish(self, key: str, uri: str, server: str, version: int | None, items: Sequence[Any]) -> None:
        """Replace what `server` said of a file; an empty list clears it."""
        kept = tuple([item for item in items if isinstance(item, Mapping)][:MAX_ITEMS])
        servers = self._diagnostics.setdefault(key, {})
        if kept:
            servers[server] = PushedDiagnostics(uri, server, version, kept)
        else:
            servers.pop(server, None)
        if not servers:
            del self._diagnostics[key]
        elif len(self._diagnostics) > MAX_FILES:
            del self._diagnostics[next(iter(self._diagnostics))]

    def reported(self, key: str) -> None:
        """Count a report about a file, also when it said nothing."""
        self._reports[key] = self._reports.pop(key, 0) + 1
        if len(self._reports) > MAX_FILES:
            del self._reports[next(iter(self._reports))]

    def reports(self, key: str) -> int:
        """How often something was reported about a file."""
        return self._reports.get(key, 0)

    def keep_context(self, key: str, uri: str, version: int | None, items: Sequence[Any]) -> None:
        """Add to what earlier code actions showed of the same version; another version begins afresh."""
        held = self._diagnostics.get(key, {}).get(CONTEXT)
        fresh = list(held.items) if held is not None and held.version == version else []
        fresh += [item for item in items if item not in fresh]
        self.publish(key, uri, CONTEXT, version, fresh)

    def diagnostics(self, key: str | None) -> list[PushedDiagnostics]:
        """Of one file or of all; a context item that a named server reported too is shown once, under its name."""
        keys = list(self._diagnostics) if key is None else [key]
        found: list[PushedDiagnostics] = []
        for one in keys:
            servers = self._diagnostics.get(one, {})
            named = [item for name, pushed in servers.items() if name != CONTEXT for item in pushed.items]
            for name, pushed in servers.items():
                items = pushed.items if name != CONTEXT else tuple(item for item in pushed.items if item not in named)
                if items:
                    found.append(PushedDiagnostics(pushed.uri, name, pushed.version, items))
        return found
