"""Signature version 4 of AWS: which headers prove who asks. Pure.

Source: AWS, "Signature Version 4 signing process", whose published examples are the tests.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What a request is signed with. `token` is set for temporary credentials."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def signed_headers(
    keys: AwsKeys,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """Headers to add to the request. `url` as it is sent, percent-encoding included; `headers`: others to be signed.

    Units: `now` in UTC. Shape: `authorization`, `x-amz-date`, and `x-amz-security-token` for temporary credentials.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": stamp}
    if keys.token:
        added["x-amz-security-token"] = keys.token
    signed = {
        name.lower(): " ".join(value.split()) for name, value in {"host": parts.netloc, **headers, **added}.items()
    }
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            # once more: every service but S3 signs the encoded path encoded again
            quote(parts.path or "/", safe="/" + _UNRESERVED),
            _canonical_query(parts.query),
            *[f"{name}:{signed[name]}" for name in sorted(signed)],
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret_key}".encode()
    for piece in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    proof = f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**added, "authorization": proof}


def _canonical_query(query: str) -> str:
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return "&".join([f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in pairs])
