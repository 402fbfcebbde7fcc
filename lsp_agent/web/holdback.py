"""Secrets taken out of a text that arrives in pieces: one cut in two by a piece's end is still found. Pure.

What may be the beginning of a secret waits for the next piece: the last word, the beginning of a known value, and a
private key until its end. Everything else goes on at once (RELIABILITY EX-15, C-LOG).
"""

import re
from collections.abc import Callable, Iterable

MAX_WORD_CHARS = 4_096
"""A longer word is passed on in parts: no key is as long."""
MAX_BLOCK_CHARS = 16_384
"""Of a private key that never ends; what follows then is hidden as well."""
_CONTEXT_CHARS = 64
_WORD = re.compile(r"[!-~]+\Z")
_BLOCK_NAME = re.compile(r"-----BEGIN(?: [A-Z]{0,20}){0,5}-{0,5}\Z")
_OPEN_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?!.*-----END [A-Z ]*PRIVATE KEY-----)", re.DOTALL)
_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)", re.DOTALL)
_BLOCK_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_BLOCK_END_CHARS = 64


class HoldBack:
    """One stream. `redact` takes secrets out of a whole text (`log.Redactor.redact`); `values` are the known ones."""

    def __init__(self, redact: Callable[[str], str], values: Callable[[], Iterable[str]] = tuple) -> None:
        self._redact = redact
        self._values = values
        self._waiting = ""
        self._context = ""
        """The raw end of what went on already: some keys are known by the word before them."""
        self._in_block = False
        """What waits begins with a private key whose end has not come."""
        self._swallowing = False
        """Such a key was longer than any is: nothing passes before its end."""

    @property
    def waiting_chars(self) -> int:
        """How much is held back."""
        return len(self._waiting)

    def feed(self, text: str) -> str:
        """What may go on now, redacted; perhaps nothing."""
        self._waiting += text
        if self._swallowing and not self._block_ended():
            return ""
        seen = len(text) + _BLOCK_END_CHARS
        if self._in_block and len(self._waiting) <= MAX_BLOCK_CHARS and "-----" not in self._waiting[-seen:]:
            return ""
        cut = self._safe()
        self._in_block = cut == 0 and _OPEN_BLOCK.match(self._waiting) is not None
        if cut == 0 and len(self._waiting) > MAX_BLOCK_CHARS:
            self._swallowing = _OPEN_BLOCK.search(self._waiting) is not None
            cut = len(self._waiting)
        return self._pass(cut)

    def finish(self) -> str:
        """The rest; the stream is over."""
        if self._swallowing:
            self._waiting = ""
        return self._pass(len(self._waiting))

    def _block_ended(self) -> bool:
        end = _BLOCK_END.search(self._waiting)
        if end is None:
            self._waiting = self._waiting[-_BLOCK_END_CHARS:]
            return False
        self._waiting, self._swallowing = self._waiting[end.end() :], False
        return True

    def _safe(self) -> int:
        """How much of what waits cannot be part of a secret that goes on."""
        text = self._waiting
        cut = len(text)
        if (word := _WORD.search(text)) is not None and cut - word.start() <= MAX_WORD_CHARS:
            cut = word.start()
        values = [value.strip() for value in self._values() if value.strip()]
        for value in values:
            cut = min(cut, _begun(text, value))
        tail = max(len(text) - 128, 0)
        for found in re.finditer("-----BEGIN", text[tail:]):
            if _BLOCK_NAME.match(text, tail + found.start()):
                cut = min(cut, tail + found.start())
                break
        for block in _BLOCK.finditer(text):
            if block.end() > cut or _OPEN_BLOCK.match(block[0]):
                cut = min(cut, block.start())
        moved = True
        while moved:  # no further than to the beginning of what the cut would halve
            before = cut
            for value in values:
                start = text.find(value, max(cut - len(value) + 1, 0), cut + len(value) - 1)
                cut = min(cut, start) if start >= 0 else cut
            moved = cut < before
        return cut

    def _pass(self, cut: int) -> str:
        if not cut:
            return ""
        ready, self._waiting = self._waiting[:cut], self._waiting[cut:]
        before = self._redact(self._context)
        both = self._redact(self._context + ready)
        out = both[len(before) :] if both.startswith(before) else self._redact(ready)
        self._context = (self._context + ready)[-_CONTEXT_CHARS:]
        return out


def _begun(text: str, value: str) -> int:
    """Where the end of `text` begins to spell `value`, complete or not; its length when it does not."""
    if not value:
        return len(text)
    for at in range(max(len(text) - len(value) + 1, 0), len(text)):
        if value.startswith(text[at:]):
            return at
    return len(text)
