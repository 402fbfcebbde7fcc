"""A command's output as text: decoded, without control sequences, its beginning and its end kept. Pure.

Whatever a program prints, the model and the editor get valid text in which a carriage return, an escape sequence or an
invisible character can no longer do anything (RELIABILITY SH-13, SH-23).
"""

import codecs
import re
import unicodedata

KEEP_CHARS = 15_000
"""Kept of the beginning, and as many of the end."""
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]{0,4}[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b]{0,4096}|[ -/]{0,4})?\Z")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_ENDS = re.compile("\r\n|\r|\u2028|\u2029|\u0085")


class Cleaner:
    """Bytes of one pipe in, clean text out, piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """The clean text that has become certain. `last`: nothing follows."""
        text = self._rest + self._decoder.decode(data, last)
        self._rest = ""
        if not last:
            unfinished = _UNFINISHED.search(text)
            if unfinished is not None:
                self._rest, text = text[unfinished.start() :], text[: unfinished.start()]
            elif text.endswith("\r"):
                self._rest, text = "\r", text[:-1]
        return clean(text)


def clean(text: str) -> str:
    """`text` without escape sequences, control characters and characters that only change how others look."""
    text = _SEQUENCES.sub("", text)
    text = _ENDS.sub("\n", text)
    return _INVISIBLE.sub("", _CONTROLS.sub("", text))


class Kept:
    """The beginning and the end of a text of any length, in bounded memory."""

    def __init__(self, keep_chars: int = KEEP_CHARS) -> None:
        self._keep = keep_chars
        self._head = ""
        self._tail = ""
        self.chars = 0
        """How much there was in all."""
        self._lines = 0

    def add(self, text: str) -> None:
        """More text."""
        self.chars += len(text)
        self._lines += text.count("\n")
        room = self._keep - len(self._head)
        if room > 0:
            self._head += text[:room]
            text = text[room:]
        if text:
            self._tail += text
            if len(self._tail) > 4 * self._keep:
                self._tail = self._tail[-self._keep - 64 :]

    @property
    def cut(self) -> bool:
        """Whether something in the middle is missing from `text`."""
        return self.chars > 2 * self._keep

    def text(self) -> str:
        """All of it, or both ends with a line between them that says how many lines are missing."""
        if not self.cut:
            return self._head + self._tail
        head, tail = _whole_end(self._head), _whole_start(self._tail[-self._keep :])
        missing = max(self._lines - head.count("\n") - tail.count("\n"), 1)
        return f"{head}\n… [{missing} lines truncated] …\n{tail}"

    def since(self, offset: int) -> tuple[str, int]:
        """The text from character `offset` on, as far as it was kept, and the offset where it really begins."""
        offset = max(offset, 0)
        if offset < len(self._head):
            return (self.text(), 0) if offset == 0 else (self.text()[offset:], offset)
        start = self.chars - len(self._tail)
        begin = max(offset, start)
        return self._tail[begin - start :], min(begin, self.chars)


def _whole_end(text: str) -> str:
    """Drop a last character that belongs together with what was cut off: it may be half a picture or a bare accent."""
    end = len(text)
    while end and end > len(text) - 32 and (_joins(text[end - 1]) or text[end - 1 : end] == "\u200d"):
        end -= 1
    return text[: max(end - 1, 0)] if end < len(text) else text[:-1] if text and ord(text[-1]) > 0x2FF else text


def _whole_start(text: str) -> str:
    start = 0
    while start < min(len(text), 32) and _joins(text[start]):
        start += 1
    return text[start:]


def _joins(char: str) -> bool:
    return (
        char == "\u200d"
        or unicodedata.combining(char) > 0
        or unicodedata.category(char) in ("Mn", "Mc", "Me")
        or 0x1F3FB <= ord(char) <= 0x1F3FF
        or 0x1F1E6 <= ord(char) <= 0x1F1FF
    )
