"""Traps of stock pygls 2.1.1 that we work around. A failure here is good news: a work-around can go."""

import asyncio
import json
from typing import Any

import pytest

FIXED = "upstream has fixed {}: remove our work-around"


@pytest.mark.parametrize("separator", ["\f", "\v", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_text_documents_still_split_lines_where_lsp_does_not(separator: str) -> None:
    from pygls.workspace import TextDocument

    document = TextDocument("file:///a.py", source=f"a{separator}b\n")
    assert len(document.lines) == 2, FIXED.format("line splitting in TextDocument.lines (server/documents)")


class _Writer:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self.messages += [json.loads(part) for part in data.split(b"\r\n\r\n")[1:]]

    def close(self) -> None:
        """Nothing to close."""


async def _answers(body: bytes) -> list[dict[str, Any]]:
    """What a stock pygls server answers to one message, the way its own reading loop treats it."""
    from pygls.lsp.server import LanguageServer

    server = LanguageServer("canary", "1")
    writer = _Writer()
    server.protocol.set_writer(writer)
    for data in (_initialize(), body):
        try:
            message = json.loads(data, object_hook=server.protocol.structure_message)
            server.protocol.handle_message(message)
        except Exception as error:
            writer.messages.append({"raised": type(error).__name__})
        await asyncio.sleep(0)
    server.shutdown()
    return writer.messages


def _initialize() -> bytes:
    params = {"processId": None, "rootUri": None, "capabilities": {}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode()


def _answered(messages: list[dict[str, Any]], request_id: int) -> bool:
    return any(message.get("id") == request_id for message in messages)


async def test_a_well_formed_request_is_answered_so_that_this_canary_sings() -> None:
    messages = await _answers(b'{"jsonrpc":"2.0","id":7,"method":"shutdown","params":null}')
    assert _answered(messages, 1)
    assert _answered(messages, 7)


async def test_params_that_do_not_fit_still_get_no_answer() -> None:
    messages = await _answers(b'{"jsonrpc":"2.0","id":7,"method":"textDocument/hover","params":{"position":5}}')
    assert not _answered(messages, 7), FIXED.format("unanswered requests with bad params (wire/rpc)")


async def test_a_nested_jsonrpc_key_still_loses_the_request() -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "workspace/executeCommand"}
    body["params"] = {"command": "x", "arguments": [{"jsonrpc": "2.0", "id": 1, "method": "y"}]}  # type: ignore[assignment]
    messages = await _answers(json.dumps(body).encode())
    assert not _answered(messages, 7), FIXED.format("object_hook on nested objects (wire/json_decode)")


async def test_a_batch_still_gets_no_refusal() -> None:
    messages = await _answers(b'[{"jsonrpc":"2.0","id":7,"method":"shutdown"}]')
    errors = [m["error"]["code"] for m in messages if "error" in m]
    assert -32600 not in errors, FIXED.format("unanswered batches (wire/rpc)")


async def test_a_second_initialize_and_a_request_before_it_are_still_not_refused() -> None:
    messages = await _answers(_initialize().replace(b'"id": 1', b'"id": 7'))
    errors = [m["error"]["code"] for m in messages if "error" in m]
    assert -32600 not in errors, FIXED.format("the lifecycle of initialize (wire/admission)")


def test_writing_is_still_done_on_the_calling_thread() -> None:
    import inspect

    from pygls.io_ import StdoutWriter

    source = inspect.getsource(StdoutWriter.write)
    assert "flush" in source, FIXED.format("synchronous writes to stdout (wire/writer)")
