"""What the floors share: a conversation in memory, one tool, and Anthropic's events. Nothing is checked or stored."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

VIEW = {
    "name": "view",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"file_path": {"type": "string"}}},
}
HEADERS = {"content-type": "application/json", "x-api-key": "none", "anthropic-version": "2023-06-01"}


def request_of(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of a model request."""
    return {"model": "large", "max_tokens": 4096, "stream": True, "tools": [VIEW], "messages": history}


class Answer:
    """One model answer: text goes to `say` at once, a tool call is kept."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.pieces: list[str] = []
        self.tool: dict[str, Any] | None = None
        self._input: list[str] = []
        self.ended = False

    def take(self, value: dict[str, Any]) -> None:
        """One event of the stream."""
        kind = value["type"]
        if kind == "content_block_delta":
            delta = value["delta"]
            if delta["type"] == "text_delta":
                self.text(delta["text"])
            else:
                self._input.append(delta["partial_json"])
        elif kind == "content_block_start" and value["content_block"]["type"] == "tool_use":
            self.tool = dict(value["content_block"])
        elif kind == "message_stop":
            self.end()

    def text(self, text: str) -> None:
        """A text delta."""
        self.pieces.append(text)
        self._say(text)

    def input(self, piece: str) -> None:
        """A piece of the tool's input."""
        self._input.append(piece)

    def end(self) -> None:
        """The answer is whole."""
        self.ended = True
        if self.tool is not None:
            self.tool["input"] = orjson.loads("".join(self._input))


class EventStream:
    """Cuts server-sent events out of bytes and gives their JSON to an Answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        """More bytes of the body."""
        *frames, self._buffer = (self._buffer + data).split(b"\n\n")
        for frame in frames:
            at = frame.find(b"data: ")
            if at >= 0:
                self._answer.take(orjson.loads(frame[at + 6 :]))


Ask = Callable[[list[dict[str, Any]], Answer], Awaitable[None]]
"""Send the history to the model and feed the answer."""


async def turn(history: list[dict[str, Any]], prompt: str, ask: Ask, say: Callable[[str], None]) -> str:
    """A whole turn, tool included; the last answer's text."""
    history.append({"role": "user", "content": prompt})
    while True:
        answer = Answer(say)
        await ask(history, answer)
        text = "".join(answer.pieces)
        if answer.tool is None:
            history.append({"role": "assistant", "content": text})
            return text
        call = answer.tool
        history.append({"role": "assistant", "content": [call]})
        lines = Path(call["input"]["file_path"]).read_text().splitlines()
        content = "\n".join(f"{number:6}|{line}" for number, line in enumerate(lines, 1))
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": content}
        history.append({"role": "user", "content": [result]})


def chunk_params(session_id: str, text: str) -> dict[str, Any]:
    """Params of `agent/event` for a piece of text."""
    update = {"sessionUpdate": "agent_message_chunk", "messageId": "m", "content": {"type": "text", "text": text}}
    return {"sessionId": session_id, "runId": None, "seq": 1, "chunk": 1, "update": update}


def complete_params(session_id: str, run_id: str | None, text: str, reason: str) -> dict[str, Any]:
    """Params of `agent/runComplete`."""
    return {"sessionId": session_id, "runId": run_id, "seq": 2, "text": text, "stopReason": reason, "error": None}
