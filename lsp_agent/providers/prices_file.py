"""The price list in force: the one we ship, kept in a quicker form in the state directory, refreshed if asked.

The shipped file takes 25 ms to check, the kept one 6, so the former is read once a version; both in a thread. Going
online is the user's choice (`models.refresh_prices`): at most once a day, with an ETag, bounded in time and bytes, and
never waited for. Whatever goes wrong, the list before stays.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.prices import Listed, PriceList
from lsp_agent.providers.prices_source import SHIPPED_VERSION, from_raw, shipped
from lsp_agent.providers.proxies import http_client

_log = logging.getLogger(__name__)

PUBLISHED_URL = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
FILE_NAME = "prices.json"
REFRESH_AFTER_S = 86_400.0
REFRESH_S = 20.0
MAX_BYTES = 16 << 20
_SHAPE = 1


class Prices:
    """`path`: where the list is kept; its directory is made when missing. `now_s`: wall clock, seconds."""

    def __init__(self, path: Path, *, url: str = PUBLISHED_URL, now_s: Callable[[], float] = time.time) -> None:
        self.current = PriceList()
        """Empty until `load` is done."""
        self._path = path
        self._url = url
        self._now_s = now_s
        self._etag = ""
        self._checked_s = 0.0
        self._loading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the kept file, or the shipped one. Once; who comes later waits for the same work. Never raises."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._load), name="price list")
        await asyncio.shield(self._loading)

    async def ready(self, timeout_s: float) -> None:
        """As `load`, given up waiting for after `timeout_s`; the work goes on."""
        await asyncio.wait({asyncio.ensure_future(self.load())}, timeout=timeout_s)

    async def refresh(self) -> bool:
        """Ask for the published list when a day has passed. True when it brought another one. Never raises but to be
        cancelled; back within `REFRESH_S` seconds."""
        await self.load()
        if 0 <= self._now_s() - self._checked_s < REFRESH_AFTER_S:
            return False
        try:
            async with asyncio.timeout(REFRESH_S):
                return await self._refresh()
        except (OSError, ValueError, TimeoutError, RuntimeError, ProviderError) as error:
            _log.info("the published price list was not read: %s", type(error).__name__)
            return False

    async def _refresh(self) -> bool:
        import httpx2

        client = await asyncio.to_thread(http_client, self._url)
        try:
            headers = {"if-none-match": self._etag} if self._etag else {}
            async with client.stream("GET", self._url, headers=headers, follow_redirects=False) as response:
                if response.status_code == 304:
                    self._checked_s = self._now_s()
                    await asyncio.to_thread(self._store, self.current)
                    return False
                if response.status_code != 200:
                    raise ValueError(f"status {response.status_code}")
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ValueError("too large")
                etag = response.headers.get("etag", "")
        except httpx2.HTTPError as error:
            raise OSError("no answer") from error
        finally:
            await client.aclose()
        await asyncio.to_thread(self._take, bytes(body), etag[:200])
        return True

    # -------------------------------------------------------------------------------------------------- in a thread

    def _take(self, body: bytes, etag: str) -> None:
        now = datetime.fromtimestamp(self._now_s(), UTC)
        found = from_raw(orjson.loads(body), now.date(), source=f"published, read {now:%Y-%m-%d}")
        self._etag, self._checked_s = etag, self._now_s()
        self._store(found)
        self.current = found

    def _load(self) -> None:
        try:
            kept = orjson.loads(self._path.read_bytes()) if self._path.stat().st_size <= MAX_BYTES else None
        except (OSError, ValueError):
            kept = None
        try:
            if isinstance(kept, dict) and kept.get("shape") == _SHAPE and kept.get("package") == SHIPPED_VERSION:
                self.current = PriceList(
                    {name: [_row(one) for one in rows] for name, rows in kept["services"].items()}, str(kept["source"])
                )
                self._etag, self._checked_s = str(kept["etag"]), float(kept["checked_s"])
                return
        except (KeyError, TypeError, ValueError, AttributeError):
            _log.info("the kept price list is damaged and made anew")
        try:
            found = shipped(datetime.fromtimestamp(self._now_s(), UTC).date())
        except (OSError, ValueError) as error:
            _log.info("there is no price list: %s", type(error).__name__)
            return
        self.current = found
        self._store(found)

    def _store(self, found: PriceList) -> None:
        content = {
            "shape": _SHAPE,
            "package": SHIPPED_VERSION,
            "source": found.source,
            "etag": self._etag,
            "checked_s": self._checked_s,
            "services": {
                name: [[one.model_id, one.name, one.window, one.usd, one.match] for one in found.listed(name)]
                for name in found.services
            },
        }
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(content))
            temporary.replace(self._path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            _log.info("the price list is not kept: %s", error.strerror)


def _row(row: Any) -> Listed:
    model_id, name, window, usd, match = row
    read, write, cached, kept = [float(value) for value in usd]
    return Listed(str(model_id), str(name), int(window), (read, write, cached, kept), dict(match))
