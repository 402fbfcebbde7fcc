"""What a bent client may expect: one answer for a readable id, none for any other, no word too much in errors."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LEAK = re.compile(rf'Traceback|File "|{re.escape(str(ROOT))}|site-packages|/usr/lib/python')
_LOGGED = re.compile(r"Traceback|failed: [A-Z]\w*|could not be handled|could not start|ended without an answer")


class Oracle:
    """Book of what is owed."""

    def __init__(self, private: Sequence[str]) -> None:
        self.owed: dict[int | str, list[tuple[str, bytes]]] = {}
        """Unanswered ids: method and frame of each request with it, oldest first."""
        self.outstanding = 0
        self.requests = 0
        self.nameless = 0
        """Messages so far that may be answered without an id."""
        self.answers: Counter[str] = Counter()
        self.violations: list[tuple[str, list[bytes]]] = []
        """What is wrong, and the frames that led to it."""
        self._seen: set[str] = set()
        self._private = private

    def sent(self, frame: bytes, method: str, owed: int | str | None) -> None:
        """A message was sent."""
        if owed is None:
            self.nameless += 1
            return
        self.requests += 1
        self.outstanding += 1
        self.owed.setdefault(owed, []).append((method, frame))

    def answered(self, message: dict[str, Any]) -> str:
        """A response came; the method it belongs to."""
        request_id, error = message.get("id"), message.get("error")
        key = "ok" if error is None else str(error.get("data", {}).get("kind"))
        self.answers[key] += 1
        if request_id is None:
            self.nameless -= 1
            if self.nameless < 0:
                self.blame("an answer without an id that nobody caused", [])
            self._check_error(error, "nameless", [])
            return ""
        waiting = self.owed.get(request_id)
        if not waiting:
            self.blame("an answer for an id that is not owed", [], str(message)[:300])
            return ""
        method, frame = waiting.pop(0)
        self.outstanding -= 1
        if not waiting:
            del self.owed[request_id]
        if error is not None:
            self._check_error(error, method, [frame])
        elif LEAK.search(str(message.get("result"))):
            self.blame(f"{method}: a result with a trace of the source", [frame], str(message)[:500])
        return method

    def blame(self, what: str, frames: list[bytes], detail: str = "") -> None:
        """Something is wrong; kept once a kind."""
        if what not in self._seen:
            self._seen.add(what)
            self.violations.append((f"{what} {detail}".strip(), frames))

    def logged(self, text: str, frames: list[bytes]) -> None:
        """What the server wrote to its log, and to stderr."""
        for line in text.splitlines():
            found = _LOGGED.search(line)
            if found is not None:
                plain = re.sub(r"[0-9a-f-]{8,}|[0-9]+", "#", line)
                self.blame(
                    f"logged: {found[0]} {plain if len(plain) < 900 else plain[:200] + ' … ' + plain[-700:]}", frames
                )

    def _check_error(self, error: Any, method: str, frames: list[bytes]) -> None:
        if not isinstance(error, dict) or not isinstance(error.get("code"), int) or not error.get("message"):
            self.blame(f"{method}: not an error object", frames, str(error)[:300])
            return
        data = error.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str) or "retryable" not in data:
            self.blame(f"{method}: an error without kind and retryable", frames, str(error)[:300])
        elif data["kind"] in ("Internal", "Store"):
            self.blame(f"{method}: {data['kind']} error for params", frames, str(error)[:300])
        text = str(error)
        if LEAK.search(text) or any(secret in text for secret in self._private):
            self.blame(f"{method}: an error that tells too much", frames, text[:500])
