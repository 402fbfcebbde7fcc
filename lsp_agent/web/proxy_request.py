"""What a proxy is asked for, read strictly and once: a tunnel to a host, or one plain HTTP request. Pure.

Whatever two readers could understand differently is refused, as in `urls`; the head that goes on to the server is
written anew from what was understood (RELIABILITY EX-08). Source: RFC 9110, RFC 9112.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_agent.web.urls import UrlRefused, parse_authority, parse_url

_CONNECT = re.compile(rb"CONNECT ([!-~]{1,300}) HTTP/1\.[01]\Z")
_PLAIN = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (http://[!-~]{1,8000}) HTTP/1\.([01])\Z", re.IGNORECASE)
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\Z")
_OWN = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"trailer", b"upgrade"}
)
"""Fields between the client and this proxy; they do not go on."""


class BadRequest(Exception):
    """Not answered with a connection; `status` and `reason` say why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """Where to, in canonical spelling, and what goes there first."""

    host: str
    port: int
    head: bytes = b""
    """Of a plain request, as it is sent on; empty for a tunnel."""
    body_bytes: int | None = None
    """Of a plain request, how many bytes follow the head; None = a tunnel, any number."""
    authorization: bytes = b""
    """Value of `Proxy-Authorization`."""

    @property
    def is_tunnel(self) -> bool:
        """True for CONNECT."""
        return self.body_bytes is None


def parse_request(head: bytes) -> ProxyRequest:
    """The request in `head`, which ends in an empty line. Raises: BadRequest; UrlRefused for where it leads."""
    first, *lines = head[:-4].split(b"\r\n")
    if any(byte < 0x20 or byte == 0x7F for line in (first, *lines) for byte in line if byte != 0x09):
        raise BadRequest(400, "Control characters")
    fields = [_field(line) for line in lines]
    authorization = next((value for name, value in fields if name.lower() == b"proxy-authorization"), b"")
    tunnel = _CONNECT.match(first)
    if tunnel is not None:
        host, port = parse_authority(tunnel[1].decode("ascii"), 443)
        return ProxyRequest(host, port, authorization=authorization)
    plain = _PLAIN.match(first)
    if plain is None:
        raise BadRequest(405, "Only CONNECT and plain http are served")
    return _plain(plain, fields, authorization)


def _plain(line: re.Match[bytes], fields: Sequence[tuple[bytes, bytes]], authorization: bytes) -> ProxyRequest:
    body_bytes = _body_bytes(fields)
    target = parse_url(line[2].decode("ascii"))
    if target.scheme != "http":
        raise UrlRefused("Only plain http is sent on by a proxy.")
    kept = [name + b": " + value for name, value in fields if name.lower() not in _OWN]
    head = [
        line[1].upper() + b" " + target.path.encode("ascii") + b" HTTP/1." + line[3],
        b"Host: " + target.authority.encode("ascii"),
        *kept,
        b"Connection: close",
    ]
    return ProxyRequest(target.host, target.port, b"\r\n".join([*head, b"", b""]), body_bytes, authorization)


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.match(line)
    if found is None:
        raise BadRequest(400, "Header field not understood")
    return found[1], found[2]


def _body_bytes(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """How long the body is. One length only, so that nobody sees a second request where we see a body."""
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        raise BadRequest(411, "Length required")
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise BadRequest(400, "Content-Length not understood")
    return int(lengths[0])
