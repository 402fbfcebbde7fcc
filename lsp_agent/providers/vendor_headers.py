"""The headers by which Anthropic's and OpenAI's own interfaces know a request, and what the environment adds to them.

The vendors' SDKs take headers from the process environment: `ANTHROPIC_CUSTOM_HEADERS` and `OPENAI_CUSTOM_HEADERS`
(`Name: value`, one a line; often gateway tokens), `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`. They are the vendor's, so
only its own address gets them; whatever the user configured wins. Names are compared without case.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

ANTHROPIC_URL = "https://api.anthropic.com"
ANTHROPIC_VERSION = "2026-10-21"
"""The dialect that `anthropic_request` speaks and `anthropic_stream` hears."""
ANTHROPIC_CUSTOM = "ANTHROPIC_CUSTOM_HEADERS"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_CUSTOM = "OPENAI_CUSTOM_HEADERS"
_OPENAI_NAMES = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}


def anthropic_headers(
    api_key: str, own: Mapping[str, str], base_url: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """What every request to one service with Anthropic's dialect carries, names in lower case.

    `api_key`: `x-api-key`, or the Authorization header when it starts with `Bearer `; `own` headers replace it.
    """
    mine = layered(own)
    proof: dict[str, str] = {}
    if api_key.startswith("Bearer "):
        proof["authorization"] = api_key
    elif api_key and "authorization" not in mine:
        proof["x-api-key"] = api_key
    around = environment_headers(ANTHROPIC_CUSTOM, environ) if is_vendors_own(base_url, ANTHROPIC_URL) else {}
    around.pop("authorization", None)  # a key is configured here, never found
    return layered({"anthropic-version": ANTHROPIC_VERSION}, around, proof, mine)


def openai_headers(api_key: str, own: Mapping[str, str], base_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What every request to one service behind an OpenAI-style address carries, names in lower case."""
    mine = layered(own)
    proof = {"authorization": f"Bearer {api_key}"} if api_key else {}
    around: dict[str, str] = {}
    if is_vendors_own(base_url, OPENAI_URL):
        named = {name: environ[variable] for name, variable in _OPENAI_NAMES.items() if environ.get(variable)}
        around = layered(named, environment_headers(OPENAI_CUSTOM, environ))
    if not api_key:
        around.pop("authorization", None)
    return layered(proof, around, mine)


def layered(*layers: Mapping[str, str]) -> dict[str, str]:
    """One mapping with names in lower case; later layers win."""
    return {name.lower(): value for layer in layers for name, value in layer.items()}


def is_vendors_own(base_url: str, vendors_url: str) -> bool:
    """True when both addresses have the same scheme, host and port."""
    ours, theirs = urlsplit(base_url), urlsplit(vendors_url)
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc)


def environment_headers(variable: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The headers that `variable` names, names in lower case. Lines without a colon mean nothing."""
    lines = [line.partition(":") for line in environ.get(variable, "").split("\n")]
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon and name.strip()}


def withheld(variable: str, environ: Mapping[str, str], omit: object) -> dict[str, Any]:
    """For an SDK, which adds what `variable` names to every request: each name as it is spelled there, with `omit`."""
    names = [line.partition(":") for line in environ.get(variable, "").split("\n")]
    return {name.strip(): omit for name, colon, _ in names if colon}
