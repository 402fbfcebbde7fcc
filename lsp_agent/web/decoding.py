"""A response's body as it arrives: unpacked within a limit, and then as text. Pure.

A few kilobytes of gzip can stand for gigabytes: the unpacked size is what counts, and unpacking stops in the middle of
a block when the limit is reached (RELIABILITY EX-17).
"""

import codecs
import re
import zlib

_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WEB_NAMES = dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"), "cp1252")
"""What the web means by them (WHATWG Encoding)."""
_NOT_TEXT = frozenset((
    "base64", "bz2", "hex", "quopri", "rot13", "uu", "zlib", "idna", "punycode", "raw_unicode_escape",
    "unicode_escape", "undefined", "utf_7",
))  # fmt: skip
"""Python's codecs that are no character encodings of the web."""
_MEMBERS = 64


class UnknownEncoding(ValueError):
    """A content encoding nobody asked for."""


class Unpacker:
    """Bytes as sent in, bytes as meant out, never more than `max_bytes` of them in all.

    `encoding`: the Content-Encoding header. Raises: UnknownEncoding; ValueError for damaged data.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
        if len(names) > 1 or (names and names[0] not in ("gzip", "x-gzip", "deflate")):
            raise UnknownEncoding(f"the content is packed as {', '.join(names)[:80]!r}")
        self._deflate = names == ["deflate"]
        self._packed = bool(names)
        self._unpacker = None if self._deflate or not names else zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._start = b""
        self._left = max_bytes
        self._members = 0

    @property
    def full(self) -> bool:
        """The limit is reached: nothing more comes out."""
        return self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """What `data` stands for, as far as there is room."""
        if not self._packed:
            return self._take(data)
        if self._unpacker is None:
            data = self._begin_deflate(data)
        out: list[bytes] = []
        while data and self._unpacker is not None and self._left > 0:
            try:
                piece = self._take(self._unpacker.decompress(data, self._left))
            except zlib.error as error:
                if self._members:
                    break  # rubbish behind the last member is not content
                raise ValueError("the packed content is damaged") from error
            out.append(piece)
            data = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if self._unpacker.eof:
                self._members += 1
                if self._deflate or self._members >= _MEMBERS:
                    break
                self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            elif not piece:
                break
        return b"".join(out)

    def _begin_deflate(self, data: bytes) -> bytes:
        """Some servers leave the zlib header out; its two bytes tell (RFC 1950, 2.2)."""
        self._start += data
        if len(self._start) < 2:
            return b""
        with_header = self._start[0] & 0x0F == 8 and int.from_bytes(self._start[:2], "big") % 31 == 0
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS if with_header else -zlib.MAX_WBITS)
        return self._start

    def _take(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        return piece


def split_content_type(header: str) -> tuple[str, str | None]:
    """(media type in lower case, charset or None) of a Content-Type header."""
    kind = header.split(";", 1)[0].strip().lower()
    charset = _CHARSET.search(header)
    return kind, charset[1].lower() if charset else None


def decode_text(body: bytes, charset: str | None, *, html: bool = False, strict: bool = False) -> str:
    """`body` as text: by its byte order mark, the header, a `<meta>` of HTML, else UTF-8.

    `strict`: what is not valid raises UnicodeDecodeError instead of becoming replacement characters.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "strict" if strict else "replace")
    if charset is None and html and (found := _META.search(body[:2048])):
        charset = found[1].decode("ascii").lower()
    return body.decode(_codec(charset), "strict" if strict else "replace")


def _codec(charset: str | None) -> str:
    name = _WEB_NAMES.get(charset or "utf-8", charset or "utf-8")
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return "utf-8"
    return "utf-8" if found.replace("-", "_") in _NOT_TEXT else found
