"""Typing into a large open document: 1,000 single-character changes, beside copying the text once a change.

Run: `.venv/bin/python benchmarks/documents.py [megabytes]`. Prints min/median/max over rounds, in milliseconds, for
each shape of text, and checks the result byte for byte against plain string surgery.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lsp_agent.server.documents import OpenDocuments

ROUNDS = 5
CHANGES = 1_000
SHAPES = {
    "lines of 40": "some text of forty characters or so, yes\n",
    "CRLF, not ASCII": "ünïcödé and a little more of it 😀\r\n",
    "one single line": "no line end at all ",
}


def changes_of(text: str) -> list[tuple[int, int]]:
    last = text.count("\n")
    return [(number * 7919 % (last + 1), number % 15) for number in range(CHANGES)]


def typed_ms(text: str, places: list[tuple[int, int]]) -> tuple[float, float, str]:
    documents = OpenDocuments("utf-16")
    documents.did_open({"textDocument": {"uri": "untitled:1", "languageId": "", "version": 0, "text": text}})
    started = time.perf_counter()
    for version, (line, column) in enumerate(places, 1):
        place = {"line": line, "character": column}
        documents.did_change(
            {
                "textDocument": {"uri": "untitled:1", "version": version},
                "contentChanges": [{"range": {"start": place, "end": place}, "text": "y"}],
            }
        )
    typed = time.perf_counter() - started
    document = documents.get("untitled:1")
    looked = time.perf_counter() - started - typed
    return typed * 1e3, looked * 1e3, document.text if document else ""


def copied_ms(text: str) -> float:
    started = time.perf_counter()
    for _ in range(20):
        text = text[:100] + "y" + text[100:]
    return (time.perf_counter() - started) * 1e3 * CHANGES / 20


def expected_text(text: str, places: list[tuple[int, int]]) -> str:
    lines = text.split("\n")
    for line, column in places:
        body = lines[line]
        lines[line] = body[:column] + "y" + body[column:]
    return "\n".join(lines)


def main() -> None:
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    print(f"{size / 1e6:g} MB, {CHANGES} changes, {ROUNDS} rounds, load {Path('/proc/loadavg').read_text().split()[0]}")
    for name, line in SHAPES.items():
        text = line * (size // len(line.encode()))
        places = changes_of(text)
        rounds = [typed_ms(text, places) for _ in range(ROUNDS)]
        assert rounds[0][2] == expected_text(text, places), name
        typed = sorted(one[0] for one in rounds)
        print(
            f"{name:18} typing {typed[0]:8.1f} {statistics.median(typed):8.1f} {typed[-1]:8.1f} ms"
            f"   first look after it {statistics.median(one[1] for one in rounds):6.1f} ms"
            f"   copying each time {copied_ms(text):9.1f} ms"
        )


if __name__ == "__main__":
    main()
