"""What a server may send us unasked, and how much of it (RELIABILITY MC-08, MC-09).

Every message passes here before the SDK sees it. Notifications end here: a changed list sets a flag, the rest is
dropped and counted. Requests of the server (to run the model, to ask the user) are let through in small number, for
the SDK to decline; a server that floods with them is not answered any more.
"""

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)

REQUESTS_A_SECOND = 20.0
_LISTS = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
}


class Intake:
    """Of one connection. `now_s`: a clock that never steps back. `list_changed`: told `tools`, `prompts`, `resources`;
    it must not wait."""

    def __init__(self, name: str, now_s: Callable[[], float], list_changed: Callable[[str], None]) -> None:
        self._name = name
        self._now_s = now_s
        self._list_changed = list_changed
        self._budget = REQUESTS_A_SECOND
        self._last_s = now_s()
        self.notifications = 0
        self.dropped_requests = 0

    def admits(self, method: str | None, *, has_id: bool) -> bool:
        """Whether a message goes on to the SDK. `method` None = an answer to us."""
        if method is None:
            return True
        if not has_id:
            self.notifications += 1
            changed = _LISTS.get(method)
            if changed is not None:
                self._list_changed(changed)
            return False
        now = self._now_s()
        self._budget = min(self._budget + (now - self._last_s) * REQUESTS_A_SECOND, REQUESTS_A_SECOND)
        self._last_s = now
        if self._budget < 1:
            self.dropped_requests += 1
            if self.dropped_requests == 1:
                _log.warning("MCP server %s sends too many requests; the rest is not answered", self._name)
            return False
        self._budget -= 1
        return True
