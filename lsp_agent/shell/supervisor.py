"""The small process between the server and a command: confines the command, passes its exit on, outlives nothing.

It is the reaper of everything the command starts (`PR_SET_CHILD_SUBREAPER`), so a child that calls `setsid` or forks
twice is still found. When the command ends, when the server asks (SIGTERM) or when the server dies (the kernel sends
SIGTERM then), it ends the whole tree: TERM, a second and a half or what the order says, then KILL until nothing is
left.

Started as `python -I -S`; imports the standard library and its two neighbours only. Reads one JSON order from its
standard input, a pipe, and writes one JSON report to the descriptor it was given.
"""

import base64
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from types import FrameType
from typing import Any

from lsp_agent.shell import task_limit

_SET_PDEATHSIG, _SET_SECCOMP, _SET_NO_NEW_PRIVS, _SET_SUBREAPER = 1, 22, 38, 36
_DROP_CAPABILITY, _CAPABILITIES = 24, 64
TERM_GRACE_S = 1.5
_KILL_TRIES = 200
_WATCH_S, _WATCH_CLOSELY_S = 0.25, 0.02
_FEW_PROCESSES = 24
"""More than these are counted often: a fork bomb doubles faster than anything else happens."""
_TASKS_A_PROCESS = 4
NOT_STARTED = 127


def main() -> None:
    """Carry out the order on standard input; exit with the command's status."""
    server = os.getppid()
    _prctl(_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_SET_SUBREAPER, 1)
    stopping: list[str] = []
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append("stopped")

    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    order = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)  # what the command reads is nothing, unless the order says where its words come from
    if os.getppid() != server:
        sys.exit(NOT_STARTED)  # it died before the kernel knew that we want to hear of it
    report = int(order["report_fd"])
    os.set_inheritable(report, False)
    group = task_limit.make_group(int(order["max_processes"]) * _TASKS_A_PROCESS)
    child = _start(order, group)
    for handed_on in (order.get("outlet_fd"), *(order.get("joined") or ())):
        if handed_on is not None:
            os.close(int(handed_on))  # the server sees its end when nobody inside holds it any more
    # the pipes of the output belong to the command: whoever reads them sees their end with the last of it
    os.dup2(null, 1)
    os.dup2(null, 2)
    limits = (int(order["max_processes"]), int(order["max_memory_bytes"]))
    status, why = _watch(child, limits, wake_read, stopping, server)
    _end_tree(child, int(order.get("walls", 0)), float(order.get("grace_s", TERM_GRACE_S)) if why else 0.0)
    _remove_placeholders(order, why)
    if status is None:
        status = _reaped(child)
    if group is not None:
        task_limit.remove_group(group)
    code, by_signal = _meaning(status)
    with contextlib.suppress(OSError):
        os.write(report, json.dumps({"exit": code, "signal": by_signal, "why": why}).encode())
    os._exit(0)


# --------------------------------------------------------------------------------------------------- the command


def _start(order: dict[str, Any], group: str | None) -> int:
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if group is not None:
            task_limit.join_group(group)
        os.setsid()
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        _limit(order["limits"])
        os.chdir(order["cwd"])
        for ours, handed in enumerate(order.get("joined") or ()):
            os.dup2(int(handed), ours)
        outlet = order.get("outlet_fd")
        _close_all_but({0, 1, 2} if outlet is None else {0, 1, 2, int(outlet)})
        if outlet is not None:
            order["argv"][order["outlet_at"]] = str(outlet)
        _confine(order)
        os.execve(order["argv"][0], order["argv"], order["env"])
    except BaseException as error:  # noqa: BLE001  # nothing may return into the supervisor's code from here
        os.write(2, f"lsp-agent: the command could not be started: {error}\n".encode())
    os._exit(NOT_STARTED)


def _confine(order: dict[str, Any]) -> None:
    """Landlock and the filter for this process, or a descriptor with the filter for bubblewrap to load."""
    program = base64.b64decode(order.get("seccomp") or "")
    if order.get("seccomp_at") is not None:
        order["argv"][order["seccomp_at"]] = str(_memory(program))
    elif order.get("landlock") is not None:
        from lsp_agent.shell import landlock

        rules = order["landlock"]
        for capability in range(_CAPABILITIES):
            with contextlib.suppress(OSError):  # root keeps none of them over the exec
                _prctl(_DROP_CAPABILITY, capability)
        landlock.restrict(rules["readable"], rules["writable"], rules["listable"])
        if not program:
            raise OSError("there is no system-call filter for this machine")
        _load_filter(program)


def _memory(data: bytes) -> int:
    descriptor = os.memfd_create("filter", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _load_filter(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    buffer = ctypes.create_string_buffer(program, len(program))
    filled = Program(len(program) // 8, ctypes.addressof(buffer))
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_SET_SECCOMP, 2, ctypes.addressof(filled))


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))


def _close_all_but(keep: set[int]) -> None:
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # pathlib costs more to import than all the rest
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _prctl(option: int, value: int, third: int = 0) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(value), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0)]
    if libc.prctl(ctypes.c_int(option), *words) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


# ------------------------------------------------------------------------------------------------------- the end


def _watch(child: int, limits: tuple[int, int], wake: int, stopping: list[str], server: int) -> tuple[int | None, str]:
    """Wait for the command, a wish to stop, too many processes or too much memory. The wait status (None: it still
    runs) and why. `limits`: processes, and bytes."""
    most, most_bytes = limits
    while True:
        status = _reap(child)
        if status is not None:
            return status, ""
        if stopping:
            return None, stopping[0]
        if os.getppid() != server:
            return None, "orphaned"
        count, memory_bytes = _family(os.getpid(), most)
        if count > most:
            return None, "processes"
        if memory_bytes > most_bytes:
            return None, "memory"
        select.select([wake], [], [], _WATCH_S if count <= _FEW_PROCESSES else _WATCH_CLOSELY_S)
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)


def _reap(child: int) -> int | None:
    """Collect whoever has ended; the status of `child` when it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _reaped(child: int) -> int:
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return int(signal.SIGKILL)


def _end_tree(child: int, walls: int, grace_s: float) -> None:
    """TERM for everybody but the walls of the sandbox, patience, then KILL until the tree is gone."""
    me = os.getpid()
    if grace_s:
        sandbox = _first_generations(child, walls)
        _signal(_descendants(me) - sandbox, signal.SIGTERM)
        until = time.monotonic() + grace_s
        while time.monotonic() < until and _alive(_descendants(me) - sandbox):
            time.sleep(0.01)
    for _try in range(_KILL_TRIES):
        left = _descendants(me)
        if not _alive(left):
            break
        _signal(left, signal.SIGSTOP)  # what is stopped does not fork while the others are killed
        _signal(_descendants(me), signal.SIGKILL)
        _collect_strangers(child)
        time.sleep(0.002)
    _collect_strangers(child)


def _collect_strangers(child: int) -> None:
    """Collect ended descendants, but leave the command's own status for later."""
    for pid in _descendants(os.getpid()) - {child}:
        with contextlib.suppress(OSError):
            os.waitpid(pid, os.WNOHANG)


def _first_generations(child: int, walls: int) -> set[int]:
    found: set[int] = set()
    parents = {child}
    for _level in range(walls):
        found |= parents
        parents = {pid for pid, (parent, _) in _processes().items() if parent in parents}
    return found


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _alive(pids: set[int]) -> bool:
    known = _processes()
    return any(known.get(pid, (0, "Z"))[1] not in "ZX" for pid in pids)


def _descendants(me: int) -> set[int]:
    known = _processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in known.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [me]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def _family(me: int, enough: int) -> tuple[int, int]:
    """How many descendants there are and the memory they hold, in bytes; along the kernel's lists of children, no
    further than needed."""
    count, pages, waiting = 0, 0, [me]
    while waiting and count <= enough:
        pid = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                with open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                    children = [int(word) for word in file.read().split()]
                count += len(children)
                waiting += children
            with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
                words = file.read().split()
            pages += int(words[1]) - int(words[2])  # what is shared is counted by nobody
        except (OSError, IndexError):
            continue  # it has ended meanwhile, or this kernel keeps no such lists
    return count, pages * resource.getpagesize()


def _remove_placeholders(order: dict[str, Any], why: str) -> None:
    """Normally the server does this, which knows who else needs them; when it is dead nobody else will."""
    if why != "orphaned":
        return
    for path in order.get("placeholders", ()):
        with contextlib.suppress(OSError):
            if os.stat(path, follow_symlinks=False).st_size == 0:  # noqa: PTH116
                os.unlink(path)  # noqa: PTH108


def _processes() -> dict[int, tuple[int, str]]:
    """Every process: its parent and its state letter (`/proc/<pid>/stat`, proc(5))."""
    found: dict[int, tuple[int, str]] = {}
    if sys.platform != "linux":
        return _listed_processes()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if len(fields) > 1:
                found[int(name)] = (int(fields[1]), fields[0].decode())
    return found


def _listed_processes() -> dict[int, tuple[int, str]]:
    with os.popen("/bin/ps -axo pid=,ppid=,state=") as lines:
        rows = [line.split() for line in lines]
    return {int(row[0]): (int(row[1]), row[2][0]) for row in rows if len(row) > 2}


def _meaning(status: int) -> tuple[int, int]:
    """Exit code and signal of a wait status; a signal counts as 128 more, as shells do."""
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0
