"""A bound on how many tasks a command may have, by a control group, where this user may make one. Linux only.

The kernel then refuses the fork itself; without it the supervisor can only count and kill. Runs in the supervisor:
standard library only, and every failure means only that there is no such bound.
"""

import contextlib
import os

_NAME = "lsp-agent-{}"


def make_group(most: int) -> str | None:
    """A new group for at most `most` tasks (threads count); its directory, or None when none can be made."""
    for parent in _parents():
        path = f"{parent}/{_NAME.format(os.getpid())}"
        try:
            os.mkdir(path)  # noqa: PTH102
        except OSError:
            continue
        if _write(f"{path}/pids.max", str(most)):
            return path
        remove_group(path)
    return None


def join_group(path: str) -> bool:
    """Put the calling process into the group, and with it all it will start."""
    return _write(f"{path}/cgroup.procs", str(os.getpid()))


def remove_group(path: str) -> None:
    """Take an empty group away; one that is not empty stays."""
    with contextlib.suppress(OSError):
        os.rmdir(path)  # noqa: PTH106


def _parents() -> list[str]:
    """Where this process is now, in the first and in the second version of control groups (cgroups(7))."""
    found = []
    try:
        with open("/proc/self/cgroup", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "pids" in controllers.split(","):
            found.append(f"/sys/fs/cgroup/pids{path.rstrip('/')}")
        elif number == "0":
            found.append(f"/sys/fs/cgroup{path.rstrip('/')}")
    return found


def _write(path: str, text: str) -> bool:
    try:
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)
    except OSError:
        return False
    return True
