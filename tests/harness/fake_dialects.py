"""How the fake provider says things: Anthropic Messages, OpenAI Responses, Chat Completions, Gemini, as server-sent
events, and Anthropic's at Bedrock as an AWS event stream."""

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import orjson

_FINISH_CHAT = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}


class Dialect(Protocol):
    usage: dict[str, Any]
    stop: str

    def begin(self, body: dict[str, Any]) -> list[bytes]: ...
    def text(self, pieces: Sequence[str]) -> list[bytes]: ...
    def think(self, pieces: Sequence[str], signature: str) -> list[bytes]: ...
    def redacted(self, data: str) -> list[bytes]: ...
    def tool(self, name: str, call_id: str | None, pieces: Sequence[str]) -> list[bytes]: ...
    def ping(self) -> bytes: ...
    def error(self, error: dict[str, Any]) -> bytes: ...
    def unknown(self) -> bytes: ...
    def finish(self, end: str) -> list[bytes]: ...


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), orjson.dumps(value))


class Anthropic:
    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.stop = ""
        self._index = -1
        self._tools = 0

    def begin(self, body: dict[str, Any]) -> list[bytes]:
        message = {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return [_event({"type": "message_start", "message": message})]

    def _block(self, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
        self._index += 1
        index = self._index
        frames = [_event({"type": "content_block_start", "index": index, "content_block": block})]
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
        frames += [head + orjson.dumps(delta) + b"}\n\n" for delta in deltas]
        return [*frames, _event({"type": "content_block_stop", "index": index})]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        return self._block({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces])

    def think(self, pieces: Sequence[str], signature: str) -> list[bytes]:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        deltas += [{"type": "signature_delta", "signature": signature}] if signature else []
        return self._block({"type": "thinking", "thinking": "", "signature": ""}, deltas)

    def redacted(self, data: str) -> list[bytes]:
        return self._block({"type": "redacted_thinking", "data": data}, [])

    def tool(self, name: str, call_id: str | None, pieces: Sequence[str]) -> list[bytes]:
        self._tools += 1
        used = f"toolu_{self._tools}" if call_id is None else call_id
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return self._block({"type": "tool_use", "id": used, "name": name, "input": {}}, deltas)

    def ping(self) -> bytes:
        return _event({"type": "ping"})

    def error(self, error: dict[str, Any]) -> bytes:
        return _event({"type": "error", "error": error})

    def unknown(self) -> bytes:
        return _event({"type": "something_new", "value": 1})

    def finish(self, end: str) -> list[bytes]:
        if end == "no_finish":
            return []
        counts = {
            "input_tokens": self.usage.get("input", 0),
            "output_tokens": self.usage.get("output", 0),
            "cache_read_input_tokens": self.usage.get("cache_read", 0),
            "cache_creation_input_tokens": self.usage.get("cache_write", 0),
        }
        stop = self.stop or ("tool_use" if self._tools else "end_turn")
        frames = [_event({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": counts})]
        return frames if end == "no_done" else [*frames, _event({"type": "message_stop"})]


class Responses:
    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.stop = ""
        self._index = -1
        self._tools = 0

    def begin(self, body: dict[str, Any]) -> list[bytes]:
        return [_event({"type": "response.created", "response": {"id": "resp_fake", "status": "in_progress"}})]

    def _item(self, opened: dict[str, Any], frames: list[bytes], whole: dict[str, Any]) -> list[bytes]:
        added = _event({"type": "response.output_item.added", "output_index": self._index, "item": opened})
        done = _event({"type": "response.output_item.done", "output_index": self._index, "item": whole})
        return [added, *frames, done]

    def _deltas(self, kind: str, item_id: str, pieces: Sequence[str]) -> list[bytes]:
        head = b'event: %b\ndata: {"type":"%b","item_id":"%b","output_index":%d,"content_index":0,"delta":' % (
            kind.encode(),
            kind.encode(),
            item_id.encode(),
            self._index,
        )
        return [head + orjson.dumps(piece) + b"}\n\n" for piece in pieces]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        self._index += 1
        item = {"type": "message", "id": f"msg_{self._index}", "role": "assistant", "content": []}
        whole = {**item, "content": [{"type": "output_text", "text": "".join(pieces)}]}
        return self._item(item, self._deltas("response.output_text.delta", item["id"], pieces), whole)

    def think(self, pieces: Sequence[str], signature: str) -> list[bytes]:
        self._index += 1
        item = {"type": "reasoning", "id": f"rs_{self._index}", "summary": []}
        whole = {**item, "summary": [{"type": "summary_text", "text": "".join(pieces)}], "encrypted_content": signature}
        return self._item(item, self._deltas("response.reasoning_summary_text.delta", item["id"], pieces), whole)

    def redacted(self, data: str) -> list[bytes]:
        return self.think([], data)

    def tool(self, name: str, call_id: str | None, pieces: Sequence[str]) -> list[bytes]:
        self._index += 1
        self._tools += 1
        used = f"call_{self._tools}" if call_id is None else call_id
        item = {"type": "function_call", "id": f"fc_{self._tools}", "call_id": used, "name": name, "arguments": ""}
        frames = self._deltas("response.function_call_arguments.delta", item["id"], pieces)
        return self._item(item, frames, {**item, "arguments": "".join(pieces)})

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def error(self, error: dict[str, Any]) -> bytes:
        return _event({"type": "error", "code": error.get("type"), "message": error.get("message", "")})

    def unknown(self) -> bytes:
        return _event({"type": "response.something_new"})

    def finish(self, end: str) -> list[bytes]:
        if end:
            return []
        response: dict[str, Any] = {"id": "resp_fake", "status": "completed", "usage": self._usage()}
        if self.stop in {"max_tokens", "refusal"}:
            why = "max_output_tokens" if self.stop == "max_tokens" else "content_filter"
            response |= {"status": "incomplete", "incomplete_details": {"reason": why}}
        return [_event({"type": f"response.{response['status']}", "response": response})]

    def _usage(self) -> dict[str, Any]:
        cached, written = self.usage.get("cache_read", 0), self.usage.get("cache_write", 0)
        return {
            "input_tokens": self.usage.get("input", 0) + cached + written,
            "output_tokens": self.usage.get("output", 0),
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens_details": {"reasoning_tokens": self.usage.get("reasoning", 0)},
        }


class Chat:
    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.stop = ""
        self._tools = 0

    def begin(self, body: dict[str, Any]) -> list[bytes]:
        return [self._chunk({"role": "assistant", "content": ""})]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        value = {"id": "chatcmpl_fake", "object": "chat.completion.chunk", "choices": [choice]}
        return b"data: %b\n\n" % orjson.dumps(value)

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        return [self._chunk({"content": piece}) for piece in pieces]

    def think(self, pieces: Sequence[str], signature: str) -> list[bytes]:
        return [self._chunk({"reasoning_content": piece}) for piece in pieces]

    def redacted(self, data: str) -> list[bytes]:
        return []

    def tool(self, name: str, call_id: str | None, pieces: Sequence[str]) -> list[bytes]:
        index = self._tools
        self._tools += 1
        used = f"call_{self._tools}" if call_id is None else call_id
        first = {"index": index, "id": used, "type": "function", "function": {"name": name, "arguments": ""}}
        rest = [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
        return [self._chunk({"tool_calls": [first]}), *[self._chunk(delta) for delta in rest]]

    def ping(self) -> bytes:
        return b": PROCESSING\n\n"

    def error(self, error: dict[str, Any]) -> bytes:
        return b"data: %b\n\n" % orjson.dumps({"error": error})

    def unknown(self) -> bytes:
        return b"event: something_new\ndata: {}\n\n"

    def finish(self, end: str) -> list[bytes]:
        if end == "no_finish":
            return []
        stop = _FINISH_CHAT.get(self.stop, self.stop) or ("tool_calls" if self._tools else "stop")
        cached = self.usage.get("cache_read", 0)
        counts: dict[str, Any] = {
            "prompt_tokens": self.usage.get("input", 0) + cached + self.usage.get("cache_write", 0),
            "completion_tokens": self.usage.get("output", 0),
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": self.usage.get("cache_write", 0),
            },
            "completion_tokens_details": {"reasoning_tokens": self.usage.get("reasoning", 0)},
        }
        if "cost" in self.usage:
            counts["cost"] = self.usage["cost"]
        frames = [self._chunk({}, stop), b"data: %b\n\n" % orjson.dumps({"choices": [], "usage": counts})]
        return frames if end == "no_done" else [*frames, b"data: [DONE]\n\n"]


class Google:
    """A thought's signature comes with the next call, else with an empty text at the end, as at the real service."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.stop = ""
        self._signature = ""
        self._garbled = False

    def begin(self, body: dict[str, Any]) -> list[bytes]:
        return []

    def _chunk(self, parts: list[dict[str, Any]], **more: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **more}
        return b"data: %b\r\n\r\n" % orjson.dumps({"candidates": [candidate], "modelVersion": "fake"})

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        return [self._chunk([{"text": piece}]) for piece in pieces]

    def think(self, pieces: Sequence[str], signature: str) -> list[bytes]:
        frames = [self._chunk([{"text": piece, "thought": True}]) for piece in pieces]
        self._signature = signature
        return frames

    def redacted(self, data: str) -> list[bytes]:
        return self.think([], data)

    def tool(self, name: str, call_id: str | None, pieces: Sequence[str]) -> list[bytes]:
        try:
            arguments = orjson.loads("".join(pieces) or "{}")
        except orjson.JSONDecodeError:
            self._garbled = True
            return []
        call = {"name": name, "args": arguments, **({"id": call_id} if call_id else {})}
        return [self._chunk([self._signed({"functionCall": call})])]

    def _signed(self, part: dict[str, Any]) -> dict[str, Any]:
        signature, self._signature = self._signature, ""
        return {**part, "thoughtSignature": signature} if signature else part

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def error(self, error: dict[str, Any]) -> bytes:
        value = {"code": 503, "message": error.get("message", ""), "status": "UNAVAILABLE"}
        return b"data: %b\n\n" % orjson.dumps({"error": value})

    def unknown(self) -> bytes:
        return b'data: {"somethingNew": 1}\n\n'

    def finish(self, end: str) -> list[bytes]:
        if end == "no_finish":
            return []
        reason = {"max_tokens": "MAX_TOKENS", "refusal": "SAFETY"}.get(self.stop, self.stop.upper() or "STOP")
        if self._garbled:
            reason = "MALFORMED_FUNCTION_CALL"
        counts = {
            "promptTokenCount": self.usage.get("input", 0) + self.usage.get("cache_read", 0),
            "candidatesTokenCount": self.usage.get("output", 0) - self.usage.get("reasoning", 0),
            "thoughtsTokenCount": self.usage.get("reasoning", 0),
            "cachedContentTokenCount": self.usage.get("cache_read", 0),
        }
        parts = [self._signed({"text": ""})] if self._signature else []
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reason}
        return [b"data: %b\r\n\r\n" % orjson.dumps({"candidates": [candidate], "usageMetadata": counts})]


class Bedrock(Anthropic):
    """Anthropic's events, each wrapped into a message of an AWS event stream."""

    content_type = "application/vnd.amazon.eventstream"

    def error(self, error: dict[str, Any]) -> bytes:
        payload = orjson.dumps({"message": error.get("message", "")})
        return message_frame({":message-type": "exception", ":exception-type": "serviceUnavailableException"}, payload)

    def wrap(self, frame: bytes) -> bytes:
        if b"data: " not in frame:
            return frame
        data = frame.partition(b"data: ")[2].rstrip(b"\r\n")
        payload = orjson.dumps({"bytes": base64.b64encode(data).decode(), "p": "abc"})
        return message_frame({":event-type": "chunk", ":message-type": "event"}, payload)


def message_frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an AWS event stream with text headers."""
    head = b"".join(
        [
            struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value.encode())) + value.encode()
            for name, value in headers.items()
        ]
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


DIALECTS: dict[str, type[Anthropic | Responses | Chat | Google | Bedrock]] = {
    "/messages": Anthropic,
    ":streamRawPredict": Anthropic,
    "/responses": Responses,
    "/chat/completions": Chat,
    ":streamGenerateContent": Google,
    "/invoke-with-response-stream": Bedrock,
}
