"""One suite for every HTTP dialect and host, over real HTTP against the fake service."""

import asyncio
import base64

import pytest

from lsp_agent.agent.history import build
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import Provider
from tests.harness.fake_provider import FakeProvider, http, text, think, tool, usage
from tests.providers.doubles import (
    PNG,
    SECRET,
    VIEW,
    assistant,
    call,
    collect,
    image,
    make_provider,
    request_of,
    result,
    text_of,
    user,
)

WHOLE = [think("hmm", deltas=2), text("Grüße 😀 an alle", deltas=4), tool("view", {"file_path": "a"}), usage(10, 5)]
WHOLE_TEXT = "Grüße 😀 an alle"


async def failure(provider: Provider) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await collect(provider)
    return caught.value


async def collect_until_error(provider: Provider) -> tuple[list[StreamEvent], ProviderError | None]:
    heard: list[StreamEvent] = []
    try:
        async for batch in provider.stream(request_of()):
            heard.extend(batch)
    except ProviderError as error:
        return heard, error
    return heard, None


GEMINI = {"google", "vertex"}
"""Dialects without cache writes, ids of their own, or call input that is not JSON."""
KEY_HEADERS = {"anthropic": "x-api-key", "google": "x-goog-api-key", "azure": "api-key"}
"""Where a key goes that is no bearer token; elsewhere into the Authorization header."""


async def test_a_whole_answer_arrives_in_order(dialect: str, provider: Provider, fake: FakeProvider):
    written = 0 if dialect in GEMINI else 2
    fake.push([*WHOLE[:3], usage(10, 5, cache_read=3, cache_write=written)])
    events = await collect(provider)
    assert "".join([event.text for event in events if isinstance(event, ReasoningDelta)]) == "hmm"
    assert text_of(events) == WHOLE_TEXT
    kinds = [type(event) for event in events if not isinstance(event, UsageReport)]
    assert list(dict.fromkeys(kinds)) == [
        ReasoningDelta,
        ReasoningEnd,
        TextDelta,
        ToolCallStart,
        ToolCallDelta,
        ToolCallEnd,
        Finished,
    ]
    end = next(event for event in events if isinstance(event, ToolCallEnd))
    assert (end.name, end.input) == ("view", '{"file_path":"a"}')
    assert end.input == "".join([event.text for event in events if isinstance(event, ToolCallDelta)])
    report = [event.usage for event in events if isinstance(event, UsageReport)][-1]
    assert report == Usage(input=10, output=5, cache_read=3, cache_write=written)
    assert events[-1] == Finished(FinishReason.TOOL_USE)


@pytest.mark.parametrize("special", [{"split": 1}, {"split": 7}, {"crlf": True}, {"unknown": True}])
async def test_F21_the_grammar_of_the_stream_does_not_matter(provider: Provider, fake: FakeProvider, special):
    fake.push([special, *WHOLE])
    events = await collect(provider)
    assert text_of(events) == WHOLE_TEXT
    assert events[-1] == Finished(FinishReason.TOOL_USE)


async def test_F21_a_line_of_ten_megabytes_is_one_delta(provider: Provider, fake: FakeProvider):
    fake.push([{"bigline": 10_000_000}])
    events = await collect(provider)
    assert len(text_of(events)) == 10_000_000


async def test_pings_yield_empty_batches(provider: Provider, fake: FakeProvider):
    fake.push([text("a"), {"gap": 0.005}, {"ping": 3}, text("b")])
    batches = [batch async for batch in provider.stream(request_of())]
    texts = [number for number, batch in enumerate(batches) if text_of(batch)]
    assert [len(batch) for batch in batches[texts[0] + 1 : texts[1]]].count(0) >= 1


async def test_several_calls_of_one_step_keep_their_order_and_unique_ids(provider: Provider, fake: FakeProvider):
    fake.push(
        [tool("view", {"n": 1}, call_id="same"), tool("view", {"n": 2}, call_id="same"), tool("ls", {}, call_id="")]
    )
    events = await collect(provider)
    ends = [event for event in events if isinstance(event, ToolCallEnd)]
    assert sorted([end.input for end in ends]) == ['{"n":1}', '{"n":2}', "{}"]
    ids = [end.tool_call_id for end in ends]
    assert len(set(ids)) == 3
    assert all(ids)
    assert [event.tool_call_id for event in events if isinstance(event, ToolCallStart)] == ids


async def test_F22_broken_tool_input_arrives_as_the_model_wrote_it(
    dialect: str, provider: Provider, fake: FakeProvider
):
    fake.push([tool("view", '{"file_path": "a')])
    if dialect in GEMINI:
        # the service itself keeps it back and says so
        error = await failure(provider)
        assert (error.title, error.retryable) == ("Malformed tool call", True)
        return
    ends = [event for event in await collect(provider) if isinstance(event, ToolCallEnd)]
    assert [end.input for end in ends] == ['{"file_path": "a']


@pytest.mark.parametrize(
    ("stop", "reason", "refused"),
    [("max_tokens", FinishReason.MAX_TOKENS, False), ("refusal", FinishReason.CONTENT_FILTER, True)],
)
async def test_the_reason_for_stopping_is_mapped(provider: Provider, fake: FakeProvider, stop, reason, refused):
    fake.push([text("so far"), {"finish": stop}])
    finished = (await collect(provider))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is reason
    assert bool(finished.refusal) is refused


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "Provider", False),
        (401, "ProviderAuth", False),
        (402, "Provider", False),
        (403, "ProviderAuth", False),
        (404, "Provider", False),
        (408, "Timeout", True),
        (409, "Provider", True),
        (413, "ContextOverflow", False),
        (429, "RateLimited", True),
        (500, "Provider", True),
        (503, "Overloaded", True),
        (529, "Overloaded", True),
    ],
)
async def test_F19_F20_statuses_become_provider_errors_after_one_request(
    provider: Provider, fake: FakeProvider, status: int, kind: str, retryable: bool
):
    fake.push([http(status, {"Retry-After": "7"}, {"error": {"type": "x", "message": f"echo {SECRET}"}})])
    error = await failure(provider)
    assert (error.kind, error.retryable, error.status, error.retry_after_s) == (kind, retryable, status, 7.0)
    assert SECRET not in str(error)
    assert len(fake.requests) == 1


async def test_F20_a_context_overflow_is_recognised(provider: Provider, fake: FakeProvider):
    fake.push([http(400, None, {"error": {"message": "prompt is too long: 300000 tokens > 200000 maximum"}})])
    assert (await failure(provider)).kind == "ContextOverflow"


async def test_F23_a_page_of_html_is_no_answer(provider: Provider, fake: FakeProvider):
    fake.push([{"html": 200}])
    error = await failure(provider)
    assert "text/html" in error.message
    fake.push([{"html": 502}])
    assert (await failure(provider)).retryable


async def test_a_redirect_is_not_followed(provider: Provider, fake: FakeProvider):
    fake.push([http(307, {"location": f"{fake.url}/elsewhere/messages"})])
    assert (await failure(provider)).kind == "Provider"
    assert len(fake.requests) == 1


async def test_F23_a_refused_connection_is_worth_a_retry(dialect: str):
    async with FakeProvider() as gone:
        url = gone.url
    provider = make_provider(dialect, url)
    error = await failure(provider)
    assert (error.kind, error.retryable) == ("Provider", True)
    await provider.close()


async def test_F21_an_error_event_comes_after_what_was_said_before(provider: Provider, fake: FakeProvider):
    fake.push([text("half"), {"error_event": {"type": "overloaded_error", "message": "busy"}}])
    heard, error = await collect_until_error(provider)
    assert text_of(heard) == "half"
    assert error is not None
    assert (error.kind, error.retryable, "busy" in error.message) == ("Overloaded", True, True)


@pytest.mark.parametrize("broken", [{"badjson": True}, {"end": "abrupt"}, {"end": "no_finish"}])
async def test_F17_F21_a_broken_stream_is_a_retryable_error(provider: Provider, fake: FakeProvider, broken):
    fake.push([text("half"), broken])
    error = await failure(provider)
    assert (error.kind, error.retryable) == ("Provider", True)


async def test_F21_a_missing_last_event_is_forgiven_when_the_reason_is_known(dialect: str, fake: FakeProvider):
    provider = make_provider(dialect, fake.url)
    fake.push([text("all"), {"end": "no_done"}])
    if dialect in {"responses", "azure"}:
        assert (await failure(provider)).retryable
    else:
        assert (await collect(provider))[-1] == Finished(FinishReason.END_TURN)
    await provider.close()


async def test_F17_a_stream_cut_anywhere_never_looks_finished(provider: Provider, fake: FakeProvider):
    fake.push(WHOLE)
    assert text_of(await collect(provider)) == WHOLE_TEXT
    for at in range(1, 1200, 61):
        fake.push([{"cut": at}, *WHOLE])
        heard, error = await collect_until_error(provider)
        assert (error is None) is any(isinstance(event, Finished) for event in heard), at
        assert error is None or error.retryable, at
        assert WHOLE_TEXT.startswith(text_of(heard))


async def test_cancelling_closes_the_connection_at_once(provider: Provider, fake: FakeProvider):
    fake.push([text("first"), {"stall": 60}])
    heard = asyncio.Event()

    async def read() -> None:
        async for batch in provider.stream(request_of()):
            if text_of(batch):
                heard.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(heard.wait(), 5)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await asyncio.wait_for(fake.requests[0].disconnected.wait(), 1)


async def test_closing_the_iterator_closes_the_connection_at_once(provider: Provider, fake: FakeProvider):
    fake.push([text("first"), {"stall": 60}])
    stream = provider.stream(request_of())
    async for batch in stream:
        if text_of(batch):
            break
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(fake.requests[0].disconnected.wait(), 1)


async def test_cancelling_before_the_answer_begins_closes_the_connection(provider: Provider, fake: FakeProvider):
    fake.push([{"hold": "never"}])
    task = asyncio.create_task(collect(provider))
    await fake.wait_for(1)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.wait_for(fake.requests[0].disconnected.wait(), 1)


async def test_a_finished_answer_leaves_its_connection_for_the_next(provider: Provider, fake: FakeProvider):
    for _ in range(3):
        await collect(provider)
    async for batch in provider.stream(request_of()):
        if any(isinstance(event, Finished) for event in batch):
            break
    await collect(provider)
    assert fake.connections <= 2


async def test_headers_carry_the_session_and_the_key_but_no_redundant_ones(dialect: str, fake: FakeProvider):
    provider = make_provider(dialect, fake.url, headers={"x-mine": "1"})
    await collect(provider, request_of(session_hash="abc123"))
    headers = fake.requests[0].headers
    assert (headers["x-session-id"], headers["x-session-affinity"]) == ("abc123", "abc123")
    assert headers["user-agent"].startswith("lsp-agent/")
    assert headers["x-mine"] == "1"
    assert headers["accept-encoding"] == "identity"
    name = KEY_HEADERS.get(dialect)
    key = {name: SECRET} if name else {"authorization": f"Bearer {SECRET}"}
    assert {name: headers[name] for name in (*KEY_HEADERS.values(), "authorization") if name in headers} == key
    await provider.close()


async def test_without_a_key_none_is_sent_whatever_the_environment_holds(
    dialect: str, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "leak-me-not")
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "GEMINI_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(name, "leak-me-not")
    provider = make_provider(dialect, fake.url, key="")
    if dialect == "bedrock":
        # nothing is asked without a proof of who asks
        assert (await failure(provider)).kind == "ProviderAuth"
        assert fake.requests == []
        return
    await collect(provider)
    assert "leak-me-not" not in str(fake.requests[0].headers)
    assert "authorization" not in fake.requests[0].headers
    await provider.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(
    dialect: str, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    provider = make_provider(dialect, fake.url)
    assert text_of(await collect(provider)) == "ok"
    await provider.close()


async def test_a_bearer_key_goes_into_the_authorization_header(dialect: str, fake: FakeProvider):
    provider = make_provider(dialect, fake.url, key=f"Bearer {SECRET}")
    await collect(provider)
    headers = fake.requests[0].headers
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert not set(KEY_HEADERS.values()) & set(headers)
    await provider.close()


async def test_images_of_the_user_and_of_tools_reach_the_service(dialect: str, provider: Provider, fake: FakeProvider):
    shot = result("t1", "Loaded.", data=PNG, mime_type="image/png")
    history = build(
        [user("See", image()), assistant(call("t1")), shot, user("So?")],
        images=True,
        media_in_results=provider.media_in_tool_results,
    )
    await collect(provider, request_of(*history))
    assert str(fake.requests[0].body).count(base64.b64encode(PNG).decode()) == 2


async def test_extra_body_is_merged_last(dialect: str, fake: FakeProvider):
    provider = make_provider(dialect, fake.url, extra_body={"metadata": {"a": 1}, "stream": True})
    await collect(provider, request_of(provider_options={"metadata": {"b": 2, "a": 9}}))
    assert fake.requests[0].body["metadata"] == {"a": 1, "b": 2}
    await provider.close()


async def test_F16_a_lone_surrogate_does_not_stop_a_request(provider: Provider, fake: FakeProvider):
    await collect(provider, request_of(user("bad \ud800 text")))
    assert "bad ? text" in str(fake.requests[0].body)


async def test_F24_counters_that_make_no_sense_become_zero(provider: Provider, fake: FakeProvider):
    fake.push([text("a"), {"usage": {"input": -5, "output": 10**18, "cache_read": 0}}])
    report = [event.usage for event in await collect(provider) if isinstance(event, UsageReport)][-1]
    assert report.input == 0
    assert 0 <= report.output <= 2**53


async def test_two_requests_at_once_do_not_mix(provider: Provider, fake: FakeProvider):
    fake.push([text("a" * 50, deltas=50), {"gap": 0.001}], [text("b" * 50, deltas=50)])
    one, two = await asyncio.gather(collect(provider), collect(provider, request_of(tools=(VIEW,))))
    assert {text_of(one), text_of(two)} == {"a" * 50, "b" * 50}


async def test_closing_twice_is_fine(provider: Provider, fake: FakeProvider):
    await collect(provider)
    await provider.close()
    await provider.close()
