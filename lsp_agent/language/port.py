"""What the language tools need of the editor: its other language servers' answers, and what they say of files.

Everything here is in LSP's shapes with positions in **code points**; whoever implements it translates encodings.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.workspace.pushed import PushedDiagnostics


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said. `via` names it for people: `pyright (editor)`, `gopls`, `syntax`, `text search`."""

    via: str
    result: Any
    """The LSP result; None when it had nothing to say."""


class EditorLanguage(Protocol):
    """The language servers of every connected editor. Nothing here raises for an editor that fails or is silent."""

    def offers(self, method: str, path: Path) -> bool:
        """Whether some editor that has to do with this file answers `method` for its servers."""
        ...

    async def query(self, method: str, params: Mapping[str, Any], path: Path, timeout_s: float) -> Sequence[Answer]:
        """Ask the editor that has the file open (else one whose roots hold it), then the next one.

        Answers of the first editor that has any that is not empty; empty when nobody answered in time.
        """
        ...

    def diagnostics(self, path: Path | None) -> Sequence[PushedDiagnostics]:
        """What was last reported for a file, or for all. Empty lists are left out."""
        ...

    def reported(self, path: Path) -> Hashable:
        """Changes with every report about the file that is known of; compare only."""
        ...


class NoEditor:
    """Implements `EditorLanguage`: there is none, or it shares nothing."""

    def offers(self, method: str, path: Path) -> bool:
        return False

    async def query(self, method: str, params: Mapping[str, Any], path: Path, timeout_s: float) -> Sequence[Answer]:
        return []

    def diagnostics(self, path: Path | None) -> Sequence[PushedDiagnostics]:
        return []

    def reported(self, path: Path) -> Hashable:
        return None
