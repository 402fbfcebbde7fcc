"""Headers that the SDKs take from the process environment on their own, kept from everybody but their vendor.

`ANTHROPIC_CUSTOM_HEADERS` and `OPENAI_CUSTOM_HEADERS` (`Name: value`, one a line) often hold gateway tokens. The SDKs
add them to every request of every client, also of one that talks to another company's server.
"""

import os
from typing import Any
from urllib.parse import urlsplit


def is_vendors_own(base_url: str, vendors_url: str) -> bool:
    """True when both addresses have the same scheme, host and port."""
    ours, theirs = urlsplit(base_url), urlsplit(vendors_url)
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc)


def withhold(headers: dict[str, Any], variable: str, omit: object) -> None:
    """Add `omit` to `headers` for every name that `variable` would add and that is not set on purpose."""
    ours = {name.lower(): (name, value) for name, value in headers.items()}
    for line in os.environ.get(variable, "").split("\n"):
        name = line.partition(":")[0].strip()
        if ":" not in line or name in headers:
            continue
        headers[name] = omit
        if name.lower() in ours:
            # the same name in another spelling: the SDK lets the last one win
            kept, value = ours[name.lower()]
            del headers[kept]
            headers[kept] = value
