"""Tool calls that a model wrote as text, found while the text streams. Pure.

Models that were not taught the server's way of calling write it as they saw it somewhere: a ```json block, a bare
object, `<tool_call>` tags, `name(argument="…")`. What may become a call is held back until it is one or cannot be one.
Only names of tools that were offered count; everything else is text, and no character of it is lost or moved.
"""

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

HELD_CHARS = 200_000
"""More is not held back for a call that does not end."""
_NAME_KEYS = ("name", "tool", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")
_CALL_KEYS = frozenset({*_NAME_KEYS, *_ARGUMENT_KEYS, "type", "id"})
_FENCE_WORDS = frozenset({"", "json", "tool_call", "tool_calls", "tool_code", "tool", "python", "xml"})
_TAGS = {"<tool_call>": "</tool_call>", "<function=": "</function>", "<|tool_call|>": "<|/tool_call|>"}
_FIRST_KEY = re.compile(r'\s*\[?\s*\{\s*"((?:[^"\\]|\\.)*)"')
_FIRST_KEY_MAYBE = re.compile(r'\s*(\[\s*)?(\{\s*("(?:[^"\\]|\\.)*)?)?$')
_XML_FUNCTION = re.compile(r"^\s*<function=([\w.-]+)>\s*(.*?)\s*(?:</function>)?\s*$", re.DOTALL)
_XML_PARAMETER = re.compile(r"<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is no call."""

    text: str


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call; `arguments` is a JSON object as text, `raw` what the model wrote (empty but for the first of several)."""

    name: str
    arguments: str
    raw: str


Piece = Text | WrittenCall


class TextCalls:
    """The parser of one answer. `names`: the tools that were offered."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._held = ""
        self._line_start = True
        self._fence = ""
        """The mark that closes the block of code we are in."""

    def feed(self, text: str) -> list[Piece]:
        """Everything that is certain now."""
        self._held += text
        return self._take(final=False)

    def end(self) -> list[Piece]:
        """The rest. A call that lacks only its end is one."""
        return self._take(final=True)

    # ------------------------------------------------------------------------------------------------------- walking

    def _take(self, *, final: bool) -> list[Piece]:
        out: list[Piece] = []
        while self._held:
            if self._fence:
                if not self._in_fence(out, final=final):
                    break
                continue
            begin, certain = self._candidate()
            if begin is None:
                self._emit(out, len(self._held))
                break
            if begin:
                self._emit(out, begin)
            if not certain:
                # the beginning of something, at the end of what there is
                if final:
                    self._emit(out, len(self._held))
                break
            if not self._resolve(out, final=final):
                break
        return out

    def _emit(self, out: list[Piece], size: int) -> None:
        text, self._held = self._held[:size], self._held[size:]
        if not text:
            return
        line = text.rpartition("\n")[2]
        self._line_start = not line.strip() and ("\n" in text or self._line_start)
        if out and isinstance(out[-1], Text):
            out[-1] = Text(out[-1].text + text)
        else:
            out.append(Text(text))

    def _in_fence(self, out: list[Piece], *, final: bool) -> bool:
        """Pass on the text of a block of code that holds no call. False = wait for more."""
        end = re.search(rf"(?:^|\n)[ \t]*{re.escape(self._fence)}[ \t]*(?=\n|$)", self._held)
        if end is not None and (final or end.end() < len(self._held)):
            self._fence = ""
            self._emit(out, end.end())
            return True
        # the closing mark may be under way
        line = self._held.rfind("\n")
        tail = self._held[line + 1 :].strip(" \t")
        waits = not final and len(tail) <= len(self._fence) and self._fence.startswith(tail)
        self._emit(out, max(line, 0) if waits else len(self._held))
        return bool(self._held) and not waits

    # -------------------------------------------------------------------------------------------------- where it begins

    def _candidate(self) -> tuple[int | None, bool]:
        """(where something begins that may be a call, whether that is certain enough to look into)."""
        found = [where for tag in _TAGS if (where := self._held.find(tag)) >= 0]
        certain = bool(found)
        best = min(found) if found else self._partial_tag()
        at, at_certain = self._at_line_start()
        if at is not None and (best is None or at <= best):
            best, certain = at, at_certain
        return best, certain

    def _partial_tag(self) -> int | None:
        at = self._held.rfind("<")
        rest = self._held[at:] if at >= 0 else ""
        return at if rest and any(tag.startswith(rest) for tag in _TAGS) else None

    def _at_line_start(self) -> tuple[int | None, bool]:
        at, first = 0, self._line_start
        while at <= len(self._held):
            line = self._held[at:].split("\n", 1)[0]
            if at or first:
                opener = line.lstrip(" \t")
                where = at + len(line) - len(opener)
                ends = where + len(opener) == len(self._held)
                if opener.startswith(("{", "[{", "```")) or any(opener.startswith(f"{name}(") for name in self._names):
                    return where, True
                if ends and opener and self._may_grow(opener):
                    return where, False
            at += len(line) + 1
        return None, False

    def _may_grow(self, opener: str) -> bool:
        return "```".startswith(opener) or opener == "[" or any(f"{name}(".startswith(opener) for name in self._names)

    # ---------------------------------------------------------------------------------------------------- what it is

    def _resolve(self, out: list[Piece], *, final: bool) -> bool:
        """`_held` begins with a candidate: turn it into calls or text. False = wait for more."""
        held = self._held
        if len(held) > HELD_CHARS:
            final = True
        if held.startswith("```"):
            return self._resolve_fence(out, final=final)
        tag = next((tag for tag in _TAGS if held.startswith(tag)), None)
        if tag is not None:
            return self._resolve_tag(out, tag, final=final)
        if held[0] in "{[":
            return self._resolve_json(out, final=final)
        return self._resolve_python(out, final=final)

    def _resolve_tag(self, out: list[Piece], tag: str, *, final: bool) -> bool:
        closing = _TAGS[tag]
        end = self._held.find(closing)
        if end < 0 and not final:
            return False
        size = len(self._held) if end < 0 else end + len(closing)
        inner = self._held[: size if tag == "<function=" else (end if end >= 0 else size)]
        inner = inner if tag == "<function=" else inner[len(tag) :]
        return self._calls_or_text(out, self._read(inner), size, len(tag))

    def _resolve_fence(self, out: list[Piece], *, final: bool) -> bool:
        first, newline, rest = self._held.partition("\n")
        if not newline:
            word = first.strip("`").strip().lower()
            if final or (word and not any(known.startswith(word) for known in _FENCE_WORDS)):
                return self._open_fence(out, first)
            return False
        if first.strip("`").strip().lower() not in _FENCE_WORDS or not self._may_be_call(rest):
            return self._open_fence(out, first)
        mark = first[: len(first) - len(first.lstrip("`"))]
        end = re.search(rf"(?:^|\n)[ \t]*{mark}[ \t]*(?=\n|$)", rest)
        if end is None or (not final and end.end() == len(rest) and not rest.endswith("\n")):
            if not final:
                return False
            body, size = (rest, len(self._held)) if end is None else (rest[: end.start()], len(self._held))
            if end is not None:
                size = len(first) + 1 + end.end()
        else:
            body, size = rest[: end.start()], len(first) + 1 + end.end()
        calls = self._read(body)
        return self._calls_or_text(out, calls, size, 0) if calls else self._open_fence(out, first)

    def _open_fence(self, out: list[Piece], first: str) -> bool:
        """A block of code without a call: it is passed on as it comes."""
        self._fence = first[: len(first) - len(first.lstrip("`"))]
        self._emit(out, min(len(first) + 1, len(self._held)))
        return True

    def _resolve_json(self, out: list[Piece], *, final: bool) -> bool:
        size = _balanced(self._held)
        if size is None:
            if not final and self._may_be_call(self._held):
                return False
            return self._as_text(out, 1)
        return self._calls_or_text(out, self._read(self._held[:size]), size, 1)

    def _resolve_python(self, out: list[Piece], *, final: bool) -> bool:
        at = self._held.index("(")
        size = _balanced(self._held[at:], "(", ")")
        if size is None:
            return False if not final else self._as_text(out, at + 1)
        return self._calls_or_text(out, self._read(self._held[: at + size]), at + size, at + 1)

    def _calls_or_text(self, out: list[Piece], calls: list[tuple[str, str]], size: int, skip: int) -> bool:
        if not calls:
            return self._as_text(out, skip or size)
        raw, self._held = self._held[:size], self._held[size:]
        self._line_start = False
        for name, arguments in calls:
            out.append(WrittenCall(name, arguments, raw))
            raw = ""
        return True

    def _as_text(self, out: list[Piece], size: int) -> bool:
        """The first characters are text; looking goes on behind them."""
        self._emit(out, size)
        self._line_start = False
        return True

    def _may_be_call(self, body: str) -> bool:
        """Whether the beginning of a block can still turn into a call."""
        start = body.lstrip()
        if not start:
            return True
        if start[0] in "{[":
            key = _FIRST_KEY.match(body)
            return key[1] in _CALL_KEYS if key is not None else _FIRST_KEY_MAYBE.match(body) is not None
        if start[0] == "<":
            return any(tag.startswith(start[: len(tag)]) for tag in _TAGS)
        head = start.partition("(")[0]
        return any(name == head if "(" in start else name.startswith(head) for name in self._names)

    def _read(self, body: str) -> list[tuple[str, str]]:
        """(name, arguments as JSON) of the calls that `body` is; empty when it is anything else as well."""
        body = body.strip()
        for tag, closing in _TAGS.items():
            if tag != "<function=" and body.startswith(tag) and body.endswith(closing):
                body = body[len(tag) : -len(closing)].strip()
        xml = _XML_FUNCTION.match(body)
        if xml is not None:
            return self._read_xml(xml[1], xml[2])
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._read_lines(body) if body[:1] == "{" else self._read_python(body)
        items = value if isinstance(value, list) else [value]
        calls = [self._call_of(item) for item in items]
        return [call for call in calls if call is not None] if calls and all(calls) else []

    def _read_lines(self, body: str) -> list[tuple[str, str]]:
        """Several objects, one after another."""
        calls: list[tuple[str, str]] = []
        while body:
            size = _balanced(body) if body[0] == "{" else None
            try:
                call = self._call_of(orjson.loads(body[:size])) if size else None
            except orjson.JSONDecodeError:
                call = None
            if call is None:
                return []
            calls.append(call)
            body = body[size:].strip().removeprefix(",").strip()
        return calls

    def _read_xml(self, name: str, body: str) -> list[tuple[str, str]]:
        if name not in self._names:
            return []
        found = _XML_PARAMETER.findall(body)
        if found:
            return [(name, orjson.dumps({key: _scalar(value) for key, value in found}).decode())]
        try:
            value = orjson.loads(body or "{}")
        except orjson.JSONDecodeError:
            return []
        return [(name, orjson.dumps(value).decode())] if isinstance(value, dict) else []

    def _read_python(self, body: str) -> list[tuple[str, str]]:
        try:
            tree = ast.parse(body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
        calls = []
        for node in tree.body:
            value = node.value if isinstance(node, ast.Expr) else None
            if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.args:
                return []
            if value.func.id not in self._names:
                return []
            try:
                arguments = {str(item.arg): ast.literal_eval(item.value) for item in value.keywords if item.arg}
                calls.append((value.func.id, orjson.dumps(arguments).decode()))
            except (ValueError, TypeError):
                return []
        return calls

    def _call_of(self, value: object) -> tuple[str, str] | None:
        """`{"name", "arguments"}` in one of its spellings."""
        if not isinstance(value, Mapping):
            return None
        inner = value.get("function")
        if isinstance(inner, Mapping):
            value = inner
        name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), "")
        arguments: Any = next((value[key] for key in _ARGUMENT_KEYS if key in value), None)
        if name not in self._names or (arguments is None and set(value) - _CALL_KEYS):
            return None
        if isinstance(arguments, str):
            try:
                arguments = orjson.loads(arguments)
            except orjson.JSONDecodeError:
                return None
        if arguments is None:
            arguments = {}
        return (name, orjson.dumps(arguments).decode()) if isinstance(arguments, dict) else None


def _balanced(text: str, opening: str = "", closing: str = "") -> int | None:
    """Size of the bracketed piece that `text` begins with, strings respected; None when it does not end."""
    pairs = {opening: closing} if opening else {"{": "}", "[": "]"}
    quotes = "\"'" if opening else '"'
    depth, quote, at = 0, "", 0
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in quotes:
            quote = char
        elif char in pairs:
            depth += 1
        elif char in pairs.values():
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return None


def _scalar(text: str) -> object:
    """A parameter without quotes: numbers, true, false and structures are what they look like, all else is text."""
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float | list | dict) else text
