"""A ground as arguments of bubblewrap (`bwrap(1)`, 0.8.0). Pure but for looking whether paths are there.

Order matters: the system first, then what hides parts of it, then the workspace, then what protects parts of that.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from lsp_agent.shell.ground import SYSTEM, Ground

WALLS = 2
"""Processes between the supervisor and the command: bubblewrap outside, and as the first process of the namespace."""
_TMP_BYTES = 2 << 30


def arguments(binary: str, ground: Ground, argv: Sequence[str], *, cwd: str, root_user: bool) -> list[str]:
    """The whole command line. `--seccomp` stands in place 2; the supervisor puts the descriptor there."""
    line = [binary, "--seccomp", "0", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not ground.network:
        line.append("--unshare-net")
    if not root_user:
        line.append("--unshare-user")
    line += ["--cap-drop", "ALL", "--new-session", "--die-with-parent"]
    line += _system(ground)
    # as root /proc/sys would be writable, and with it the program the kernel runs when something crashes
    line += ["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    for place in ("/proc/sysrq-trigger", "/proc/irq", "/proc/bus"):
        if Path(place).exists():
            line += ["--ro-bind", place, place]
    line += ["--size", str(_TMP_BYTES), "--tmpfs", "/tmp"]
    if not ground.reading:
        line += ["--tmpfs", "/run"] if Path("/run").is_dir() else []
    hidden = _outermost(ground.hidden)
    line += _hide([path for path in hidden if not _below(path, ground.roots)], ground.roots)
    for root in _outer_first(ground.roots):
        line += ["--ro-bind" if ground.reading else "--bind", root, root]
    for path in ground.writable:
        line += ["--bind", path, path]
    line += _protect(ground)
    line += _hide([path for path in hidden if _below(path, ground.roots)], ())
    if ground.reading:
        line += ["--remount-ro", "/"]
    return [*line, "--chdir", cwd, "--", *argv]


def _system(ground: Ground) -> list[str]:
    if not ground.reading:
        return ["--ro-bind", "/", "/"]
    line: list[str] = []
    for name in SYSTEM:
        path = Path("/") / name
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            line += ["--ro-bind", str(path), str(path)]
    for place in ground.visible:
        if Path(place).exists() and not place.startswith(tuple([f"/{name}/" for name in SYSTEM])):
            line += ["--ro-bind", place, place]
    return line


def _hide(paths: Sequence[str], roots: Sequence[str]) -> list[str]:
    line: list[str] = []
    for path in paths:
        if Path(path).is_dir():
            line += ["--perms", "0755", "--tmpfs", path]
            if not any(_below(root, [path]) for root in roots):  # a root below it needs its place made there
                line += ["--remount-ro", path]
        elif Path(path).exists():
            line += ["--ro-bind", "/dev/null", path]
    return line


def _protect(ground: Ground) -> list[str]:
    """Read-only again, and every directory above up to the root pinned, so that none can be renamed away from under."""
    if ground.reading:
        return []
    line: list[str] = []
    pinned: set[str] = set(ground.roots)
    for path in (*ground.protected, *ground.placeholders):
        if not Path(path).exists():
            continue
        root = next((root for root in ground.roots if path.startswith(root.rstrip("/") + "/")), None)
        if root is None:
            continue
        above = [str(parent) for parent in Path(path).parents if str(parent).startswith(root) and str(parent) != root]
        for parent in sorted(above, key=len):
            if parent not in pinned:
                pinned.add(parent)
                line += ["--bind", parent, parent]
        line += ["--ro-bind", path, path]
    return line


def _outermost(paths: Sequence[str]) -> list[str]:
    """Without what lies below another one: that is gone already, and its place could not be made again."""
    return [path for path in paths if not _below(path, [other for other in paths if other != path])]


def _below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _outer_first(roots: Sequence[str]) -> list[str]:
    return sorted(roots, key=lambda root: root.count(os.sep) if root != "/" else 0)
