"""The ground a command stands on: what it may see, what it may change, what is hidden from it. No processes here.

Two kinds. *Reading*: the system's programs and the workspace, nothing else, nothing writable, secrets hidden.
*Working*: all but secrets of the user is visible, the workspace is writable, what runs code later is read-only in it.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MAX_ENTRIES = 30_000
MAX_FOUND = 400
_REMEMBERED = 200_000
_OF_GIT = frozenset({"info", "modules", "worktrees"})
SECRET_PLACES = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gh", ".config/hub", ".config/gcloud", ".config/op",
    ".netrc", "_netrc", ".git-credentials", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".vault-token", ".terraform.d",
    ".password-store", ".local/share/keyrings", ".mozilla", ".config/google-chrome", ".config/chromium", ".thunderbird",
    ".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".psql_history", ".claude",
    ".claude.json", ".codex", ".gemini", ".config/crush", ".local/share/crush", ".config/lsp-agent",
    ".local/state/lsp-agent", ".local/share/lsp-agent", ".cargo/credentials", ".cargo/credentials.toml",
    ".gem/credentials", ".config/rclone",
)  # fmt: skip
"""Below the home directory, hidden from every command."""
SYSTEM_SECRETS = (
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh",
)
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix", "sys", "gnu")
"""Of the root directory, what a command that only reads gets to see."""
NEVER_MADE = (
    ".mcp.json", ".lsp-agent.toml", ".lsp-agent", ".envrc", ".husky", ".vscode", ".idea", ".claude", ".cursor",
    ".codex", ".devcontainer", ".gitmodules", ".pre-commit-config.yaml", ".github/workflows", ".github/actions",
    ".gitlab-ci.yml", ".circleci", "CLAUDE.md", "AGENTS.md", ".cursorrules", ".nvim.lua", ".exrc",
    ".npmrc", ".zed", ".helix",
)  # fmt: skip
"""Protected names that a command may not bring into being; what it makes all the same is renamed when it has ended.

Not masked by an empty file meanwhile, as inside `.git`: that file would be seen by editors and by the user's own git.
"""
NEVER_MADE_IN_GIT = ("hooks", "config.worktree", "info/attributes")
SET_ASIDE = ".made-by-a-command"


@dataclass(frozen=True, slots=True)
class Ground:
    """What one command may touch. Paths are absolute and real."""

    roots: tuple[str, ...]
    reading: bool = False
    network: bool = False
    hidden: tuple[str, ...] = ()
    """Files and directories whose content it does not see. They are there."""
    protected: tuple[str, ...] = ()
    """Below a root, there, and read-only."""
    placeholders: tuple[str, ...] = ()
    """Below a `.git`, made empty for the while, and read-only."""
    visible: tuple[str, ...] = ()
    """Reading only: more that is seen, read-only."""
    writable: tuple[str, ...] = ()
    """More that may be changed: a private temporary directory."""


@dataclass(slots=True)
class Found:
    """What a look through the roots found. `complete` False = there is more than was looked at."""

    protected: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    complete: bool = True


class Lookout:
    """Finds protected and secret places below a root; remembers what it thinks of a name.

    `is_protected`, `is_secret`: of a path relative to a root. Both look at the end of a path only, so the last names
    are enough, and of most files the very last.
    """

    def __init__(self, is_protected: Callable[[str], bool], is_secret: Callable[[str], bool]) -> None:
        self._is_protected = is_protected
        self._is_secret = is_secret
        self._known: dict[str, str] = {}

    def look(self, root: Path) -> Found:
        """The topmost places of each kind. Blocks: call it in a thread.

        No symlink is followed; of `.git` only what is protected is looked at.
        """
        found = Found()
        count = 0
        waiting = [(str(root), ("", ""), False)]
        while waiting:
            directory, above, in_git = waiting.pop()
            for entry in _entries(directory):
                count += 1
                if count > MAX_ENTRIES or len(found.protected) + len(found.secret) > MAX_FOUND:
                    found.complete = False
                    return found
                kind = self._kind(above, entry.name)
                if entry.is_symlink():
                    continue
                if kind == "protected":
                    found.protected.append(entry.path)
                elif kind == "secret":
                    found.secret.append(entry.path)
                elif entry.is_dir(follow_symlinks=False) and (not in_git or entry.name in _OF_GIT):
                    waiting.append((entry.path, (above[1], entry.name), in_git or entry.name == ".git"))
        return found

    def _kind(self, above: tuple[str, str], name: str) -> str:
        """`protected`, `secret` or nothing. Directories above count when one of them is hidden: all such places are."""
        grand, parent = above
        if parent.startswith(".") or grand.startswith("."):
            name = "/".join([part for part in (grand, parent, name) if part])
        kind = self._known.get(name)
        if kind is None:
            kind = "protected" if self._is_protected(name) else "secret" if self._is_secret(name) else ""
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = kind
        return kind


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []  # gone, or not ours to read: nor is it the command's


def user_secrets(home: Path, more: Sequence[Path]) -> list[str]:
    """What is hidden outside the roots, as far as it is there; real paths."""
    wanted = [*[home / name for name in SECRET_PLACES], *more, *map(Path, SYSTEM_SECRETS)]
    return sorted({str(path.resolve()) for path in wanted if path.exists()})


def absent_places(root: Path) -> list[Path]:
    """What of `NEVER_MADE` is missing now."""
    return [path for name in NEVER_MADE if not os.path.lexists(path := root / name)]


def protected_tops(root: Path, is_protected: Callable[[str], bool]) -> set[Path]:
    """Protected names at the top of a root and in its dot-directories, where programs look for them. Blocks."""
    found: set[Path] = set()
    for entry in _entries(str(root)):
        if is_protected(entry.name):
            found.add(Path(entry.path))
        elif entry.name.startswith(".") and entry.name != ".git" and entry.is_dir(follow_symlinks=False):
            below = [other for other in _entries(entry.path) if is_protected(f"{entry.name}/{other.name}")]
            found |= {Path(other.path) for other in below}
    return found


def absent_in_git(root: Path) -> list[Path]:
    """What of `NEVER_MADE_IN_GIT` is missing now but could be made."""
    git = root / ".git"
    return [path for name in NEVER_MADE_IN_GIT if not os.path.lexists(path := git / name) and path.parent.is_dir()]


def set_aside(absent: Sequence[Path]) -> list[str]:
    """Rename what has come into being, so that nothing obeys it. Shape: the new names. Blocks."""
    moved: list[str] = []
    for path in absent:
        for number in range(100):
            target = path.with_name(f"{path.name}{SET_ASIDE}{number or ''}")
            if not os.path.lexists(path):
                break
            if not os.path.lexists(target):
                try:
                    path.rename(target)
                    moved.append(str(target))
                except OSError:
                    continue
    return moved


class Placeholders:
    """Empty files that stand where a protected file must not appear; each stays until its last user is gone."""

    def __init__(self) -> None:
        self._users: dict[str, int] = {}

    def take(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Make those that are missing. Shape: the paths that stand now; one that cannot be made is left out."""
        taken: list[str] = []
        for path in paths:
            name = str(path)
            if name not in self._users:
                try:
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444))
                except OSError:
                    continue
            self._users[name] = self._users.get(name, 0) + 1
            taken.append(name)
        return tuple(taken)

    def standing(self) -> list[Path]:
        """Those that stand now, whoever made them: to the next command they count as absent, not as there."""
        return [Path(name) for name in self._users]

    def give_back(self, names: Sequence[str]) -> None:
        """One user less; the last one takes the file away, unless somebody has written to it."""
        for name in names:
            self._users[name] = self._users.get(name, 1) - 1
            if self._users[name] > 0:
                continue
            del self._users[name]
            try:
                if Path(name).lstat().st_size == 0:
                    Path(name).unlink()
            except OSError:
                pass  # somebody took it away before us
