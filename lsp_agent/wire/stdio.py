"""The two descriptors of a connection, and a way to wake whoever waits on them.

For the process's own stdin and stdout: they are moved to private descriptors first, so that a stray `print`, a C
library or a child process cannot write into the protocol (RELIABILITY PR-22).
"""

import contextlib
import fcntl
import os
import select
import socket
import stat
import threading


class Pipes:
    """One connection's descriptors. Two threads use it; the last one to `leave` closes it.

    Promise: `abort` makes every present and future `wait` return False. Descriptors are closed only when nobody polls
    them any more, so that a number is never reused under a thread that still waits on it.
    """

    def __init__(self, read_fd: int, write_fd: int, *, users: int = 2) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._users = users
        self._lock = threading.Lock()  # guards `_users` and the closing
        self._abort_read, self._abort_write = os.pipe()
        self._aborted = False
        self._was_blocking = os.get_blocking(write_fd)
        if _is_pipe(write_fd):
            os.set_blocking(write_fd, False)  # a write must neither hang a closing connection nor hide its progress

    def wait(self, fd: int, events: int) -> bool:
        """Wait until `fd` is ready (or broken). False when the connection is being closed."""
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._abort_read, select.POLLIN)
        ready = poll.poll()
        return not self._aborted and bool(ready)

    def abort(self) -> None:
        """Wake the threads for the last time. May be called twice, from any thread."""
        with self._lock:
            if not self._aborted:
                self._aborted = True
                os.close(self._abort_write)

    def leave(self) -> None:
        """One thread has ended."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if not self._aborted:
                self._aborted = True
                os.close(self._abort_write)
            os.close(self._abort_read)
            with contextlib.suppress(OSError):
                os.set_blocking(self.write_fd, self._was_blocking)
            for fd in {self.read_fd, self.write_fd}:
                with contextlib.suppress(OSError):
                    os.close(fd)


def take_stdio() -> Pipes:
    """Move stdin and stdout out of everybody's reach and return them as a connection's pipes.

    Afterwards descriptor 0 reads nothing and descriptor 1 leads to stderr (to nowhere when that is closed).
    Call it once, before anything else is started.
    """
    # from 3 upwards, also when the parent left one of the first three closed
    read_fd, write_fd = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (0, 1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(null, 2)
        os.dup2(null, 1)
    os.close(null)
    return Pipes(read_fd, write_fd)


def from_socket(connection: socket.socket) -> Pipes:
    """The pipes of an accepted connection; the socket object gives up its descriptor."""
    connection.setblocking(True)
    fd = connection.detach()
    return Pipes(fd, fd)


def _is_pipe(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
