"""What a server answered, as a tool result: fenced text, at most one image, nothing fetched (RELIABILITY MC-04, MC-10).

Pure, over the JSON of the protocol's content blocks.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsp_agent.ports.tools import ToolResult
from lsp_agent.untrusted import clean, fence

MAX_TEXT_BYTES = 100_000
MAX_MEDIA_BYTES = 5 << 20
MAX_BLOCKS = 1_000
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_AUDIO = ((b"ID3", "audio/mpeg"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"), (b"\xff\xfb", "audio/mpeg"))


def fresh_nonce() -> str:
    """A word for a fence."""
    return secrets.token_hex(6)


def tool_result(
    answer: Mapping[str, Any], *, source: str, takes_images: bool, nonce: Callable[[], str] = fresh_nonce
) -> ToolResult:
    """The result of `tools/call` (`{"content": [...], "structuredContent"?, "isError"?}`) for the model.

    `source` says where it is from. The first image wins, else the first audio; what is not shown is named.
    """
    blocks = answer.get("content") or []
    texts, media = _sort(blocks[:MAX_BLOCKS])
    if len(blocks) > MAX_BLOCKS:
        texts.append(f"[{len(blocks) - MAX_BLOCKS} more parts are not shown]")
    structured = answer.get("structuredContent")
    if structured is not None and not any(block.get("type") == "text" for block in blocks):
        texts.append(json.dumps(structured, ensure_ascii=False))
    is_error = answer.get("isError") is True
    chosen: tuple[bytes, str] | None = None
    for kind, data, mime_type in sorted(media, key=lambda one: one[0] != "image"):
        if chosen is None and takes_images and not is_error:
            chosen = (data, mime_type)
        else:
            texts.append(f"[{kind}, {mime_type}, {len(data)} bytes: not shown]")
    if chosen is None and media and not takes_images and not is_error:
        return ToolResult(fence("\n".join(texts), source, nonce) + "\nThe model in use takes no images.", is_error=True)
    text = cut(clean("\n\n".join(texts))) or ("(an image)" if chosen else "(no output)")
    shown = fence(text, source, nonce)
    if chosen is None:
        return ToolResult(shown, is_error=is_error)
    return ToolResult(shown, data=chosen[0], mime_type=chosen[1])


def cut(text: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """At most `limit_bytes` of UTF-8, with a note of what is missing."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return text
    return raw[:limit_bytes].decode("utf-8", "ignore") + f"\n… [{len(raw) - limit_bytes} more bytes are not shown]"


def resource_text(contents: Sequence[Mapping[str, Any]]) -> str:
    """Contents of a resource as one text; of binary ones only the size."""
    return "\n\n".join([_resource(one) for one in contents[:MAX_BLOCKS]])


def prompt_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text a user would have typed: user-role text parts of a prompt, joined."""
    parts = []
    for message in messages[:MAX_BLOCKS]:
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, Mapping) and content.get("type") == "text":
            parts.append(clean(str(content.get("text", ""))))
    return "\n\n".join(parts)


def decode_media(text: str) -> bytes | None:
    """Bytes of base64 text, also with white space in it and without padding; None when it is none or too large."""
    if len(text) > MAX_MEDIA_BYTES * 2:
        return None
    compact = "".join(text.split())
    try:
        data = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if 0 < len(data) <= MAX_MEDIA_BYTES else None


def sniff(data: bytes) -> str | None:
    """MIME type by the first bytes, of the kinds we pass on; what the server claims is not believed."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])
    return next((mime for magic, mime in (*_MAGIC, *_AUDIO) if data.startswith(magic)), None)


def _sort(blocks: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, bytes, str]]]:
    """(texts in order, media as (kind, bytes, MIME type))."""
    texts: list[str] = []
    media: list[tuple[str, bytes, str]] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(str(block.get("text", "")))
        elif kind in ("image", "audio"):
            data = decode_media(str(block.get("data", "")))
            mime_type = sniff(data) if data is not None else None
            if data is None or mime_type is None or not mime_type.startswith(f"{kind}/"):
                texts.append(f"[{kind} that is broken, too large, or not what it claims to be: not shown]")
            else:
                media.append((str(kind), data, mime_type))
        elif kind == "resource_link":
            texts.append(f"[resource, not read: {_line(block.get('uri'))} {_line(block.get('name'))}]")
        elif kind == "resource" and isinstance(block.get("resource"), Mapping):
            texts.append(_resource(block["resource"]))
        else:
            texts.append(f"[a part of an unknown kind: {_line(kind)}]")
    return texts, media


def _resource(content: Mapping[str, Any]) -> str:
    where = _line(content.get("uri"))
    if "text" in content:
        return f"Resource {where}:\n{content['text']}"
    return f"Resource {where}: binary, {len(str(content.get('blob', ''))) * 3 // 4} bytes, not shown"


def _line(value: Any) -> str:
    return " ".join(clean(str(value or "")).split())[:300]
