"""How requests reach a service: what every way of sending looks like, and the life of the one client behind it.

Two ways lead to Anthropic's and OpenAI's dialects: `plain_http`, the default of every service, and the vendor's SDK
(`anthropic_sdk`, `openai_sdk`), chosen by `options.transport`. Both send the same bytes (held by the tests), over HTTP
clients made in one place (`proxies.http_client`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from urllib.parse import quote, unquote_plus, urlencode

from lsp_agent.providers.proxies import TlsContexts

if TYPE_CHECKING:
    import httpx2

HTTP = "http"
SDK = "sdk"
TRANSPORTS = (HTTP, SDK)
"""Values of `options.transport`."""
_CLOSE_S = 2.0

_T = TypeVar("_T")


class Sender(Protocol):
    """One service's connections."""

    async def preload(self) -> None:
        """Import and set up in a thread, so that the first prompt does not pay for it. Raises: ProviderError."""
        ...

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "httpx2.Response":
        """Send once and return the open response of a success; whoever gets it closes it.

        `path` is below the base address, query included; `headers` are those of this request and win over the
        service's own. Promise: no retry, no redirect, no deadline but the connection's.
        Raises: what `errors.translating_errors` turns into a ProviderError.
        """
        ...

    async def close(self) -> None:
        """Release connections. Bounded, may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """How a service is reached, the same for all its requests."""

    ca_file: str = ""
    """PEM file, trusted in addition; empty = none."""
    transport: str = HTTP
    """One of `TRANSPORTS`; services without an SDK know only the first."""
    contexts: TlsContexts | None = None
    """Certificates that are shared with other services; None = this service reads its own."""


DIRECTLY = Reach()


class OneClient(Generic[_T]):
    """A client that is made in a thread when it is first needed, once for everybody who waits, and closed once.

    A failure is told to all who wait and forgotten: the next one tries again.
    """

    def __init__(self, make: Callable[[], _T], close: Callable[[_T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._made: asyncio.Future[_T] | None = None

    async def ready(self) -> _T:
        """The client. Raises: what making it raises."""
        made = self._made
        if made is None:
            made = self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
            made.add_done_callback(self._forget_failure)
        # who is cancelled must not take the client of the others along
        return await asyncio.shield(made)

    async def close(self) -> None:
        """Release it, also one that is only now being made. Bounded, may be called twice."""
        made, self._made = self._made, None
        if made is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.wait([made])
                if not _failed(made):
                    await self._close(made.result())
        except TimeoutError:
            return  # the process is about to end anyway

    def _forget_failure(self, made: "asyncio.Future[_T]") -> None:
        if _failed(made) and self._made is made:
            self._made = None


def address(base_url: str, path: str, query: Mapping[str, str] | None = None) -> str:
    """`path` below `base_url`, whether that ends with a slash or not; queries of all three one after another.

    A name in `query` replaces the same name in the addresses. Both addresses are percent-encoded as they should be.
    """
    wanted = dict(query or {})
    base, _, asked = base_url.partition("#")[0].partition("?")
    below, _, more = path.partition("?")
    said = [item for text in (asked, more) for item in text.split("&") if item and _name(item) not in wanted]
    if wanted:
        said.append(urlencode(wanted, quote_via=quote))
    found = f"{base.rstrip('/')}/{below.lstrip('/')}"
    return f"{found}?{'&'.join(said)}" if said else found


def _name(item: str) -> str:
    return unquote_plus(item.partition("=")[0])


def _failed(made: "asyncio.Future[_T]") -> bool:
    return made.cancelled() or made.exception() is not None
