import socket
import ssl
from datetime import UTC, datetime

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.errors import event_error, retry_after, status_error, translate, translating_errors

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "Provider", False),
        (401, "ProviderAuth", False),
        (402, "Provider", False),
        (403, "ProviderAuth", False),
        (404, "Provider", False),
        (407, "Provider", False),
        (408, "Timeout", True),
        (409, "Provider", True),
        (413, "ContextOverflow", False),
        (422, "Provider", False),
        (429, "RateLimited", True),
        (500, "Provider", True),
        (502, "Provider", True),
        (503, "Overloaded", True),
        (504, "Timeout", True),
        (529, "Overloaded", True),
    ],
)
def test_F19_F20_every_status_has_its_kind(status: int, kind: str, retryable: bool):
    error = status_error("svc", status, {"error": {"message": "no"}}, {"request-id": "r1"})
    assert (error.kind, error.retryable, error.status, error.request_id) == (kind, retryable, status, "r1")
    assert error.title
    assert error.message == f"svc answered {status}: no"


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens",
        "input length and `max_tokens` exceed context limit",
        "the request exceeds the available context size (4096 tokens)",
        "The input token count (1200000) exceeds the maximum number of tokens allowed",
        "Please reduce the length of the messages",
    ],
)
def test_F20_a_400_that_means_too_much_context_is_recognised(message: str):
    assert status_error("svc", 400, {"error": {"message": message}}, {}).kind == "ContextOverflow"
    assert status_error("svc", 400, {"code": "context_length_exceeded", "message": "x"}, {}).kind == "ContextOverflow"


def test_x_should_retry_is_honoured_but_never_for_auth():
    assert status_error("svc", 400, None, {"X-Should-Retry": "true"}).retryable
    assert not status_error("svc", 500, None, {"x-should-retry": "false"}).retryable
    assert not status_error("svc", 401, None, {"x-should-retry": "true"}).retryable


def test_an_exhausted_quota_is_not_worth_a_retry():
    error = status_error("svc", 429, {"error": {"code": "insufficient_quota", "message": "pay"}}, {})
    assert (error.kind, error.retryable, error.title) == ("RateLimited", False, "Out of credit")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"RETRY-AFTER-MS": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_F19_retry_after_is_read_in_all_its_forms(headers: dict[str, str], expected: float | None):
    assert retry_after(headers, NOW) == expected


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"type": "overloaded_error", "message": "busy"}, "Overloaded", True),
        ({"type": "rate_limit_error", "message": "slow down"}, "RateLimited", True),
        ({"type": "api_error", "message": "oops"}, "Provider", True),
        ({"type": "server_error", "message": "oops"}, "Provider", True),
        ({"type": "internal_error", "message": "oops"}, "Provider", True),
        ({"code": "rate_limit_exceeded", "message": "x"}, "RateLimited", True),
        ({"code": 502, "message": "upstream"}, "Provider", True),
        ({"code": "429", "message": "upstream"}, "RateLimited", True),
        ({"type": "authentication_error", "message": "x"}, "ProviderAuth", False),
        ({"type": "invalid_request_error", "message": "prompt is too long"}, "ContextOverflow", False),
        ({"type": "invalid_request_error", "message": "bad"}, "Provider", False),
        ("gone", "Provider", False),
    ],
)
def test_an_error_inside_a_stream_has_its_kind(error: object, kind: str, retryable: bool):
    found = event_error("svc", error)
    assert (found.kind, found.retryable) == (kind, retryable)


def test_F23_connection_trouble_is_named_plainly():
    def wrapped(cause: BaseException) -> ProviderError:
        error = ConnectionError("Connection error.")
        error.__cause__ = cause
        return translate(error, "svc")

    assert "host name" in wrapped(socket.gaierror(-2, "Name or service not known")).message
    assert wrapped(socket.gaierror(-2, "x")).retryable
    certificate = wrapped(ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED"))
    assert (certificate.title, certificate.retryable) == ("TLS error", False)
    assert wrapped(ConnectionRefusedError(111, "x")).message == "svc refused the connection."
    assert wrapped(ConnectionResetError(104, "x")).retryable
    assert wrapped(TimeoutError()).kind == "Timeout"


def test_secrets_never_reach_a_message():
    body = {"error": {"message": "Incorrect API key: hunter2secret and Bearer abcdefghijkl and sk-ant-REDACTED"}}
    error = OSError("x")
    error.status_code = 401  # type: ignore[attr-defined]
    error.body = body  # type: ignore[attr-defined]
    with pytest.raises(ProviderError) as caught, translating_errors("svc", lambda: ["hunter2secret"]):
        raise error
    assert caught.value.kind == "ProviderAuth"
    assert str(caught.value).count("[secret]") == 3
    assert "hunter2" not in str(caught.value)


def test_a_page_of_html_is_not_shown():
    assert (
        status_error("svc", 502, "<html><body>Bad Gateway</body></html>", {}).message
        == "svc answered 502 (bad gateway)."
    )


async def test_cancellation_passes_through():
    import asyncio

    with pytest.raises(asyncio.CancelledError), translating_errors("svc"):
        raise asyncio.CancelledError
