"""Keys from the system's keyring: `keyring:SERVICE/NAME`, through the extra `keyring`, imported on first use."""

import asyncio
import importlib
import threading
from typing import Any

from lsp_agent.domain.errors import ProviderError

PREFIX = "keyring:"


async def from_keyring(template: str, *, owner: str, timeout_s: float) -> str:
    """The secret that `SERVICE/NAME` names; the first slash divides.

    Raises: ProviderError(ProviderAuth) when the extra is missing, the keyring is locked, has no such entry, or asks the
    user for longer than `timeout_s`. The message names service and entry, never a value.
    """
    service, slash, name = template.removeprefix(PREFIX).strip().partition("/")
    if not slash or not service or not name:
        raise _unusable(f"{owner}: write it as keyring:SERVICE/NAME.")
    try:
        async with asyncio.timeout(timeout_s):
            value = await _in_thread(service, name)
    except ImportError as error:
        raise _unusable(f"{owner} is in the system keyring; run: pip install 'lsp-agent[keyring]'") from error
    except TimeoutError as error:
        raise _unusable(f"{owner}: the keyring did not answer within {timeout_s:g} s. Is it locked?") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise _unusable(f"{owner}: the keyring cannot be read ({type(error).__name__}).") from error
    if not value:
        raise _unusable(f"{owner}: the keyring has no {name!r} for {service!r}; run: keyring set {service} {name}")
    return value


async def _in_thread(service: str, name: str) -> str:
    """In a thread of its own that nobody waits for at the end: a locked keyring may ask the user for ever."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(value: str, error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def look() -> None:
        value, failure = "", None
        try:
            value = _read(service, name)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:
            return  # the loop has ended meanwhile

    threading.Thread(target=look, name="keyring", daemon=True).start()
    return await answer


def _read(service: str, name: str) -> str:
    keyring: Any = importlib.import_module("keyring")
    errors: Any = importlib.import_module("keyring.errors")
    try:
        return str(keyring.get_password(service, name) or "")
    except errors.KeyringError as error:
        raise RuntimeError(type(error).__name__) from error


def _unusable(message: str) -> ProviderError:
    return ProviderError("ProviderAuth", "No key", message)
