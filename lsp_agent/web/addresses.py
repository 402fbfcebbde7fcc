"""Which Internet addresses a fetch may reach: public unicast ones and nothing else. Pure.

A list of our own, because `ipaddress.is_global` changes between Python versions and takes multicast for global
(RELIABILITY EX-04, EX-05). Source: the IANA special-purpose address registries for IPv4 and IPv6.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; also metadata services of some clouds
        "127.0.0.0/8",
        "168.63.129.16/32",  # a public address that is a cloud's internal service
        "169.254.0.0/16",  # link-local, metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def refusal_of(address: Address) -> str | None:
    """Why this address may not be reached; None for a public unicast address.

    An address behind the well-known NAT64 prefix is judged as the IPv4 address it stands for.
    """
    if isinstance(address, ipaddress.IPv4Address):
        refused = any(address in network for network in _REFUSED_V4)
        return f"{address} is not a public address" if refused else None
    if address.scope_id is not None:
        return f"{address} belongs to one network interface"
    if address in _NAT64:
        return refusal_of(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _UNICAST_V6 or any(address in network for network in _REFUSED_V6):
        return f"{address} is not a public address"
    return None


def parse_address(text: str) -> Address | None:
    """The address `text` spells in the usual way; None for anything else, also for octal or shortened spellings."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
