"""The guard in front of every connection to the network: which hosts and ports, and which addresses behind them.

Two checks. `check` looks at the URL and asks nobody, so nothing is resolved before the user has agreed (EX-02).
`addresses` is called when the connection is made: it resolves once, judges every address and hands out the very ones to
connect to, so that a name cannot mean something else a moment later (EX-07).
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from lsp_agent.web.addresses import parse_address, refusal_of
from lsp_agent.web.resolver import SystemResolver
from lsp_agent.web.urls import SCHEMES, Target, UrlRefused, canonical_host

RESOLVE_S = 5.0
MAX_ADDRESSES = 16
_LOCAL_ENDINGS = (
    "localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa",
)  # fmt: skip

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → addresses as text. Raises: OSError when the name is unknown."""
HostPort = tuple[str, int]


class Domains:
    """Host names by exact labels: `python.org` is that host, `*.python.org` everything below it, `*` everything.

    With `below=True` a plain name covers what is below it too, as a list of what is forbidden should.
    Raises: UrlRefused for an entry that is no host name.
    """

    def __init__(self, names: Iterable[str], *, below: bool = False) -> None:
        self._hosts: set[str] = set()
        self._above: set[str] = set()
        self._all = False
        for name in names:
            text = name.strip()
            if text == "*":
                self._all = True
            elif text.startswith("*."):
                self._above.add(canonical_host(text[2:]))
            else:
                host = _host(text)
                self._hosts.add(host)
                if below:
                    self._above.add(host)

    def __bool__(self) -> bool:
        """Whether they name any host."""
        return self._all or bool(self._hosts or self._above)

    def covers(self, host: str) -> bool:
        """Whether a host in canonical spelling is meant by one of the entries."""
        if self._all or host in self._hosts:
            return True
        labels = host.split(".")
        return any(".".join(labels[at:]) in self._above for at in range(1, len(labels)))


class Guard:
    """What may be connected to.

    `allow`: when not None, only these hosts; `deny`: never these, nor what is below them. `endpoints`: (host, port)
    pairs the user has named, for ports other than 80 and 443. `allow_private`: (host, port) pairs that may lie at a
    private address, for services of the user's own; empty unless somebody says so.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] = (),
        endpoints: Collection[HostPort] = (),
        allow_private: Collection[HostPort] = (),
        resolve_s: float = RESOLVE_S,
    ) -> None:
        self._resolve = resolve or SystemResolver()
        self._allow = None if allow is None else Domains(allow)
        self._deny = Domains(deny, below=True)
        self._private = frozenset((_host(host), port) for host, port in allow_private)
        self._endpoints = frozenset((_host(host), port) for host, port in endpoints) | self._private
        self._resolve_s = resolve_s

    def forbid(self, deny: Domains) -> None:
        """From now on these are never connected to, in place of those named before. Made with `below=True`."""
        self._deny = deny

    def check(self, target: Target) -> None:
        """Judge host and port by themselves; resolves nothing. Raises: UrlRefused."""
        self.check_endpoint(target.host, target.port)

    def check_endpoint(self, host: str, port: int) -> None:
        """As `check`, for a host in canonical spelling and a port. Raises: UrlRefused."""
        if port not in SCHEMES.values() and (host, port) not in self._endpoints:
            raise UrlRefused(f"Port {port} of {host} is not reached: only 80 and 443 are.")
        if self._deny.covers(host) or (self._allow is not None and not self._allow.covers(host)):
            raise UrlRefused(f"The configuration does not allow {host}.")
        if (host, port) in self._private:
            return
        address = parse_address(host)
        if address is not None:
            self._judge(host, address)
        elif "." not in host or any(host == end or host.endswith("." + end) for end in _LOCAL_ENDINGS):
            raise UrlRefused(f"{host} is a name of a local network; only public hosts are fetched.")

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, all of them checked, in the resolver's order.

        One address that is not public refuses them all. Raises: UrlRefused, also for a name that is unknown or not
        answered for in time.
        """
        self.check_endpoint(host, port)
        literal = parse_address(host)
        if literal is not None:
            return [str(literal)]
        try:
            async with asyncio.timeout(self._resolve_s):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise UrlRefused(f"The name {host} was not resolved in {self._resolve_s:g} seconds.") from error
        except (OSError, UnicodeError) as error:
            raise UrlRefused(f"The name {host} is unknown.") from error
        if not found:
            raise UrlRefused(f"The name {host} has no address.")
        checked: list[str] = []
        for text in found:
            address = parse_address(text)
            if address is None:
                raise UrlRefused(f"The name {host} has an address that cannot be read.")
            if (host, port) not in self._private:
                self._judge(host, address)
            checked.append(str(address))
        return list(dict.fromkeys(checked))[:MAX_ADDRESSES]

    def _judge(self, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        problem = refusal_of(address)
        if problem is not None:
            raise UrlRefused(f"{host} is not fetched: {problem}.")


def readable(names: Iterable[str], *, below: bool = False) -> tuple[Domains, list[str]]:
    """The domains of a list that a person wrote, and the entries that are no host names and were left out."""
    good: list[str] = []
    bad: list[str] = []
    for name in names:
        try:
            Domains([name])
        except UrlRefused:
            bad.append(name)
        else:
            good.append(name)
    return Domains(good, below=below), bad


def _host(text: str) -> str:
    """A host of a list in canonical spelling; IPv6 addresses may stand there without brackets."""
    address = parse_address(text.strip("[]"))
    return str(address) if address is not None else canonical_host(text)
