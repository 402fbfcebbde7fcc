"""When a service that refuses for its rate limits will answer again, by what it says of the limits. Pure.

Three families of headers: `anthropic-ratelimit-NAME-remaining` with `…-reset` (a date), `x-ratelimit-remaining-NAME`
with `x-ratelimit-reset-NAME` (`6m0s`, `20ms`), and `[x-]ratelimit-remaining` with `…-reset` (seconds, or a time since
1970). Counts only where `retry-after` is missing. Source: the rate-limit pages of Anthropic, OpenAI and OpenRouter.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

_NAME = re.compile(r"(?:anthropic-|x-)?ratelimit-(?:[a-z0-9-]{1,60}-)?reset(?:-[a-z0-9-]{1,60})?")
_SPAN = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?")
_NUMBER = re.compile(r"\d{1,13}(?:\.\d{1,9})?")
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


def reset_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the last of the limits that are used up is fresh again; None when none says so.

    `headers`: names in lower case. Unreadable values and times that have passed mean nothing.
    """
    waits = [
        _seconds(value.strip(), now)
        for name, value in headers.items()
        if _NAME.fullmatch(name) and _is_used_up(headers.get(name.replace("reset", "remaining"), ""))
    ]
    return max([wait for wait in waits if wait is not None and wait > 0], default=None)


def _is_used_up(remaining: str) -> bool:
    try:
        return float(remaining) <= 0
    except ValueError:
        return False


def _seconds(value: str, now: datetime) -> float | None:
    if _NUMBER.fullmatch(value):
        number = float(value)
        if number >= _EPOCH_MS:
            return number / 1000 - now.timestamp()
        return number - now.timestamp() if number >= _EPOCH_S else number
    span = _SPAN.fullmatch(value)
    if value and span:
        hours, minutes, seconds, thousandths = [float(part or 0) for part in span.groups()]
        return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
