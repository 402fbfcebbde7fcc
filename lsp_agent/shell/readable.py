"""What a command under Landlock may read: rules only allow, so what is hidden is left out by naming its neighbours."""

from collections.abc import Iterable
from pathlib import Path

from lsp_agent.shell.ground import SYSTEM, Ground

_KERNEL = (
    "self",
    "sys",
    "meminfo",
    "cpuinfo",
    "stat",
    "loadavg",
    "uptime",
    "version",
    "filesystems",
    "mounts",
    "devices",
)
_NEVER = ("/proc", "/run", "/tmp", "/var/run", "/var/tmp", "/dev/mem", "/dev/kmem", "/dev/port", "/boot", "/lost+found")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
MAX_PLACES = 5_000


def readable_places(ground: Ground) -> list[str]:
    """Directories and files that together are everything this ground shows."""
    hidden = {Path(path) for path in ground.hidden}
    kernel = [f"/proc/{name}" for name in _KERNEL]
    if ground.reading:
        tops: list[Path] = [Path("/") / name for name in SYSTEM] + [Path(path) for path in ground.visible]
    else:
        hidden |= {Path(path) for path in _NEVER} | {Path("/dev")}
        tops = [Path("/")]
    tops += [Path(root) for root in ground.roots]
    places: list[str] = []
    for top in tops:
        inside = {path for path in hidden if path.is_relative_to(top)}
        if str(top) in ground.roots:
            inside -= {Path(path) for path in _NEVER}
        places += _around(top, inside)
    return list(dict.fromkeys([*places[:MAX_PLACES], *kernel, *_DEVICES]))


def _around(top: Path, hidden: Iterable[Path]) -> list[str]:
    """`top` when it hides nothing, else its entries, and so on along the way to what is hidden."""
    left = set(hidden)
    if top in left:
        return []
    if not left:
        return [str(top)]
    places: list[str] = []
    try:
        entries = sorted(top.iterdir())
    except OSError:
        return []
    for entry in entries:
        if not entry.is_symlink():  # a link leads to something that is allowed or hidden by itself
            places += _around(entry, {path for path in left if path.is_relative_to(entry)})
    return places
