"""The system-call filter of a confined command, as classic BPF bytes. Pure; standard library only.

A deny list: what reaches other processes, kernel interfaces, other namespaces or sockets the command has no business
with fails with EPERM. `clone3` fails with ENOSYS: its flags are behind a pointer, and libc falls back to `clone`.
Source: Linux `include/uapi/linux/filter.h`, `seccomp.h`, and the system call tables of x86-64 and arm64.
"""

import platform
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = 0x00050001, 0x00050026
_NR, _ARCH = 0, 4
_X32 = 0x40000000
_NEW_NAMESPACE = 0x7E020080
"""CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET and TIME."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
AF_INET, AF_INET6 = 2, 10

_X86_64: Mapping[str, int] = {
    "socket": 41, "clone": 56, "ioctl": 16, "clone3": 435, "utimensat": 280,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "open_by_handle_at": 304, "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "swapon": 167, "swapoff": 168, "reboot": 169, "acct": 163, "quotactl": 179,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "sethostname": 170,
    "setdomainname": 171, "iopl": 172, "ioperm": 173, "syslog": 103, "lookup_dcookie": 212, "vhangup": 153,
}  # fmt: skip
_X86_64_OWNERSHIP: Mapping[str, int] = {
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "utime": 132, "utimes": 235, "futimesat": 261,
}  # fmt: skip
_ARM64: Mapping[str, int] = {
    "socket": 198, "clone": 220, "ioctl": 29, "clone3": 435, "utimensat": 88,
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd": 438,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 280, "perf_event_open": 241,
    "userfaultfd": 282, "add_key": 217, "request_key": 218, "keyctl": 219,
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "setns": 268, "unshare": 97, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "open_by_handle_at": 265, "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273,
    "delete_module": 106, "swapon": 224, "swapoff": 225, "reboot": 142, "acct": 89, "quotactl": 60,
    "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266, "sethostname": 161,
    "setdomainname": 162, "syslog": 116, "lookup_dcookie": 18, "vhangup": 58,
}  # fmt: skip
_ARM64_OWNERSHIP: Mapping[str, int] = {
    "fchmod": 52, "fchmodat": 53, "fchmodat2": 452, "fchown": 55, "fchownat": 54, "setxattr": 5, "lsetxattr": 6,
    "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
}  # fmt: skip
_SPECIAL = ("socket", "clone", "ioctl", "clone3", "utimensat")


@dataclass(frozen=True, slots=True)
class _Machine:
    audit_arch: int
    calls: Mapping[str, int]
    ownership: Mapping[str, int]


def _machine() -> _Machine | None:
    """This machine's numbers; None when they are not known here."""
    name = platform.machine()
    if name in ("x86_64", "AMD64"):
        return _Machine(0xC000003E, _X86_64, _X86_64_OWNERSHIP)
    if name in ("aarch64", "arm64"):
        return _Machine(0xC00000B7, _ARM64, _ARM64_OWNERSHIP)
    return None


def filter_bytes(*, sockets: Collection[int], keep_ownership: bool) -> bytes | None:
    """The program, eight bytes an instruction; None on a machine whose system calls are not known here.

    `sockets`: address families that `socket` may have; `socketpair` is always allowed. `keep_ownership`: changing
    modes, owners, times by path and extended attributes fails too, where nothing else forbids it.
    """
    machine = _machine()
    if machine is None:
        return None
    calls = machine.calls
    code = [_op(_LOAD, _ARCH), _op(_EQUAL, machine.audit_arch, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NR)]
    code += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, _EPERM)]
    code += _refuse(calls["clone3"], _ENOSYS)
    denied = [number for name, number in calls.items() if name not in _SPECIAL]
    if keep_ownership:
        denied += machine.ownership.values()
        # times of what is open may change (`touch` of a new file); times by path may not
        code += _on_call(calls["utimensat"], [_op(_LOAD, _low(1)), _op(_EQUAL, 0, 1, 0), _op(_RETURN, _EPERM)])
    for number in sorted(set(denied)):
        code += _refuse(number, _EPERM)
    families = [_op(_LOAD, _low(0))]
    for family in sorted(sockets):
        families += [_op(_EQUAL, family, 0, 1), _op(_RETURN, _ALLOW)]
    code += _on_call(calls["socket"], [*families, _op(_RETURN, _EPERM)])
    code += _on_call(calls["clone"], [_op(_LOAD, _low(0)), _op(_ANY_BIT, _NEW_NAMESPACE, 0, 1), _op(_RETURN, _EPERM)])
    tty = [_op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1), _op(_RETURN, _EPERM)]
    code += _on_call(calls["ioctl"], [_op(_LOAD, _low(1)), *tty])
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _low(argument: int) -> int:
    """Where the low half of a system call's argument lies in `struct seccomp_data` (little endian)."""
    return 16 + 8 * argument


def _refuse(number: int, result: int) -> list[bytes]:
    return [_op(_EQUAL, number, 0, 1), _op(_RETURN, result)]


def _on_call(number: int, then: list[bytes]) -> list[bytes]:
    """`then` for this call only; it ends in a verdict or falls through to `allow`."""
    return [_op(_EQUAL, number, 0, len(then) + 1), *then, _op(_RETURN, _ALLOW)]
