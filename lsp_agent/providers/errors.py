"""From what SDKs and HTTP raise to the one `ProviderError`, in one place.

SDK classes are recognised by what they carry (a status, a response), so nothing heavy is imported here. A message never
holds a secret: whatever the service echoed is searched for the keys in use and for things that look like keys.
"""

import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.rate_limits import reset_after

_CONTEXT_PATTERNS = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|prompt is too long|too many (input )?tokens|input is too long|"
    r"input length and|input token count|exceeds? the (available|model'?s?|maximum) (context|input|number of tokens)|"
    r"reduce the length|request_too_large|string_above_max_length|tokens? limit exceeded|too large for (the )?model",
    re.IGNORECASE,
)
_KEYLIKE = re.compile(r"\b(?:sk|pk|rk|gsk|xai)[-_][A-Za-z0-9*._-]{8,}|\bBearer [^\s\"',]{8,}|\bAIza[A-Za-z0-9_-]{16,}")
_MESSAGE_LIMIT = 1000
_REQUEST_IDS = ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id")
_BAD_KEY = re.compile(
    r"API_KEY_INVALID|API key (not valid|expired)|UnrecognizedClientException|InvalidSignatureException"
)
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})

_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    402: "Payment required",
    403: "Forbidden",
    404: "Not found",
    407: "Proxy authentication required",
    408: "Request timed out",
    409: "Conflict",
    413: "Request too large",
    422: "Request refused",
    429: "Rate limited",
    500: "Server error",
    502: "Bad gateway",
    503: "Overloaded",
    504: "Gateway time-out",
    529: "Overloaded",
}

_EVENT_KINDS: Mapping[str, tuple[str, str, bool]] = {
    "overloaded_error": ("Overloaded", "Overloaded", True),
    "rate_limit_error": ("RateLimited", "Rate limited", True),
    "rate_limit_exceeded": ("RateLimited", "Rate limited", True),
    "api_error": ("Provider", "Server error", True),
    "server_error": ("Provider", "Server error", True),
    "internal_error": ("Provider", "Server error", True),
    "internal_server_error": ("Provider", "Server error", True),
    "throttlingexception": ("RateLimited", "Rate limited", True),
    "internalserverexception": ("Provider", "Server error", True),
    "modelstreamerrorexception": ("Provider", "Server error", True),
    "serviceunavailableexception": ("Overloaded", "Overloaded", True),
    "modeltimeoutexception": ("Timeout", "Timed out at the provider", True),
    "service_unavailable": ("Overloaded", "Overloaded", True),
    "timeout_error": ("Timeout", "Timed out at the provider", True),
    "authentication_error": ("ProviderAuth", "Unauthorized", False),
    "invalid_api_key": ("ProviderAuth", "Unauthorized", False),
    "permission_error": ("ProviderAuth", "Forbidden", False),
    "request_too_large": ("ContextOverflow", "Context too long", False),
    "context_length_exceeded": ("ContextOverflow", "Context too long", False),
}


@contextmanager
def translating_errors(service: str, secrets: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """Everything an SDK or the network raises inside leaves as a ProviderError. Cancellation passes untouched.

    `service` is the provider's name as the user knows it; `secrets` returns what must never be shown.
    """
    try:
        yield
    except ProviderError as error:
        # raised by a dialect that knows no keys; what it quotes may hold one
        _redacted(error, secrets())
        raise
    except _foreign_errors() as error:
        raise translate(error, service, secrets()) from error


def translate(error: BaseException, service: str, secrets: Iterable[str] = ()) -> ProviderError:
    """One ProviderError for one exception of an SDK, of httpx or of the operating system."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    if isinstance(status, int):
        headers = getattr(response, "headers", None) or {}
        found = status_error(service, status, getattr(error, "body", None), headers)
    else:
        found = _connection_error(service, error)
    return _redacted(found, secrets)


def refusal(
    service: str, status: int, body: object, headers: Mapping[str, str], secrets: Iterable[str]
) -> ProviderError:
    """As `status_error`, with the keys in use taken out of the text."""
    return _redacted(status_error(service, status, body, headers), secrets)


def status_error(service: str, status: int, body: object, headers: Mapping[str, str]) -> ProviderError:
    """For an HTTP answer that is not a success. `body` is its decoded JSON, or text, or None."""
    lowered = {str(name).lower(): str(value) for name, value in headers.items()}
    code, said = _said(body)
    kind, retryable = _kind_of_status(status, code, said)
    if kind == "ContextOverflow":
        title = "Context too long"
    elif code in _QUOTA_CODES:
        title, retryable = "Out of credit", False
    else:
        title = _TITLES.get(status, f"HTTP {status}")
    asked = lowered.get("x-should-retry", "").lower()
    if asked in {"true", "false"} and kind not in {"ProviderAuth", "ContextOverflow"}:
        retryable = asked == "true"
    message = f"{service} answered {status}: {said}" if said else f"{service} answered {status} ({title.lower()})."
    return ProviderError(
        kind,
        title,
        message[:_MESSAGE_LIMIT],
        status=status,
        retryable=retryable,
        retry_after_s=retry_after(lowered) or _delay_in(body) or _until_reset(status, lowered),
        request_id=next((lowered[name] for name in _REQUEST_IDS if lowered.get(name)), None),
    )


def event_error(service: str, error: object, secrets: Iterable[str] = ()) -> ProviderError:
    """For an error that arrives inside a stream: `{"type"|"code", "message"}`, code perhaps an HTTP status."""
    value = error if isinstance(error, Mapping) else {"message": str(error)}
    message = str(value.get("message") or "the answer was aborted")
    code = value.get("code")
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return _redacted(status_error(service, code, {"error": value}, {}), secrets)
    kind, title, retryable = "Provider", "Provider error", False
    for name in (value.get("type"), code, value.get("status")):
        if isinstance(name, str) and name.lower() in _EVENT_KINDS:
            kind, title, retryable = _EVENT_KINDS[name.lower()]
            break
    if kind == "Provider" and not retryable and _CONTEXT_PATTERNS.search(f"{code} {message}"):
        kind, title = "ContextOverflow", "Context too long"
    text = f"{service}: {message}"[:_MESSAGE_LIMIT]
    return _redacted(ProviderError(kind, title, text, retryable=retryable), secrets)


def broken_stream(service: str, why: str = "the connection ended before the answer was complete") -> ProviderError:
    """For a stream that stops without having finished. Worth another try."""
    return ProviderError("Provider", "Connection lost", f"{service}: {why}.", retryable=True)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds the service asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.

    Header names may have any case. None = it did not ask, or asked for something unreadable or past.
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(lowered[name]) * unit
        except (KeyError, ValueError):
            continue
        # float() also reads "nan" and "inf"
        return seconds if 0 < seconds < 1e9 else None
    try:
        date = parsedate_to_datetime(lowered["retry-after"])
    except (KeyError, ValueError, TypeError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None


def _kind_of_status(status: int, code: str, said: str) -> tuple[str, bool]:
    if status in {401, 403} or (status == 400 and _BAD_KEY.search(f"{code} {said}")):
        return "ProviderAuth", False
    if status == 429:
        return "RateLimited", True
    if status in {503, 529} or code == "overloaded_error":
        return "Overloaded", True
    if status == 413 or (status in {400, 422} and _CONTEXT_PATTERNS.search(f"{code} {said}")):
        return "ContextOverflow", False
    if status == 408 or status == 504:
        return "Timeout", True
    return "Provider", status == 409 or status >= 500


def _until_reset(status: int, lowered: Mapping[str, str]) -> float | None:
    return reset_after(lowered, datetime.now(UTC)) if status == 429 else None


def _delay_in(body: object) -> float | None:
    """Google says how long to wait inside the body: `{"@type": "…RetryInfo", "retryDelay": "7s"}`."""
    inner = body.get("error") if isinstance(body, Mapping) else None
    details = inner.get("details") if isinstance(inner, Mapping) else None
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, Mapping) else None
        found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)s", delay) if isinstance(delay, str) else None
        if found and float(found[1]) > 0:
            return float(found[1])
    return None


def _said(body: object) -> tuple[str, str]:
    """Error code and human text of an error body of any of the usual shapes."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, str):
        text = body.strip()
        # a page of HTML says nothing a user can use
        return "", "" if text.startswith("<") else text[:300]
    if not isinstance(body, Mapping):
        return "", ""
    inner = body.get("error", body)
    if isinstance(inner, str):
        return "", inner
    if not isinstance(inner, Mapping):
        return "", ""
    code = inner.get("code") if isinstance(inner.get("code"), str) else inner.get("type")
    said = inner.get("message") or body.get("message") or body.get("detail") or ""
    return str(code or ""), said if isinstance(said, str) else str(said)[:300]


def _connection_error(service: str, error: BaseException) -> ProviderError:
    chain = list(_causes(error))
    names = {cls.__name__ for cause in chain for cls in type(cause).__mro__}
    text = " ".join([str(cause) for cause in chain])
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain) or "CERTIFICATE_VERIFY" in text:
        return ProviderError("Provider", "TLS error", f"{service}: the server's certificate could not be verified.")
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return ProviderError("Provider", "TLS error", f"{service}: no secure connection could be made.", retryable=True)
    if any(isinstance(cause, socket.gaierror) for cause in chain) or "Name or service not known" in text:
        message = f"{service}: the host name could not be resolved. Is there a network, and is base_url right?"
        return ProviderError("Provider", "Host not found", message, retryable=True)
    if "ProxyError" in names:
        return ProviderError("Provider", "Proxy error", f"{service}: the proxy refused the connection.")
    if "ConnectTimeout" in names:
        return ProviderError("Timeout", "No connection", f"{service} could not be reached in time.", retryable=True)
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
        return ProviderError("Timeout", "Timed out", f"{service} did not answer in time.", retryable=True)
    if "ConnectionRefusedError" in names or "ConnectError" in names:
        return ProviderError("Provider", "No connection", f"{service} refused the connection.", retryable=True)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        return ProviderError("Provider", "Bad address", f"{service}: base_url or a header is not valid.")
    if names & {"TransportError", "APIConnectionError", "OSError", "StreamError"}:
        return ProviderError("Provider", "Connection lost", f"{service}: the connection was lost.", retryable=True)
    message = f"{service} could not be used ({type(error).__name__})."
    return ProviderError("Provider", "Provider error", message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _foreign_errors() -> tuple[type[Exception], ...]:
    """What to catch; looked up only when something was raised, so that nobody is imported for it."""
    found: list[type[Exception]] = [OSError, ValueError, TypeError]
    wanted = (
        ("anthropic", "AnthropicError"),
        ("openai", "OpenAIError"),
        ("httpx2", "HTTPError"),
        ("httpx2", "StreamError"),
        ("httpx2", "InvalidURL"),
        ("httpx", "HTTPError"),
    )
    for module, name in wanted:
        cls: Any = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and issubclass(cls, Exception):
            found.append(cls)
    return tuple(found)


def _redacted(error: ProviderError, secrets: Iterable[str]) -> ProviderError:
    message = error.message
    for secret in secrets:
        if len(secret) >= 4:
            message = message.replace(secret, "[secret]")
    error.message = _KEYLIKE.sub("[secret]", message)
    error.args = (error.message,)
    return error
