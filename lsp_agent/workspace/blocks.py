"""The block of code around a line, found without a parser.

A heuristic for every language whose code is indented: the nearest line above that is indented less and looks like a
definition opens the block, everything indented more belongs to it, and a closing line at its own depth ends it. Where
nothing looks like a definition the nearest enclosing block of any kind is taken, and at the top level the paragraph.
"""

import re

_DEFINITION = re.compile(
    r"\s*(?:@\w|(?:(?:pub(?:\([^)]*\))?|public|private|protected|internal|static|final|abstract|async|export|default|"
    r"unsafe|override|virtual|inline|const|open|sealed|data|declare)\s+)*"
    r"(?:def|class|fn|func|function|fun|impl|struct|enum|interface|trait|module|mod|namespace|type|record|object|"
    r"sub|proc|macro_rules!|protocol|extension|describe|it|test)\b)"
    r"|\s*[\w<>\[\],:*&~ ]+\([^;]*\)\s*(?:const\s*)?\{\s*$"
)
_CLOSER = re.compile(r"\s*(?:[)\]}]|end\b|fi\b|done\b|esac\b)")
_CONTROL = re.compile(
    r"\s*(?:[})]\s*)?(?:if|else|elif|for|while|switch|try|catch|except|finally|with|do|return|case)\b"
)
_OPENER = re.compile(r"\s*[{(\[]+\s*$")
_DECORATOR = re.compile(r"\s*(?:@\w|#\[)")


def enclosing_block(lines: list[str], line: int) -> tuple[int, int]:
    """First and last line (zero-based, inclusive) of the definition around `line`. `lines` is not empty."""
    line = max(0, min(line, len(lines) - 1))
    while line > 0 and not lines[line].strip():
        line -= 1
    header = _header(lines, line)
    if header is None:
        return _paragraph(lines, line)
    start, end = header, _end(lines, header)
    while start > 0 and _DECORATOR.match(lines[start - 1]) and _depth(lines[start - 1]) == _depth(lines[header]):
        start -= 1
    return start, end


def _depth(line: str) -> int:
    """Columns of white space before the text, a tab as four."""
    body = line.expandtabs(4)
    return len(body) - len(body.lstrip())


def _is_definition(line: str) -> bool:
    return _DEFINITION.match(line) is not None and _CONTROL.match(line) is None and not _DECORATOR.match(line)


def _header(lines: list[str], line: int) -> int | None:
    """The line that opens the block: the nearest enclosing definition, else the nearest enclosing line of any kind."""
    while _DECORATOR.match(lines[line]) and line + 1 < len(lines):
        line += 1
    if _is_definition(lines[line]):
        return line
    nearest: int | None = None
    depth = _depth(lines[line])
    closes = _CLOSER.match(lines[line]) is not None
    for above in range(line - 1, -1, -1):
        text = lines[above]
        if not text.strip() or _OPENER.match(text):
            continue
        here = _depth(text)
        if here < depth or (closes and here == depth):
            if _is_definition(text):
                return above
            nearest = above if nearest is None and not _CLOSER.match(text) else nearest
            depth, closes = min(depth, here), here <= depth and _CLOSER.match(text) is not None
        if depth == 0 and not closes:
            break
    return nearest


def _end(lines: list[str], header: int) -> int:
    depth = _depth(lines[header])
    end = header
    for below in range(header + 1, len(lines)):
        text = lines[below]
        if not text.strip():
            continue
        here = _depth(text)
        if here > depth or (here == depth and _OPENER.match(text)):
            end = below
            continue
        if here == depth and _CLOSER.match(text):
            end = below
            if not text.rstrip().endswith(("{", ":", "(", "[")):
                break
            continue
        break
    return end


def _paragraph(lines: list[str], line: int) -> tuple[int, int]:
    start = end = line
    while start > 0 and lines[start - 1].strip():
        start -= 1
    while end + 1 < len(lines) and lines[end + 1].strip():
        end += 1
    return start, end
