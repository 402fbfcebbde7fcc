"""Fetching weights: an explicit act that says its size first, goes on where it was cut off, and proves what it got.

The bytes go to `<file>.part`; only when the SHA-256 of the whole fits is it given its name. Memory stays small whatever
the size. The file is written by a thread, the network is read by the loop.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from lsp_agent import __version__
from lsp_agent.local.weights import Installed, Weights, WeightsError, known

if TYPE_CHECKING:
    import httpx2

_CHUNK = 1 << 20
_SPARE_BYTES = 256 << 20
"""Left free on the disk."""
_TRIES = 6
_SILENCE_S = 60.0
_PAUSE_S = 1.0
_MAX_REDIRECTS = 5
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Progress = Callable[[int, int], None]
"""(bytes there are, bytes there will be). Called often."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is about to be fetched, for the question whether to."""

    weights: Weights
    url: str
    target: Path
    already: int
    """Bytes that an earlier attempt left."""

    @property
    def sentence(self) -> str:
        """One line for people."""
        rest = f", {size_text(self.already)} of it are here already" if self.already else ""
        host = urlsplit(self.url).hostname or self.url
        return f"{self.weights.name} ({self.weights.licence}): {size_text(self.weights.size)} from {host}{rest}"


def size_text(size: int) -> str:
    """`469 MiB`, `1.04 GiB`."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


async def pull(
    name: str,
    directory: Path,
    *,
    confirm: Callable[[Offer], bool],
    on_progress: Progress,
    url: str | None = None,
    catalogue: Callable[[str], Weights | None] = known,
    silence_s: float = _SILENCE_S,
    pause_s: float = _PAUSE_S,
) -> Installed:
    """Fetch the weights `name` into `directory`, or find them there.

    `confirm` is asked once, with the size, before the first byte. Cancelling leaves a `.part` that the next call goes
    on with. Raises: WeightsError.
    """
    weights = catalogue(name)
    if weights is None:
        raise WeightsError(f"No weights are called {name!r}; see `lsp-agent local list`.")
    target = directory / weights.file_name
    if target.is_file() and target.stat().st_size == weights.size:
        return Installed(weights.name, target, weights)
    source = url or weights.url
    if not source:
        raise WeightsError(f"{weights.name} has no official address: say where it is with --url.")
    _check_address(source)
    part = target.with_name(target.name + ".part")
    already = part.stat().st_size if part.is_file() else 0
    if already > weights.size:
        part.unlink()
        already = 0
    if not confirm(Offer(weights, source, target, already)):
        raise WeightsError("Nothing was fetched.")
    _prepare(directory, weights.size - already)
    await _fetch(source, part, weights, on_progress, silence_s, pause_s)
    await asyncio.to_thread(_accept, part, target, weights)
    return Installed(weights.name, target, weights)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise WeightsError(f"{url}: weights are fetched over https only")


def _prepare(directory: Path, missing: int) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise WeightsError(f"{directory} cannot be used: {error.strerror}") from error
    if free < missing + _SPARE_BYTES:
        wanted = size_text(missing + _SPARE_BYTES)
        raise WeightsError(f"There is too little space in {directory}: {size_text(free)} free, {wanted} wanted.")


async def _fetch(
    url: str, part: Path, weights: Weights, on_progress: Progress, silence_s: float, pause_s: float
) -> None:
    """Fill `part` to its whole size; an interrupted answer is asked for again from where it stopped."""
    import httpx2

    timeout = httpx2.Timeout(silence_s, connect=15.0)
    agent = {"user-agent": f"lsp-agent/{__version__}", "accept-encoding": "identity"}
    loopback = urlsplit(url).hostname in _LOOPBACK
    async with httpx2.AsyncClient(
        timeout=timeout, headers=agent, follow_redirects=True, max_redirects=_MAX_REDIRECTS, trust_env=not loopback
    ) as client:
        failures = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            if before == weights.size:
                return
            try:
                await _fetch_once(client, url, part, weights, on_progress)
                why = "the answer was too short"
            except (httpx2.HTTPError, httpx2.StreamError) as error:
                why = str(error) or type(error).__name__
            after = part.stat().st_size if part.exists() else 0
            if after == weights.size:
                return
            # a connection that brings something each time may break often
            failures = 1 if after > before else failures + 1
            if failures >= _TRIES:
                kept = f"; {size_text(after)} are kept, run the command again to go on" if after else ""
                raise WeightsError(f"{weights.name} could not be fetched: {why}{kept}.")
            await asyncio.sleep(pause_s * failures)


async def _fetch_once(
    client: "httpx2.AsyncClient", url: str, part: Path, weights: Weights, on_progress: Progress
) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"range": f"bytes={have}-"} if have else {}
    async with client.stream("GET", url, headers=headers) as response:
        if response.url.scheme != "https":
            _check_address(str(response.url))
        if response.status_code == 416 or (response.status_code == 200 and have):
            part.unlink(missing_ok=True)  # it cannot go on from here, or has something else: from the beginning
            have = 0
        if response.status_code == 416:
            return
        if response.status_code not in {200, 206}:
            await _refuse(response, weights)
        if response.status_code == 206 and not _continues(response.headers.get("content-range", ""), have):
            raise WeightsError(f"{weights.name}: the server answered with another part than was asked for.")
        file = await asyncio.to_thread(_opened, part)
        try:
            # as it comes: a size asked for here would keep back what a cut connection has brought
            async for chunk in response.aiter_raw():
                have += len(chunk)
                if have > weights.size:
                    await asyncio.to_thread(part.unlink)
                    raise WeightsError(f"{weights.name}: the server sends more than the weights have; not kept.")
                await asyncio.to_thread(file.write, chunk)
                on_progress(have, weights.size)
        finally:
            await asyncio.shield(asyncio.to_thread(file.close))


async def _refuse(response: "httpx2.Response", weights: Weights) -> None:
    import httpx2

    if response.status_code in {408, 429, 500, 502, 503, 504}:
        raise httpx2.HTTPStatusError(
            f"the server answered {response.status_code}", request=response.request, response=response
        )
    raise WeightsError(f"{weights.name}: the server answered {response.status_code}.")


def _continues(content_range: str, have: int) -> bool:
    return content_range.strip().lower().startswith(f"bytes {have}-")


def _opened(part: Path) -> IO[bytes]:
    # nobody's link is followed, and nobody else reads along
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    file = os.fdopen(os.open(part, flags, 0o600), "ab")
    try:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return file  # a system without such locks
    except OSError as error:
        file.close()
        raise WeightsError(f"{part.name} is being fetched by another process.") from error
    return file


def _accept(part: Path, target: Path, weights: Weights) -> None:
    """Prove the whole and give it its name. Raises: WeightsError; what does not fit is not kept."""
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        os.fsync(file.fileno())
    if digest.hexdigest() != weights.sha256:
        part.unlink()
        raise WeightsError(
            f"{weights.name}: what came is not what it should be (SHA-256 {digest.hexdigest()[:16]}…, wanted "
            f"{weights.sha256[:16]}…). It was thrown away."
        )
    part.replace(target)


def remove(item: Installed, directory: Path) -> int:
    """Delete weights below `directory`; returns their size in bytes. Raises: WeightsError for a file elsewhere."""
    if item.path.parent != directory:
        raise WeightsError(f"{item.path} is not in {directory}; it is yours to delete.")
    size = item.path.stat().st_size
    item.path.unlink()
    return size
