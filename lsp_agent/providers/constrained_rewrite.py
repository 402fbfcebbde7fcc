"""Finding a function in a text, and taking a rewritten one out of a model's answer. Pure.

Python is read with its own parser, and by indentation where that fails (a piece of a file); languages with braces by
matching them outside strings and comments. What cannot be found is not guessed: the user's selection is taken, or the
whole text when it is short.
"""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PYTHON = frozenset({"py", "pyi", "pyw"})
_BRACES = frozenset(
    "c cc cpp cs cxx dart go h hpp java js jsx kt mjs php rs scala swift ts tsx zig css scss".split()  # noqa: SIM905
)
_HASH_COMMENTS = frozenset({"php", "sh"})
_DEFINITION = re.compile(r"^(?P<indent>[ \t]*)(?:async[ \t]+)?(?P<kind>def|class)[ \t]+(?P<name>\w+)")
_BRACED = re.compile(
    r"^[ \t]*+(?!(?:if|for|while|switch|catch|else|return|do|try|match|loop|unsafe)\b)[^=;#/\n]*?"
    r"(?:\b(?:function|func|fn|class|struct|interface|impl|enum|trait)\s+(?:\([^)]*\)\s*)?(?P<named>\w+)"
    r"|(?P<called>\w+)\s*\([^;{}]*\))[^;{}=]*\{",
    re.MULTILINE,
)
_ARROW = re.compile(
    r"^[ \t]*(?:export\s+)?(?:const|let|var)\s+(?P<name>\w+)\s*=\s*(?:async\s*)?\([^)]*\)[^={]*=>\s*\{", re.MULTILINE
)
_FENCE = re.compile(r"^(?P<fence>`{3,})[^\n]*\n(?P<body>.*?)(?:^(?P=fence)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_SHORT_LINES = 80
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_TABS_AND_SPACES = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Part:
    """A named piece of a text: lines `start` to `end`, zero-based, half-open."""

    name: str
    start: int
    end: int

    def text(self, lines: Sequence[str]) -> str:
        """Its text."""
        return "\n".join(lines[self.start : self.end])


def parts_of(lines: Sequence[str], path: str) -> list[Part]:
    """Functions, methods and classes in order; methods as `Class.method`. A class stands after what is in it."""
    suffix = _suffix(path)
    if suffix in _PYTHON:
        return _python_parts(lines)
    return _braced_parts(lines, suffix) if suffix in _BRACES else []


def selected(lines: Sequence[str], parts: Sequence[Part], start: int, end: int) -> Part | None:
    """The smallest part that holds lines `start` to `end` (inclusive), else exactly those lines."""
    around = [part for part in parts if part.start <= start and end < part.end]
    if around:
        return min(around, key=lambda part: part.end - part.start)
    start, end = max(start, 0), min(end + 1, len(lines))
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return Part("the selection", start, end) if start < end else None


def whole(lines: Sequence[str]) -> Part | None:
    """Everything, when it is short enough to be written again."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return Part("the whole file", 0, end) if 0 < end <= _SHORT_LINES else None


def mentioned(question: str, parts: Sequence[Part]) -> list[Part]:
    """Parts whose name stands in the question; of two that say the same the more exact."""
    found = [part for part in parts if re.search(rf"(?<!\w){re.escape(part.name.rpartition('.')[2])}(?!\w)", question)]
    exact = [part for part in found if "." in part.name and part.name in question]
    return exact or found


def likely(question: str, parts: Sequence[Part], lines: Sequence[str]) -> list[Part]:
    """The innermost parts that hold the most words of the question which not all of them hold."""
    inner = [
        part for part in parts if not any(part.start <= o.start and o.end <= part.end and o != part for o in parts)
    ]
    words = {part: set(_WORD.findall(part.text(lines))) for part in inner}
    if len(inner) < 2:
        return inner
    telling = set(_WORD.findall(question)) - set.intersection(*words.values())
    score = {part: len(telling & words[part]) for part in inner}
    best = max(score.values())
    return [part for part in inner if score[part] == best] if best else []


def code_of(answer: str) -> str | None:
    """The code in a model's answer: its longest fenced block, else the whole when it has no fence. None = nothing."""
    blocks = [match["body"] for match in _FENCE.finditer(answer)]
    code = max(blocks, key=len) if blocks else ("" if "```" in answer else answer)
    code = code.strip("\n").rstrip()
    return code if code.strip() else None


def fitted(old: str, answer: str, path: str, name: str) -> tuple[str | None, str]:
    """(the new text of a part, or None; why not). Indented as the old one, without what the model put around it.

    An answer that changes nothing gives the old text.
    """
    code = code_of(answer)
    if code is None:
        return None, "the answer held no code"
    suffix = _suffix(path)
    bare = name.rpartition(".")[2]
    if suffix in _PYTHON:
        code = _python_only(code, bare) if bare.isidentifier() else code
    elif suffix in _BRACES and bare.isidentifier():
        found = [part for part in parts_of(code.split("\n"), path) if part.name == bare]
        code = found[0].text(code.split("\n")) if len(found) == 1 else code
    new = _indented(code, _indent_of(old))
    if new == old:
        return new, "it came back unchanged"
    trouble = _trouble(old, new, suffix, bare)
    return (None, trouble) if trouble else (new, "")


def unique(lines: Sequence[str], part: Part) -> Part:
    """`part`, with lines around it until its text occurs once in `lines`."""
    text = "\n".join(lines)
    start, end = part.start, part.end
    while text.count("\n".join(lines[start:end])) > 1 and (start > 0 or end < len(lines)):
        start, end = max(start - 1, 0), min(end + 1, len(lines))
    return Part(part.name, start, end)


# ------------------------------------------------------------------------------------------------------------ python


def _python_parts(lines: Sequence[str]) -> list[Part]:
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _indented_parts(lines)
    return list(_nodes(tree.body, ""))


def _nodes(body: Sequence[ast.stmt], prefix: str) -> Iterator[Part]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if isinstance(node, ast.ClassDef):
                yield from _nodes(node.body, f"{prefix}{node.name}.")
            first = min([node.lineno, *[item.lineno for item in node.decorator_list]])
            yield Part(prefix + node.name, first - 1, node.end_lineno or node.lineno)


def _indented_parts(lines: Sequence[str]) -> list[Part]:
    """By indentation, for a piece of a file that does not parse by itself."""
    found = []
    for at, line in enumerate(lines):
        match = _DEFINITION.match(line)
        if match is None:
            continue
        depth, end = len(match["indent"]), at + 1
        last = end
        while end < len(lines) and (
            not lines[end].strip() or _depth(lines[end]) > depth or lines[end].startswith(match["indent"] + ")")
        ):
            last = end + 1 if lines[end].strip() else last
            end += 1
        start = at
        while start and lines[start - 1].startswith(match["indent"] + "@"):
            start -= 1
        found.append(Part(match["name"], start, last))
    return found


def _python_only(code: str, name: str) -> str:
    """The one definition that was asked for, when the answer holds more."""
    lines = textwrap.dedent(code).split("\n")
    found = [part for part in _python_parts(lines) if part.name.rpartition(".")[2] == name]
    return found[0].text(lines) if len(found) == 1 else "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------ braces


def _braced_parts(lines: Sequence[str], suffix: str) -> list[Part]:
    text = "\n".join(lines)
    quiet = _quiet(text, suffix)
    found = []
    for pattern in (_BRACED, _ARROW):
        for match in pattern.finditer(quiet):
            end = _closing(quiet, match.end() - 1)
            if end is not None:
                named = match.groupdict()
                name = named.get("named") or named.get("called") or named.get("name") or ""
                first = quiet.count("\n", 0, match.start() + len(match[0]) - len(match[0].lstrip("\n")))
                found.append(Part(name, first, quiet.count("\n", 0, end) + 1))
    return sorted({(part.name, part.start): part for part in found}.values(), key=lambda part: (part.end, -part.start))


def _quiet(text: str, suffix: str) -> str:
    """`text` with strings and comments blanked out, line for line and character for character."""
    hashes = r"|\#[^\n]*" if suffix in _HASH_COMMENTS else ""
    pattern = rf"//[^\n]*|/\*.*?\*/{hashes}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n]){{0,200}}'|`(?:\\.|[^`\\])*`"
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)


def _closing(quiet: str, opening: int) -> int | None:
    depth = 0
    for at in range(opening, len(quiet)):
        if quiet[at] == "{":
            depth += 1
        elif quiet[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    return None


# ----------------------------------------------------------------------------------------------------------- fitting


def _suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()


def _depth(line: str) -> int:
    match = _TABS_AND_SPACES.match(line)
    return len(match[0]) if match else 0


def _indent_of(text: str) -> str:
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first[: _depth(first)]


def _indented(code: str, indent: str) -> str:
    lines = textwrap.dedent(code).split("\n")
    first = next((line for line in lines if line.strip()), "")
    extra = _depth(first)
    # a model may indent the first line only, or everything but the first line
    if extra:
        lines = [line[extra:] if line[:extra].isspace() else line for line in lines]
    return "\n".join([indent + line if line.strip() else "" for line in lines])


def _trouble(old: str, new: str, suffix: str, name: str) -> str:
    """Why the new text cannot be right; empty when nothing speaks against it."""
    if len(new) > 8 * len(old) + 4000:
        return "it is far longer than what it replaces"
    if suffix in _PYTHON:
        defined = _defined(new)
        if defined is None and _defined(old) is not None:
            return "it is not valid Python"
        if name.isidentifier() and defined is not None and name not in defined:
            return f"it does not define {name} any more"
    elif suffix in _BRACES:
        quiet = _quiet(new, suffix)
        if any(quiet.count(left) != quiet.count(right) for left, right in ("{}", "()", "[]")):
            return "its brackets do not match"
    return ""


def _defined(text: str) -> set[str] | None:
    """What a piece of Python defines; None when it is no Python."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}
