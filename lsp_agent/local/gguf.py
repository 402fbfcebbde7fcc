"""The little that is asked of a GGUF file before it is loaded: is it one, and what does it say of itself.

Source: the GGUF specification, version 2 and 3 (little-endian): magic, version, counts, then key-value pairs. The file
may be anything: every length is checked, and reading stops after the first megabytes or the first thing that is odd.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"GGUF"
_FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_READ_LIMIT = 16 << 20
_KEYS_LIMIT = 2_000
_TEXT_LIMIT = 65_536


class NotGguf(Exception):
    """The file is no GGUF file; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What the header says. `context_length` 0 and empty texts = not said."""

    name: str = ""
    architecture: str = ""
    context_length: int = 0
    """Tokens the model was trained with."""
    size_label: str = ""
    """As its maker calls it: `0.5B`."""
    values: dict[str, object] = field(default_factory=dict)

    @property
    def billions(self) -> float:
        """Parameters in billions, by the label; 0 = unknown."""
        text, unit = self.size_label[:-1], self.size_label[-1:].upper()
        try:
            return float(text) * {"B": 1.0, "M": 0.001}[unit]
        except (KeyError, ValueError):
            return 0.0


def read_facts(path: Path) -> GgufFacts:
    """The facts of a file. Blocks for a moment. Raises: NotGguf; OSError when it cannot be read."""
    with path.open("rb") as file:
        head = file.read(24)
        if len(head) < 24 or head[:4] != _MAGIC:
            raise NotGguf(f"{path.name} is not a GGUF file")
        version, _tensors, keys = struct.unpack("<IQQ", head[4:])
        if version not in {2, 3} or keys > _KEYS_LIMIT:
            raise NotGguf(f"{path.name} is a GGUF file of a kind that is not known (version {version})")
        values: dict[str, object] = {}
        try:
            for _ in range(keys):
                key = _text(file)
                if key.startswith("tokenizer."):
                    break  # hundreds of thousands of words follow, and nothing that is asked for
                value = _value(file, struct.unpack("<I", _exactly(file, 4))[0])
                if value is not None:
                    values[key] = value
        except _Enough:
            pass  # what was read so far is all there is to know
    architecture = str(values.get("general.architecture", ""))
    length = values.get(f"{architecture}.context_length", 0)
    return GgufFacts(
        name=str(values.get("general.name", ""))[:100],
        architecture=architecture[:50],
        context_length=length if isinstance(length, int) and 0 < length < 1 << 31 else 0,
        size_label=str(values.get("general.size_label", ""))[:20],
        values=values,
    )


class _Enough(Exception):
    """The header is odd, or too long: no more is read."""


def _exactly(file: BinaryIO, size: int) -> bytes:
    if size > _READ_LIMIT or file.tell() > _READ_LIMIT:
        raise _Enough
    data = file.read(size)
    if len(data) < size:
        raise _Enough
    return data


def _text(file: BinaryIO) -> str:
    length = struct.unpack("<Q", _exactly(file, 8))[0]
    return _exactly(file, length)[:_TEXT_LIMIT].decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> object:
    """One value; None for an array, which is skipped."""
    if kind in _FIXED:
        layout = _FIXED[kind]
        return struct.unpack(layout, _exactly(file, struct.calcsize(layout)))[0]
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        raise _Enough
    inner, count = struct.unpack("<IQ", _exactly(file, 12))
    if inner in _FIXED:
        _exactly(file, struct.calcsize(_FIXED[inner]) * count)
    elif inner == _STRING:
        for _ in range(count):
            _text(file)
    else:
        raise _Enough
    return None
