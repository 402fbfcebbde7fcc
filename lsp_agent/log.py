"""The log: one JSON line a record in a file of the data directory, and warnings on standard error, secrets taken out.

Logging never raises and never waits for whoever reads standard error: a line that cannot be written is counted and
dropped. Knows nothing of what is logged; nobody logs payloads, and a line is cut at `MAX_LINE_CHARS`.
"""

import json
import logging
import os
import re
import select
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

LOG_NAME = "lsp-agent.log"
MAX_LINE_CHARS = 8192
MIN_SECRET_CHARS = 6
HIDDEN = "[hidden]"

_PATTERNS = re.compile(
    r"""
      \bsk-[A-Za-z0-9_-]{16,}                          # Anthropic, OpenAI, OpenRouter
    | \bAIza[0-9A-Za-z_-]{30,}                         # Google
    | \b(?:gh[pousr]_|github_pat_|glpat-|hf_|gsk_|xai-|npm_|pypi-|r8_|fw_|nvapi-)[A-Za-z0-9_-]{16,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                   # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                    # AWS
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*  # JSON web token
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----(?:.*?-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|.*)
    | (?<=://)[^/\s:@"']*:[^/\s@"']+(?=@)              # user:password@ of a URL
    | (?:(?<=bearer[ ])|(?<=basic[ ]))[A-Za-z0-9._~+/=-]{8,}
    | (?<=[?&]key=)[^&\s"']{8,}
    | (?<=x-api-key:[ ])\S{8,}
    | (?<=api_key=)[^\s&"',]{8,}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


class Redactor:
    """Takes secrets out of text: exact values that were registered, and what looks like a key.

    Promise: `redact` never raises. Idempotent.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._exact: re.Pattern[str] | None = None
        for secret in secrets:
            self.register(secret)

    def register(self, value: str | None) -> None:
        """Hide `value` from now on, also as JSON or a URL writes it. Values under six characters are ignored."""
        if value is None or len(value.strip()) < MIN_SECRET_CHARS:
            return
        value = value.strip()
        escaped = json.dumps(value)[1:-1]
        self._values |= {value, escaped, json.dumps(value, ensure_ascii=False)[1:-1], quote(_sayable(value), safe="")}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._exact = re.compile("|".join(re.escape(one) for one in longest_first))

    def redact(self, text: str) -> str:
        """`text` with every secret replaced by `[hidden]`."""
        if self._exact is not None:
            text = self._exact.sub(HIDDEN, text)
        return _PATTERNS.sub(HIDDEN, text)


def install(
    data_dir: Path,
    guard: Redactor,
    *,
    level: int = logging.INFO,
    stderr_level: int = logging.WARNING,
    stderr_fd: int = 2,
    max_bytes: int = 2 << 20,
    keep: int = 3,
) -> "Installed":
    """Send the log of this process to `data_dir` (made when missing) and to standard error.

    Replaces handlers of an earlier call. Other packages are logged from WARNING only: they log payloads below it.
    Promise: never raises; without a writable directory there is only standard error.
    """
    file = _FileHandler(data_dir / LOG_NAME, guard, max_bytes, keep)
    stderr = _DescriptorHandler(stderr_fd, guard)
    stderr.setLevel(stderr_level)
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _LineHandler)]:
        root.removeHandler(old)
        old.close()
    root.setLevel(logging.WARNING)
    logging.getLogger("lsp_agent").setLevel(level)
    for name in ("mcp", "client"):  # the MCP SDK logs tracebacks that hold a server's text
        logging.getLogger(name).setLevel(logging.CRITICAL)
    root.addHandler(file)
    root.addHandler(stderr)
    return Installed(file.path, (file, stderr))


class Installed:
    """The log in place; `path` is the file, for `agent/status`."""

    def __init__(self, path: Path, handlers: "tuple[_LineHandler, ...]") -> None:
        self.path = path
        self._handlers = handlers

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return sum(handler.dropped for handler in self._handlers)

    def close(self) -> None:
        """Take the handlers away. May be called twice."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()


class _LineHandler(logging.Handler):
    """Makes one redacted line of a record and writes it; whatever goes wrong is counted."""

    def __init__(self, guard: Redactor, render: Callable[[logging.LogRecord, Redactor], str]) -> None:
        super().__init__()
        self.dropped = 0
        self._guard = guard
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write_line(self._render(record, self._guard).encode("utf-8", "backslashreplace") + b"\n")
        except Exception:  # noqa: BLE001 - logging can never raise, whatever the record holds
            self.dropped += 1

    def write_line(self, line: bytes) -> None:
        raise NotImplementedError


class _FileHandler(_LineHandler):
    """Appends to a file of mode 0600; when it is full it becomes `.1`, and so on."""

    def __init__(self, path: Path, guard: Redactor, max_bytes: int, keep: int) -> None:
        super().__init__(guard, _as_json)
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._descriptor = -1
        self._size = 0

    def write_line(self, line: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        self._size += os.write(self._descriptor, line)

    def close(self) -> None:
        self.acquire()
        try:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        finally:
            self.release()
        super().close()

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        for number in range(self._keep - 1, 0, -1):
            older = self.path.with_name(f"{LOG_NAME}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{LOG_NAME}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{LOG_NAME}.1"))
        self._open()


class _DescriptorHandler(_LineHandler):
    """Writes to a pipe or terminal only as much as it takes without waiting."""

    def __init__(self, descriptor: int, guard: Redactor) -> None:
        super().__init__(guard, _as_text)
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    def write_line(self, line: bytes) -> None:
        if len(line) > select.PIPE_BUF:
            line = line[: select.PIPE_BUF - 4] + b"...\n"
        # A pipe that is ready takes PIPE_BUF bytes at once (POSIX, pipe(7)); one that is not would stop the loop.
        if any(events & select.POLLOUT for _, events in self._room.poll(0)):
            os.write(self._descriptor, line)
        else:
            self.dropped += 1


def _as_json(record: logging.LogRecord, guard: Redactor) -> str:
    fields: dict[str, Any] = {
        "time": _time(record),
        "level": record.levelname,
        "logger": record.name,
        "message": _redacted(_message(record), guard),
    }
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = guard.redact(_trace(record.exc_info[1]))[-MAX_LINE_CHARS:]
    return json.dumps(fields, ensure_ascii=False)


def _as_text(record: logging.LogRecord, guard: Redactor) -> str:
    text = _redacted(_message(record), guard)
    if record.exc_info and record.exc_info[1] is not None:
        text += f": {guard.redact(_summary(record.exc_info[1]))}"
    visible = "".join([char if char.isprintable() else char.encode("unicode_escape").decode() for char in text])
    return f"{_time(record)} {record.levelname} {record.name}: {visible}"


def _redacted(text: str, guard: Redactor) -> str:
    """Cut twice: a secret across the first, far cut is not half shown behind the second."""
    return guard.redact(text[: 4 * MAX_LINE_CHARS])[:MAX_LINE_CHARS]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong format must not cost the record
        return f"{record.msg!r} (arguments do not fit)"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sayable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
