"""The folders the agent works in."""

from collections.abc import Iterable
from pathlib import Path

from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.ports.workspace import Place
from lsp_agent.workspace.paths import path_to_uri, real_path, uri_to_path, written_path


class Roots:
    """The workspace's roots: real paths, in the client's order, never empty.

    Shape: the client may change them at any time (`workspace/didChangeWorkspaceFolders`): see `replace`.
    """

    def __init__(self, paths: Iterable[Path] = (), *, fallback: Path | None = None) -> None:
        self._fallback = real_path(fallback or Path.cwd())
        self._paths: tuple[Path, ...] = ()
        self.replace(paths)

    @classmethod
    def from_uris(cls, uris: Iterable[str], *, fallback: Path | None = None) -> "Roots":
        """From the URIs of `initialize`; those that name no local folder are left out."""
        return cls(paths_of(uris), fallback=fallback)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Real paths, the first one being where relative paths start."""
        return self._paths

    def replace(self, paths: Iterable[Path]) -> None:
        """Take these folders in place of the earlier ones; the fallback when there are none."""
        self._paths = tuple(dict.fromkeys(real_path(path) for path in paths)) or (self._fallback,)

    def change(self, added: Iterable[str], removed: Iterable[str]) -> None:
        """Apply `workspace/didChangeWorkspaceFolders` (URIs)."""
        gone = {real_path(path) for path in paths_of(removed)}
        self.replace([path for path in self._paths if path not in gone] + paths_of(added))

    def containing(self, path: Path) -> Path | None:
        """The innermost root that is `path` or lies above it; compares whole components, never string prefixes."""
        holders = [root for root in self._paths if path.is_relative_to(root)]
        return max(holders, key=lambda root: len(root.parts), default=None)

    def place(self, text: str) -> Place:
        """Where `text` leads, see `ports.workspace.Workspace.place`. Raises: WorkspaceError."""
        return self.place_of(written_path(text, self._paths[0]))

    def place_of(self, path: Path) -> Place:
        """The place of an absolute path."""
        real = real_path(path)
        root = self.containing(real)
        shown = real.relative_to(root).as_posix() if root is not None else str(real)
        return Place(path=real, uri=path_to_uri(real), shown=shown, inside=root is not None, root=root)


def paths_of(uris: Iterable[str]) -> list[Path]:
    """The paths of those URIs that name local files; what is no URI at all is left out too."""
    found: list[Path] = []
    for uri in uris:
        try:
            path = uri_to_path(uri)
        except WorkspaceError:
            continue
        if path is not None:
            found.append(path)
    return found
