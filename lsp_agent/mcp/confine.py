"""The order that starts a server's program: found outside the workspace, with a clean environment, inside the sandbox.

Knows nothing of the protocol. An entry of the user's file is a command all the same (RELIABILITY MC-06, MC-07, MC-13).
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsp_agent.mcp.entry import Entry, EntryProblem
from lsp_agent.shell.environment import child_environment, search_path
from lsp_agent.shell.ground import Ground, Lookout, user_secrets
from lsp_agent.shell.sandbox import Sandbox, build_order
from lsp_agent.shell.spawner import LIMITS, Order

_WEEK_S = 7 * 24 * 3600
_CACHES: Mapping[str, str] = {
    "XDG_CACHE_HOME": "cache",
    "npm_config_cache": "npm",
    "UV_CACHE_DIR": "uv",
    "PIP_CACHE_DIR": "pip",
    "DENO_DIR": "deno",
}
"""What package runners write; the home directory is read-only in the sandbox."""


class FolderUntrusted(EntryProblem):
    """The entry needs something of `root`, a folder that the user has not said may run programs."""

    def __init__(self, text: str, root: Path) -> None:
        super().__init__(text)
        self.root = root


@dataclass(frozen=True, slots=True)
class Program:
    """A command as it will be started."""

    argv: tuple[str, ...]
    """`argv[0]` is absolute."""
    real_path: str
    """Of the program, links followed: what an approval is bound to."""
    cwd: Path


@dataclass(frozen=True, slots=True)
class Confinement:
    """How the programs of one workspace are started.

    `home`: directory for what servers keep (caches), outside every workspace. `hide`: our own directories.
    `trusted`: whether programs in this folder may be run.
    """

    sandbox: Sandbox
    roots: Callable[[], Sequence[Path]]
    environ: Mapping[str, str]
    home: Path
    is_protected: Callable[[str], bool]
    is_secret: Callable[[str], bool]
    hide: Sequence[Path] = ()
    trusted: Callable[[Path], bool] = field(default=lambda _root: False)

    def find(self, entry: Entry) -> Program:
        """Where the command is. Blocks for a few stat calls. Raises: EntryProblem, FolderUntrusted."""
        roots = [Path(root).resolve() for root in self.roots()]
        name = os.path.expanduser(entry.command[0])  # noqa: PTH111 - not yet a path
        path = ":".join(search_path(self.environ.get("PATH", ""), roots))
        if "/" in name and not name.startswith("/"):
            raise EntryProblem("command: must be a name on PATH or an absolute path")
        found = shutil.which(name, path=path)
        if found is None:
            raise EntryProblem("command: the program was not found")
        real = Path(found).resolve()
        self._require_trust(real, roots, "command")
        cwd = self._directory(entry, roots)
        return Program((found, *entry.command[1:]), str(real), cwd)

    async def order(self, entry: Entry, program: Program, env: Mapping[str, str]) -> tuple[Order, str]:
        """The order, and the tier of the sandbox it is for. `env`: resolved. Raises: OSError."""
        roots = [Path(root).resolve() for root in self.roots()]
        tier = await self.sandbox.tier() if entry.sandbox else "none"
        kept = self.kept(entry)
        await asyncio.to_thread(_make_directories, [kept, *[kept / name for name in _CACHES.values()]])
        base = child_environment(self.environ, roots, tmp="/tmp" if tier == "bubblewrap" else str(kept / "cache"))
        caches = {name: str(kept / place) for name, place in _CACHES.items()} if tier != "none" else {}
        limits = {**LIMITS, "RLIMIT_CPU": _WEEK_S}
        order = Order(program.argv, str(program.cwd), {**base, **caches, **env}, limits=limits)
        if tier == "none":
            return order, tier
        ground = await asyncio.to_thread(self._ground, entry, roots, kept)
        return build_order(tier, ground, order), tier

    def kept(self, entry: Entry) -> Path:
        """The server's own directory."""
        return self.home / entry.name

    def _directory(self, entry: Entry, roots: Sequence[Path]) -> Path:
        if entry.cwd is None:
            return self.kept(entry)
        cwd = (roots[0] / Path(entry.cwd).expanduser()).resolve() if roots else Path(entry.cwd).expanduser().resolve()
        if not cwd.is_dir():
            raise EntryProblem("cwd: is not a directory")
        self._require_trust(cwd, roots, "cwd")
        return cwd

    def _require_trust(self, path: Path, roots: Sequence[Path], key: str) -> None:
        inside = [root for root in roots if path.is_relative_to(root)]
        if inside and not any(self.trusted(root) for root in inside):
            root = max(inside, key=lambda one: len(one.parts))
            raise FolderUntrusted(f"{key}: lies in a folder that is not trusted; it starts once you trust it", root)

    def _ground(self, entry: Entry, roots: Sequence[Path], kept: Path) -> Ground:
        home = Path(self.environ.get("HOME") or "/nonexistent")
        hidden = [
            path
            for path in user_secrets(home, self.hide)
            if not any(other.is_relative_to(path) for other in (*roots, kept))
        ]
        lookout = Lookout(self.is_protected, self.is_secret)
        protected = [path for root in roots for path in lookout.look(root).protected]
        return Ground(
            tuple(map(str, roots)),
            network=entry.network,
            hidden=tuple(hidden),
            protected=tuple(protected),
            writable=(str(kept),),
        )


def _make_directories(paths: Sequence[Path]) -> None:
    for path in paths:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
