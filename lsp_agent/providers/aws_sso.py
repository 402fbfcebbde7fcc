"""AWS single sign-on: how a login that has run out is recognised, which command renews it, and when that has happened.

`aws sso login` opens the browser and leaves its token in files of `~/.aws/sso/cache`; we only look at when they change.
"""

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from lsp_agent.providers.oauth import LoginDue

_ERRORS = frozenset(
    {
        "PendingAuthorizationExpiredError",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)
"""Names of botocore's exceptions; the package may not be there."""
_LOOK_EVERY_S = 0.5

Seen = Mapping[str, int]
"""Files of the cache and when they were written, nanoseconds."""


def login_due(provider_id: str, profile: str, error: BaseException) -> LoginDue | None:
    """What to tell the user when `error` means that a single sign-on has run out; None for other errors."""
    if not any(cls.__name__ in _ERRORS for cause in _causes(error) for cls in type(cause).__mro__):
        return None
    command = f"aws sso login --profile {shlex.quote(profile)}" if profile else "aws sso login"
    return LoginDue(provider_id, "the AWS single sign-on has run out", command)


def cache_directory(env: Mapping[str, str]) -> Path:
    """Where the AWS command line keeps tokens."""
    return Path(env.get("HOME") or Path.home()) / ".aws" / "sso" / "cache"


def seen(directory: Path) -> Seen:
    """What is there now. Blocks briefly."""
    found: dict[str, int] = {}
    try:
        for path in directory.glob("*.json"):
            found[path.name] = path.stat().st_mtime_ns
    except OSError:
        return found  # it is being written; the next look sees it
    return found


async def wait_for_login(directory: Path, before: Seen, timeout_s: float) -> bool:
    """Wait until a token was written since `before`; False after `timeout_s`. Ends with a cancellation."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                now = await asyncio.to_thread(seen, directory)
                if any(before.get(name) != when for name, when in now.items()):
                    return True
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__
