"""Which waits follow from what services say of their limits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.errors import status_error
from lsp_agent.providers.rate_limits import reset_after
from tests.harness.fake_provider import FakeProvider, http
from tests.providers.doubles import collect, make_provider

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
EPOCH_S = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "anthropic-ratelimit-requests-remaining": "10",
                "anthropic-ratelimit-requests-reset": "2026-11-23T12:59:00Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:00:07Z",
            },
            7.0,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            360.0,
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((EPOCH_S + 9) * 1000)}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH_S + 8)}, 8.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12.0),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "12"}, None),
        ({"ratelimit-reset": "12"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": ""}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "2020-01-01T00:00:00"}, None),
        ({"x-other-remaining": "0", "x-other-reset": "12"}, None),
    ],
)
def test_the_longest_wait_of_the_limits_that_are_used_up_counts(headers, expected):
    found = reset_after(headers, NOW)
    assert found == (None if expected is None else pytest.approx(expected))


@given(value=st.text(max_size=40), remaining=st.text(max_size=5))
def test_whatever_a_service_writes_there_nothing_is_raised(value: str, remaining: str):
    headers = {"x-ratelimit-reset": value, "x-ratelimit-remaining": remaining, "x-ratelimit-remaining-a": "0"}
    found = reset_after({**headers, "x-ratelimit-reset-a": value}, NOW)
    assert found is None or found > 0


def test_a_retry_after_goes_first_and_other_refusals_do_not_wait():
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}
    assert status_error("s", 429, None, spent).retry_after_s == 12.0
    assert status_error("s", 429, None, {**spent, "Retry-After": "3"}).retry_after_s == 3.0
    assert status_error("s", 500, None, spent).retry_after_s is None


async def test_a_service_that_names_its_reset_is_waited_for(dialect: str, fake: FakeProvider):
    provider = make_provider(dialect, fake.url)
    fake.push([http(429, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, None)])
    with pytest.raises(ProviderError) as caught:
        await collect(provider)
    assert (caught.value.kind, caught.value.retry_after_s) == ("RateLimited", 1.5)
    await provider.close()
