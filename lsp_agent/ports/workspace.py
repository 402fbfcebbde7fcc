"""The user's files as the agent sees them: an overlay in which an open document wins over the disk.

Paths in and out are absolute real paths unless said otherwise; a tool's relative path is joined to the first root.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lsp_agent.domain.text import TextEdit


@dataclass(frozen=True, slots=True)
class Document:
    """A text document open in an editor: the text the user sees, saved or not."""

    uri: str
    path: Path | None
    """Real path for `file:` URIs."""
    version: int
    language_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text at one moment."""

    path: Path
    uri: str
    text: str
    """Decoded, without a byte order mark, line ends as they are."""
    content_hash: str
    """Hex XXH3-128 of the text as UTF-8: equal hash = equal text, open or closed."""
    version: int | None
    """Document version; None = closed, read from disk."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path that somebody wrote really leads."""

    path: Path
    """Absolute, symlinks resolved (also of a parent, for a path that does not exist)."""
    uri: str
    shown: str
    """For people and the model: relative to its root with `/`, or absolute when outside."""
    inside: bool
    """Below one of the roots."""
    root: Path | None


class Editor(Protocol):
    """The open documents of every connected editor, and the way to change them (implemented by the server)."""

    def document(self, path: Path) -> Document | None:
        """The open document for a real path; the most recently focused editor's when several have it open."""
        ...

    def document_by_uri(self, uri: str) -> Document | None:
        """By URI as the editor wrote it (also untitled: and other schemes)."""
        ...

    def documents(self) -> Sequence[Document]:
        """Every open document."""
        ...

    async def apply_edit(self, document: Document, edits: Sequence[TextEdit], label: str) -> None:
        """Change an open document through a versioned, labelled `workspace/applyEdit`.

        Edits refer to `document.text` at `document.version`. Returns when the editor has applied it **and** the
        resulting `didChange` has arrived. Raises: DocumentChanged when the version is no longer current, EditRefused
        when the editor refuses, errors, cannot apply edits, or does not answer in 10 s.
        """
        ...


class Workspace(Protocol):
    """The roots, and every way to read and change what is below them."""

    @property
    def roots(self) -> Sequence[Path]:
        """Real paths, in the client's order; never empty (the current directory when the client named none)."""
        ...

    def place(self, path: str) -> Place:
        """Where `path` (absolute, relative to the first root, `~/…`, or a file: URI) leads. Raises: WorkspaceError for
        text that is not a path (NUL, empty)."""
        ...

    async def read_text(self, place: Place, *, max_bytes: int | None = None) -> TextFile:
        """The overlay's text. Raises: FileUnreadable, whose `reason` says why (missing, a directory, binary, …)."""
        ...

    async def read_bytes(self, place: Place, *, max_bytes: int) -> bytes:
        """The file's bytes from disk. Raises: FileUnreadable."""
        ...

    async def change(self, place: Place, transform: Callable[[TextFile], str], label: str) -> tuple[TextFile, TextFile]:
        """Change a file that exists: `transform` gets the current text and returns the new one.

        Open: minimal edits by `Editor.apply_edit`, once more with the fresh text when the document moved on. Closed:
        atomically on disk, keeping mode, byte order mark, encoding. Returns (before, after) as it really happened.
        Raises: what `transform` raises, FileUnreadable, EditRefused, DocumentChanged (after the second try).
        """
        ...

    async def create(self, place: Place, text: str, label: str) -> TextFile:
        """A new file with parent directories, atomically, never over an existing one. Raises: WorkspaceError."""
        ...

    async def walk(
        self, place: Place, *, pattern: str | None = None, hidden: bool = False, limit: int = 100_000
    ) -> list[Path]:
        """Regular files below a directory: .gitignore honoured, no link followed, open unsaved new files included."""
        ...

    def open_documents_below(self, path: Path) -> Iterable[Document]:
        """Open documents whose real path is `path` or below it."""
        ...
