"""AWS framing and signing: pure, against published examples and every cut. Bedrock's credentials."""

import base64
import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.aws_signing import AwsKeys, signed_headers
from lsp_agent.providers.bedrock import BedrockCredentials, bedrock_region
from lsp_agent.providers.eventstream import EventStreamDecoder
from tests.harness.fake_dialects import message_frame

EVENT = {":event-type": "chunk", ":message-type": "event", ":content-type": "application/json"}
KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOON = datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC)


def chunk(value: Any) -> bytes:
    return message_frame(EVENT, orjson.dumps({"bytes": base64.b64encode(orjson.dumps(value)).decode(), "p": "xy"}))


def test_the_published_empty_message_is_a_message():
    assert EventStreamDecoder().feed(bytes.fromhex("000000100000000005c248eb7d98c8ff")) == [("", b"")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=30))
def test_any_split_reads_the_same(sizes: list[int]):
    stream = b"".join([chunk({"n": number, "t": "ü" * number}) for number in range(4)])
    decoder, found, at = EventStreamDecoder(), [], 0
    for size in [*sizes, len(stream)]:
        found += decoder.feed(stream[at : at + size])
        at += size
    assert [orjson.loads(data)["n"] for _, data in found] == [0, 1, 2, 3]
    assert {name for name, _ in found} == {"chunk"}
    assert decoder.finish() == []


def test_headers_of_other_kinds_are_skipped():
    other = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x01" + b"\x01c\x06\x00\x02xy" + b"\x01d\x09" + b"u" * 16
    plain = message_frame({":event-type": "chunk"}, b"{}")
    text = plain[12:-6]
    import struct
    import zlib

    head = other + text
    prelude = struct.pack(">II", 16 + len(head) + 2, len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + b"{}"
    whole += struct.pack(">I", zlib.crc32(whole))
    assert EventStreamDecoder().feed(whole) == [("chunk", b"{}")]


@pytest.mark.parametrize("at", [0, 3, 9, 20, 60, -1])
def test_a_damaged_byte_is_noticed_and_worth_a_retry(at: int):
    frame = bytearray(chunk({"n": 1}))
    frame[at] ^= 0x55
    with pytest.raises(ProviderError) as caught:
        EventStreamDecoder().feed(bytes(frame) + chunk({"n": 2}))
    assert caught.value.retryable


def test_a_message_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(ProviderError) as caught:
        EventStreamDecoder(max_event_bytes=100).feed(chunk({"t": "x" * 200})[:12])
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "said"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"slow"}',
            "throttlingException",
            "slow",
        ),
        (
            {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oops"},
            b"",
            "InternalFailure",
            "oops",
        ),
    ],
)
def test_exceptions_become_error_events(headers: dict[str, str], payload: bytes, kind: str, said: str):
    [(name, data)] = EventStreamDecoder().feed(message_frame(headers, payload))
    assert name == "error"
    assert orjson.loads(data) == {"type": "error", "error": {"type": kind, "message": said}}


# --------------------------------------------------------------------------------------------------------- signing


def test_a_published_request_is_signed_as_published():
    added = signed_headers(
        KEYS,
        method="GET",
        url="https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        body=b"",
        region="us-east-1",
        service="iam",
        now=NOON,
    )
    assert added["x-amz-date"] == "20150830T123600Z"
    assert added["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_the_plainest_published_request_is_signed_as_published():
    added = signed_headers(
        KEYS,
        method="GET",
        url="https://example.amazonaws.com/",
        headers={},
        body=b"",
        region="us-east-1",
        service="service",
        now=NOON,
    )
    assert added["authorization"].endswith("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


def test_a_temporary_key_signs_its_token_and_shows_no_secret():
    keys = AwsKeys("AKID", "very-secret", "the-token")
    added = signed_headers(
        keys, method="POST", url="https://h/a%3Ab", headers={}, body=b"{}", region="r", service="s", now=NOON
    )
    assert added["x-amz-security-token"] == "the-token"
    assert "x-amz-security-token" in added["authorization"]
    assert "very-secret" not in f"{added}{keys}"
    assert "the-token" not in str(keys)


# ------------------------------------------------------------------------------------------------------ credentials


@pytest.mark.parametrize(
    ("name", "options", "env", "region"),
    [
        ("bedrock", {}, {}, "us-east-1"),
        ("bedrock-eu", {}, {}, "eu-west-1"),
        ("bedrock-europe", {}, {}, "eu-west-1"),
        ("bedrock", {}, {"AWS_DEFAULT_REGION": "ap-1"}, "ap-1"),
        ("bedrock", {"region": "us-west-2"}, {"AWS_REGION": "ap-1"}, "us-west-2"),
    ],
)
def test_the_region_is_configured_or_the_environments_or_the_ids(name, options, env, region):
    assert bedrock_region(name, options, env) == region


async def test_a_bearer_token_is_sent_as_it_is():
    found = BedrockCredentials("b", bearer="Bearer tok", region="r", env={})
    assert await found.headers("https://h/p", b"", {}) == {"authorization": "Bearer tok"}
    assert found.secrets() == ["tok"]


async def test_keys_of_the_environment_sign_without_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    env = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "shh-secret", "AWS_SESSION_TOKEN": "tok"}
    found = BedrockCredentials("b", bearer="", region="eu-west-1", env=env)
    added = await found.headers("https://h/model/m/invoke", b"{}", {"content-type": "a", "x-other": "b"})
    assert "/eu-west-1/bedrock/aws4_request" in added["authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in added["authorization"]
    assert {"shh-secret", "tok"} <= set(found.secrets())


async def test_a_missing_extra_says_what_to_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ProviderError) as caught:
        await BedrockCredentials("b", bearer="", region="r", env={}).headers("https://h/p", b"", {})
    assert caught.value.kind == "ProviderAuth"
    assert "pip install 'lsp-agent[bedrock]'" in caught.value.message
    assert "AWS_BEARER_TOKEN_BEDROCK" in caught.value.message


class _ChainError(Exception):
    pass


def install_chain(monkeypatch: pytest.MonkeyPatch, found: Any) -> list[Any]:
    profiles: list[Any] = []

    class Session:
        def __init__(self, profile: str | None = None) -> None:
            profiles.append(profile)

        def get_credentials(self) -> Any:
            if isinstance(found, Exception):
                raise found
            return found

    package, session, errors = ModuleType("botocore"), ModuleType("botocore.session"), ModuleType("botocore.exceptions")
    session.Session = Session  # type: ignore[attr-defined]
    errors.BotoCoreError = errors.ClientError = _ChainError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "botocore", package)
    monkeypatch.setitem(sys.modules, "botocore.session", session)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", errors)
    return profiles


async def test_a_profile_uses_the_chain_and_keeps_its_session(monkeypatch: pytest.MonkeyPatch):
    frozen = SimpleNamespace(access_key="AKCHAIN", secret_key="chain-secret", token=None)
    profiles = install_chain(monkeypatch, SimpleNamespace(get_frozen_credentials=lambda: frozen))
    env = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "x"}
    found = BedrockCredentials("b", bearer="", region="r", env=env, profile="work")
    for _ in range(2):
        assert "Credential=AKCHAIN/" in (await found.headers("https://h/p", b"", {}))["authorization"]
    assert profiles == ["work"]


@pytest.mark.parametrize("found", [None, _ChainError("token secret-in-text expired")])
async def test_a_chain_without_credentials_says_so_and_quotes_nothing(monkeypatch: pytest.MonkeyPatch, found: Any):
    install_chain(monkeypatch, found)
    with pytest.raises(ProviderError) as caught:
        await BedrockCredentials("b", bearer="", region="r", env={}).headers("https://h/p", b"", {})
    assert caught.value.kind == "ProviderAuth"
    assert "secret-in-text" not in caught.value.message
