"""A command as a person must see it before it runs: hidden characters shown, both ends of a long one. Pure."""

import unicodedata

MAX_SHOWN_CHARS = 4_000
_NAMED = {"\x1b": "\\x1b", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\x7f": "\\x7f"}


def visible(command: str) -> tuple[str, bool]:
    """The command with everything invisible written out, and whether there was any such thing.

    Line breaks and tabs stay. Runs of more than eight spaces are counted, so that nothing can be pushed out of sight.
    """
    parts: list[str] = []
    hidden = False
    for char in command:
        if char in "\n\t" or (char.isprintable() and not _is_odd_space(char)):
            parts.append(char)
        else:
            hidden = True
            parts.append(
                _NAMED.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{{{ord(char):04x}}}")
            )
    text, squeezed = _count_spaces("".join(parts))
    if len(text) > MAX_SHOWN_CHARS:
        half = MAX_SHOWN_CHARS // 2
        text = f"{text[:half]}\n… [{len(text) - 2 * half} characters not shown] …\n{text[-half:]}"
    return text, hidden or squeezed


def one_line(command: str, limit_chars: int = 160) -> str:
    """For a title: one line, and of a long one both ends."""
    text = " ⏎ ".join(visible(command)[0].split("\n")).replace("\t", " ")
    if len(text) <= limit_chars:
        return text
    half = (limit_chars - 3) // 2
    return f"{text[:half]} … {text[-half:]}"


def _is_odd_space(char: str) -> bool:
    return (char != " " and unicodedata.category(char) in ("Zs", "Zl", "Zp")) or unicodedata.category(char) == "Cf"


def _count_spaces(text: str) -> tuple[str, bool]:
    out: list[str] = []
    run = 0
    squeezed = False
    for char in text + "\0":
        if char == " ":
            run += 1
            continue
        if run > 8:
            squeezed = True
            out.append(f" ⟨{run} spaces⟩ ")
        else:
            out.append(" " * run)
        run = 0
        out.append(char)
    return "".join(out[:-1]), squeezed
