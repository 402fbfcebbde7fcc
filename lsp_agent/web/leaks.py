"""Whether a text that is about to leave the machine carries a secret, plain or in one of the usual disguises. Pure.

Known values are looked for as they are, percent-encoded (also twice), in hexadecimal, in base64 and cut up by
punctuation, as in a host name; unknown ones by the shape of well-known keys (RELIABILITY EX-01, EX-19).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from lsp_agent.domain.errors import ToolError

MIN_SECRET_CHARS = 8
_SQUASHED_CHARS = 16
"""Shorter values are not looked for with the punctuation taken out: words would look like them."""
_MAX_CHARS = 20_000
_SHAPES: tuple[tuple[str, str], ...] = (
    ("an Anthropic key", r"sk-ant-[A-Za-z0-9_-]{16,}"),
    ("an OpenRouter key", r"sk-or-[A-Za-z0-9_-]{16,}"),
    ("an OpenAI key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}"),
    ("a Google key", r"AIza[0-9A-Za-z_-]{30,}"),
    ("a Google OAuth token", r"ya29\.[0-9A-Za-z_-]{20,}"),
    ("a GitHub token", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    ("a GitHub token", r"github_pat_[A-Za-z0-9_]{20,}"),
    ("a GitLab token", r"glpat-[A-Za-z0-9_-]{16,}"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{20,}"),
    ("a Groq key", r"\bgsk_[A-Za-z0-9]{20,}"),
    ("an xAI key", r"\bxai-[A-Za-z0-9]{20,}"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{20,}"),
    ("a package index token", r"pypi-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("a Slack webhook", r"hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16,}"),
    ("an AWS key id", r"(?:AKIA|ASIA)[0-9A-Z]{16}"),
    ("a Stripe key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("a SendGrid key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("a Twilio key", r"\bSK[0-9a-f]{32}\b"),
    ("a DigitalOcean token", r"do[opr]_v1_[0-9a-f]{32,}"),
    ("a JSON web token", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."),
    ("a private key", r"-----BEGIN[ +A-Z]*PRIVATE[ +]KEY"),
    ("an age key", r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    ("a database password", r"(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp)://[^/\s:@]*:[^/\s@]+@"),
)
_KEYS = re.compile("|".join(f"(?P<k{number}>{shape})" for number, (_, shape) in enumerate(_SHAPES)))
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){8,}")
_PUNCTUATION = re.compile(r"[^A-Za-z0-9]+")

Secrets = Callable[[], Iterable[str]]
"""The values that must never leave, as they are known at this moment."""


class SecretInside(ToolError):
    """The request was not sent, because it carries what looks like a secret."""


def refuse_secrets(what: str, text: str, secrets: Iterable[str]) -> None:
    """Raises: SecretInside, whose text names the kind and never the value, when `text` carries a secret.

    `what`: `URL`, `search query`, for the message.
    """
    kind = secret_in(text, secrets)
    if kind is not None:
        raise SecretInside(f"The {what} holds {kind}. Nothing was sent. Secrets never go into addresses or queries.")


def secret_in(text: str, secrets: Iterable[str]) -> str | None:
    """What kind of secret `text` carries (`one of the user's secrets`, `a GitHub token`); None for none."""
    readings = list(_readings(text[:_MAX_CHARS]))
    for secret in secrets:
        value = secret.strip()
        if len(value) >= MIN_SECRET_CHARS and _carries(readings, value):
            return "one of the user's secrets"
    for reading in readings:
        found = _KEYS.search(reading)
        if found is not None and found.lastgroup is not None:
            return _SHAPES[int(found.lastgroup[1:])][0]
    return None


def _carries(readings: Iterable[str], value: str) -> bool:
    wanted = value.casefold()
    squashed = _PUNCTUATION.sub("", wanted)
    for reading in readings:
        folded = reading.casefold()
        if wanted in folded or wanted[::-1] in folded:
            return True
        if len(squashed) >= _SQUASHED_CHARS and squashed in _PUNCTUATION.sub("", folded):
            return True
    return False


def _readings(text: str) -> Iterator[str]:
    """`text` and what it says to whoever undoes the usual encodings."""
    seen = [text]
    for _again in range(3):
        plainer = unquote(seen[-1], errors="replace").replace("+", " ")
        if plainer == seen[-1]:
            break
        seen.append(plainer)
    yield from seen
    for reading in (seen[0], seen[-1]) if len(seen) > 1 else seen:
        for match in _HEX.finditer(_PUNCTUATION.sub("", reading)):
            yield bytes.fromhex(match[0]).decode("latin-1")
        for match in _TOKEN.finditer(reading):
            yield from _unbase64(match[0])


def _unbase64(token: str) -> Iterator[str]:
    plain = token.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(min(4, len(plain))):  # it may begin in the middle of something longer
        part = plain[start:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        try:
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
        except (binascii.Error, ValueError):
            continue
