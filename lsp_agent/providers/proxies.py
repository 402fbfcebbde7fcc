"""How a service is reached: the user's proxies, and certificates of their own making.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` are those of the environment the editor was
started with; the HTTP library reads them when a client is made. `options.ca_file` of a provider's block is trusted in
addition, by that provider only. No proxy ever gets between us and a server on this machine.
"""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_agent.domain.errors import ProviderError

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def http_client(base_url: str, ca_file: str = "") -> "httpx2.AsyncClient":
    """A client for one service; waits for an answer are the caller's to bound. Blocks: reads certificates.

    Raises: ProviderError(Provider) when `ca_file` cannot be used.
    """
    import httpx2

    url = httpx2.URL(base_url)
    is_local = url.host in _LOOPBACK
    verify: ssl.SSLContext | bool = True
    if ca_file:
        verify = trusting(ca_file)
    elif is_local and url.scheme == "http":
        verify = False  # plain HTTP needs no certificates, which take a while to load
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        trust_env=not is_local,
        verify=verify,
    )


def own_http_client(base_url: str, ca_file: str = "") -> "httpx2.AsyncClient | None":
    """As `http_client`, or None where the client that an SDK makes by itself would do the same."""
    import httpx2

    return http_client(base_url, ca_file) if ca_file or httpx2.URL(base_url).host in _LOOPBACK else None


def trusting(ca_file: str) -> ssl.SSLContext:
    """The usual certificates and those of `ca_file` (PEM). Raises: ProviderError(Provider) that names the file."""
    path = Path(ca_file).expanduser()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError as error:
        raise _unusable(path, "it holds no PEM certificates") from error
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error
    return context


def _unusable(path: Path, why: str) -> ProviderError:
    return ProviderError("Provider", "Certificate file", f"ca_file {path} cannot be used: {why}.")
