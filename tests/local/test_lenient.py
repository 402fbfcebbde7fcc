"""Calls written as text: what counts, what does not, and that no text is lost however it arrives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.providers.lenient_parser import Piece, Text, TextCalls, WrittenCall

NAMES = ("view", "edit", "grep")
CALL = '{"name": "view", "arguments": {"file_path": "src/a.py"}}'


def read(*chunks: str) -> list[Piece]:
    parser = TextCalls(NAMES)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    return joined(pieces + parser.end())


def joined(pieces: list[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and out and isinstance(out[-1], Text):
            out[-1] = Text(out[-1].text + piece.text)
        else:
            out.append(piece)
    return out


def whole(pieces: list[Piece]) -> str:
    return "".join([piece.text if isinstance(piece, Text) else piece.raw for piece in pieces])


def calls(pieces: list[Piece]) -> list[tuple[str, dict]]:
    return [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, WrittenCall)]


WRITTEN = [
    CALL,
    f"```json\n{CALL}\n```",
    f"```\n{CALL}\n```\n",
    f"I will look.\n\n```json\n{CALL}\n```",
    f"<tool_call>\n{CALL}\n</tool_call>",
    f"Sure. <tool_call>{CALL}</tool_call>",
    f"<tool_call>\n{CALL}",
    f"```json\n{CALL}",
    f"[{CALL}]",
    '{"tool": "view", "parameters": {"file_path": "src/a.py"}}',
    '{"type": "function", "function": {"name": "view", "arguments": "{\\"file_path\\": \\"src/a.py\\"}"}}',
    'view(file_path="src/a.py")',
    '```tool_code\nview(file_path="src/a.py")\n```',
    "<tool_call>\n<function=view>\n<parameter=file_path>\nsrc/a.py\n</parameter>\n</function>\n</tool_call>",
    '<function=view>{"file_path": "src/a.py"}</function>',
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_call_is_found_however_it_is_written(text):
    pieces = read(text)
    assert calls(pieces) == [("view", {"file_path": "src/a.py"})]
    assert whole(pieces) == text


@pytest.mark.parametrize("text", WRITTEN)
def test_a_call_is_found_when_it_arrives_letter_by_letter(text):
    assert read(*text) == read(text)


def test_several_calls_come_in_their_order():
    second = '{"name": "grep", "arguments": {"pattern": "x"}}'
    for text in (f"{CALL}\n{second}", f"```json\n[{CALL}, {second}]\n```", f"```json\n{CALL}\n{second}\n```"):
        assert [name for name, _ in calls(read(text))] == ["view", "grep"], text


PLAIN = [
    '{"name": "rm_rf", "arguments": {}}',
    '```json\n{"name": "delete_everything", "arguments": {"path": "/"}}\n```',
    '{"port": 8080, "name": "view"}',
    "```python\ndef view(file_path):\n    return 1\n```\nand then text",
    '```json\n{"name": "view"',
    "Use view(...) to look at it.",
    'The call `view(file_path="a")` is an example.',
    "a < b and <b>bold</b>",
    "{",
    "```",
    "``",
    "[1, 2, 3]\n",
    "view(open('x').read())",
    'view(file_path=__import__("os").system("x"))',
    "| a | b |\n|---|---|\n",
    '```json\n{"a": 1}\n```\nText after.',
]


@pytest.mark.parametrize("text", PLAIN)
def test_everything_else_stays_text_to_the_letter(text):
    assert read(text) == [Text(text)]
    assert read(*text) == [Text(text)]


def test_plain_text_is_not_held_back():
    parser = TextCalls(NAMES)
    assert parser.feed("The function adds") == [Text("The function adds")]
    assert parser.feed(" two numbers.\n") == [Text(" two numbers.\n")]
    assert whole(parser.feed("```python\ndef f")) == "```python\ndef f"
    assert whole(parser.feed("():\n    return 1\n")).startswith("():\n    return 1")


def test_a_block_that_is_no_call_is_let_go_at_its_first_key():
    parser = TextCalls(NAMES)
    out = parser.feed('```json\n{"port": 80')
    assert whole(out) == '```json\n{"port": 80'


FRAGMENTS = st.sampled_from(
    [*WRITTEN, *PLAIN, "\n", " ", "```", "{", "}", "[", '"', "<tool_call>", "</tool_call>", "view(", ")", "text ", "\\"]
)


@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=12)), max_size=8), st.data())
def test_no_text_is_lost_whatever_comes_and_however_it_is_cut(fragments, data):
    text = "".join(fragments)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    pieces = read(*chunks)
    assert whole(pieces) == text
    assert all(
        piece.name in NAMES and isinstance(json.loads(piece.arguments), dict)
        for piece in pieces
        if isinstance(piece, WrittenCall)
    )
    assert calls(pieces) == calls(read(text))
