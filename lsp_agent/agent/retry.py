"""When a model request is worth repeating, after how long, and the loop that does it (CORE 8).

A retry repeats the request and nothing else: tools run after a stream is whole, so none has run when this decides.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.ports.provider import Provider

T = TypeVar("T")

_SENSIBLE_WAIT_S = 60.0


def delay_before_retry(error: ProviderError, retried: int, limits: TurnLimits) -> float | None:
    """Seconds to wait before retry number `retried + 1`; None = give up.

    5, 10, 20 … by default. What the service asks for wins when it is positive and either below a minute or shorter than
    our own delay.
    """
    if not error.retryable or retried >= limits.retries:
        return None
    computed = limits.retry_base_s * float(2**retried)
    asked = error.retry_after_s
    if asked is not None and asked > 0 and (asked < _SENSIBLE_WAIT_S or asked < computed):
        return asked
    return computed


def may_refresh(error: ProviderError) -> bool:
    """True for an error that fresh credentials may cure."""
    return error.status == 401 or (error.kind == "ProviderAuth" and error.status in (None, 400, 403))


async def persistently(
    attempt: Callable[[Provider], Awaitable[T]],
    *,
    services: TurnServices,
    limits: TurnLimits,
    model: Model,
    on_retry: Callable[[ProviderError, float], None],
) -> T:
    """Call `attempt` with the model's adapter until it succeeds or the error is final.

    `on_retry(error, delay_s)` runs before each wait. Credentials are refreshed once; then the retries count anew.
    Raises: the last ProviderError.
    """
    retried, refreshed = 0, False
    while True:
        try:
            return await attempt(await services.providers.provider_for(model))
        except ProviderError as error:
            if may_refresh(error) and not refreshed:
                refreshed = True
                if not await services.providers.refresh_credentials(model):
                    raise
                retried, delay_s = 0, 0.0
            else:
                patience = delay_before_retry(error, retried, limits)
                if patience is None:
                    raise
                retried, delay_s = retried + 1, patience
            on_retry(error, delay_s)
        if delay_s:
            await services.clock.sleep(delay_s)
