"""Landlock by hand: which files the calling process and its children may read and write, for ever. Linux only.

Runs in the supervisor between fork and exec, so: standard library only, no threads, nothing clever.
Source: Linux `include/uapi/linux/landlock.h` and `Documentation/userspace-api/landlock.rst`.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVS = 38
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE, _IOCTL_DEV = 1 << 1, 1 << 14, 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_ALL_BY_ABI = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
"""Rights that exist, by version of the interface."""
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
"""Never given: a device made in the workspace would be a way to the whole disk."""
_TCP = 0b11
_SCOPES = 0b11
MINIMUM_ABI = 3
"""Before it, files outside could be truncated."""


class LandlockError(OSError):
    """The kernel refused."""


def abi() -> int:
    """The kernel's version of the interface; 0 = there is none."""
    try:
        return max(_call(_CREATE, 0, 0, 1), 0)
    except (OSError, AttributeError):
        return 0


def restrict(readable: Sequence[str], writable: Sequence[str], listable: Sequence[str] = ()) -> None:
    """Confine this process for good: no TCP, no signal or abstract socket out of the domain, files as given.

    `listable`: below them, names may be seen. A path that is not there is left out. Raises: LandlockError.
    """
    version = abi()
    if version < MINIMUM_ABI:
        raise LandlockError(f"Landlock {version} is too old")
    rights = _ALL_BY_ABI[min(version, len(_ALL_BY_ABI) - 1)]
    attributes = struct.pack("=QQQ", rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    buffer = ctypes.create_string_buffer(attributes[:size], size)
    ruleset = _call(_CREATE, ctypes.addressof(buffer), size, 0)
    if ruleset < 0:
        raise LandlockError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        for path in readable:
            _allow(ruleset, path, rights & _READING)
        for path in listable:
            _allow(ruleset, path, rights & _READ_DIR)
        for path in writable:
            _allow(ruleset, path, rights & ~(_MAKE_CHAR | _MAKE_BLOCK))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or _call(_RESTRICT, ruleset, 0, 0) != 0:
            raise LandlockError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there: nothing to allow
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _ON_FILES
        buffer = ctypes.create_string_buffer(struct.pack("=Qi", rights, target), 12)
        if _call(_ADD, ruleset, 1, ctypes.addressof(buffer), 0) != 0:
            raise LandlockError(ctypes.get_errno(), "landlock_add_rule")
    finally:
        os.close(target)


def _call(number: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments]))
