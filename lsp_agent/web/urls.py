"""A URL taken apart once, strictly, and written in one way. Pure.

Whatever two readers could understand differently is refused: then what the user is shown, what the rules are matched
with and what is connected to are the same (RELIABILITY EX-05, EX-08, EX-18). Source: RFC 3986, RFC 5891, WHATWG URL.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from lsp_agent.domain.errors import ToolError
from lsp_agent.web.addresses import parse_address

MAX_URL_CHARS = 8_192
SCHEMES = {"http": 80, "https": 443}
_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?\Z", re.DOTALL)
_BAD = re.compile(
    "[\x00-\x20\x7f-\xa0\\\\\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_DOT_SEGMENT = re.compile(r"%2e", re.IGNORECASE)


class UrlRefused(ToolError):
    """This address is not fetched; the text says why, for the model and the user."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host`: lower-case ASCII without a trailing dot, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, percent-encoded ASCII, dot segments resolved; begins with `/`."""

    @property
    def authority(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == SCHEMES[self.scheme] else f"{name}:{self.port}"

    @property
    def origin(self) -> str:
        """`https://host/`: what a grant of the user covers."""
        return f"{self.scheme}://{self.authority}/"

    @property
    def url(self) -> str:
        """The whole address in the one way we write it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(text: str) -> Target:
    """The target of `text`. Raises: UrlRefused."""
    text = text.strip(" \t\r\n")
    if len(text) > MAX_URL_CHARS:
        raise UrlRefused(f"The URL is longer than {MAX_URL_CHARS} characters.")
    if _BAD.search(text):
        raise UrlRefused("The URL holds spaces, control characters, backslashes or invisible characters.")
    shape = _SHAPE.match(text)
    if shape is None:
        raise UrlRefused("This is no absolute URL; write it as https://host/path.")
    scheme = shape["scheme"].lower()
    if scheme not in SCHEMES:
        raise UrlRefused(f"Only http and https are fetched, not {scheme}.")
    host, port = parse_authority(shape["authority"], SCHEMES[scheme])
    return Target(scheme, host, port, _path(shape["rest"]))


def join_url(base: Target, reference: str) -> Target:
    """Where `reference` (a redirect's Location) leads from `base`. Raises: UrlRefused."""
    if _BAD.search(reference) or len(reference) > MAX_URL_CHARS:
        raise UrlRefused("The redirect leads to an address that cannot be read.")
    try:
        return parse_url(urljoin(base.url, reference))
    except ValueError as error:
        raise UrlRefused("The redirect leads to an address that cannot be read.") from error


def parse_authority(text: str, default_port: int) -> tuple[str, int]:
    """`host` or `host:port` as (host as in `Target`, port). Raises: UrlRefused."""
    if "@" in text:
        raise UrlRefused("A URL with a user name or password is not fetched.")
    if _BAD.search(text):
        raise UrlRefused("The host holds characters that no host name has.")
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UrlRefused("The host is not a valid IPv6 address.")
        return _ipv6(inner), _port(rest[1:] if rest else "", default_port)
    name, _, port = text.partition(":")
    return canonical_host(name), _port(port, default_port)


def canonical_host(name: str) -> str:
    """A host name or IPv4 address in the one way we write it. Raises: UrlRefused.

    Every other spelling of a number (decimal, octal, hexadecimal, shortened) is refused, as is what is no host name.
    """
    host = _ascii(name).lower()
    host = host.removesuffix(".")
    if not host or len(host) > 253:
        raise UrlRefused("The URL has no valid host.")
    labels = host.split(".")
    if _NUMBER.match(labels[-1]):
        address = parse_address(host)
        if address is None:
            raise UrlRefused(f"{host[:80]} is a number in disguise, not a host name.")
        return str(address)
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefused(f"{host[:80]!r} is not a valid host name.")
    return host


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise UrlRefused("The host is not a valid international name.") from error


def _ipv6(text: str) -> str:
    address = parse_address(text)
    if address is None or address.version != 6 or "%" in text:
        raise UrlRefused("The host is not a valid IPv6 address.")
    return str(address)


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 0 < int(text) < 65_536:
        raise UrlRefused("The port is not a number from 1 to 65535.")
    return int(text)


def _path(rest: str) -> str:
    """Path and query in ASCII, `.` and `..` gone: `/docs/%2e%2e/x` must not pass a rule for `/docs/`."""
    path, question, query = rest.partition("?")
    kept: list[str] = []
    segments = _DOT_SEGMENT.sub(".", path).split("/")[1:] or [""]
    for at, segment in enumerate(segments):
        last = at == len(segments) - 1
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
        if last and segment in (".", ".."):
            kept.append("")
    safe = "%/:@!$&'()*+,;=~-._?[]|"
    return "/" + quote("/".join(kept), safe=safe) + question + quote(query, safe=safe)
