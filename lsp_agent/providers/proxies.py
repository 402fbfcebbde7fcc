"""How a service is reached: the user's proxies, and certificates of their own making.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` are those of the environment the editor was
started with; the HTTP library reads them when a client is made. `options.ca_file` of a provider's block is trusted in
addition, by that provider only. No proxy ever gets between us and a server on this machine.
"""

import contextlib
import importlib
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_agent.domain.errors import ProviderError

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class TlsContexts:
    """Certificates, read once for all clients that trust the same ones: that takes 20 ms and a few MB each.

    For threads; waits while another one reads. A `ca_file` that has changed on disk is read again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, bool, int], ssl.SSLContext] = {}

    def trusting(self, ca_file: str, *, trust_env: bool) -> ssl.SSLContext:
        """See `tls_context`. Raises: ProviderError(Provider)."""
        key = (ca_file, trust_env, _changed_ns(ca_file))
        with self._lock:
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = tls_context(ca_file, trust_env=trust_env)
            return found


def http_client(base_url: str, ca_file: str = "", contexts: TlsContexts | None = None) -> "httpx2.AsyncClient":
    """A client for one service; waits for an answer are the caller's to bound. Blocks: reads certificates.

    Raises: ProviderError(Provider) when `ca_file` cannot be used.
    """
    import httpx2

    # the HTTP library's own way to asyncio: it would be imported by the first request, on the event loop
    with contextlib.suppress(ImportError):
        importlib.import_module("anyio._backends._asyncio")
    url = httpx2.URL(base_url)
    is_local = url.host in _LOOPBACK
    verify: ssl.SSLContext | bool = False  # plain HTTP needs no certificates, which take a while to load
    if ca_file or not is_local or url.scheme != "http":
        verify = (contexts or TlsContexts()).trusting(ca_file, trust_env=not is_local)
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        trust_env=not is_local,
        verify=verify,
    )


def tls_context(ca_file: str = "", *, trust_env: bool = True) -> ssl.SSLContext:
    """The usual certificates and those of `ca_file` (PEM); `trust_env`: `SSL_CERT_FILE` and `SSL_CERT_DIR` count.

    Raises: ProviderError(Provider) that names the file.
    """
    import httpx2

    if not ca_file:
        return httpx2.create_ssl_context(trust_env=trust_env)
    path = Path(ca_file).expanduser()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError as error:
        raise _unusable(path, "it holds no PEM certificates") from error
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error
    return context


def _changed_ns(ca_file: str) -> int:
    """When the file was written; 0 without one, or for one that cannot be looked at."""
    try:
        return Path(ca_file).expanduser().stat().st_mtime_ns if ca_file else 0
    except OSError:
        return 0


def _unusable(path: Path, why: str) -> ProviderError:
    return ProviderError("Provider", "Certificate file", f"ca_file {path} cannot be used: {why}.")
