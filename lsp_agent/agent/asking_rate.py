"""How fast the user is being asked (RELIABILITY PI-07): who has answered many questions looks less closely at the next.

Counted over all sessions of a workspace, because it is one person who answers.
"""

from collections import deque

WINDOW_S = 60.0
WORTH_SAYING = 5
"""Questions in the window from which on each says how many there were."""
_REMEMBERED = 1_000


class AskingRate:
    """The questions of the last minute."""

    def __init__(self) -> None:
        self._asked_s: deque[float] = deque(maxlen=_REMEMBERED)

    def note(self, now_s: float) -> str:
        """One more question now (monotonic seconds): a sentence for it, empty while there are few."""
        self._asked_s.append(now_s)
        while now_s - self._asked_s[0] > WINDOW_S:
            self._asked_s.popleft()
        count = len(self._asked_s)
        return f"This is question {count} within a minute; look at it closely." if count >= WORTH_SAYING else ""
