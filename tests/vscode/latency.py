"""How long the editor takes from a key to the picture: measured in the page itself, while something else goes on."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TEXT = "the quick brown fox jumps over the lazy dog "
MAX_KEYS = 2000

_LISTEN = """() => {
    const found = globalThis.keyLatencies = [];
    const channel = new MessageChannel();
    const waiting = [];
    channel.port1.onmessage = () => {
        const now = performance.now();
        for (const began of waiting.splice(0)) found.push(now - began);
    };
    globalThis.keyListener = (event) => requestAnimationFrame(() => {
        // a message that is posted in a frame comes after its picture
        waiting.push(event.timeStamp);
        channel.port2.postMessage(0);
    });
    document.addEventListener('keydown', globalThis.keyListener, true);
}"""
_TAKE = """() => {
    document.removeEventListener('keydown', globalThis.keyListener, true);
    return globalThis.keyLatencies;
}"""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a key to the frame after it."""

    keys: int
    median_ms: float
    p95_ms: float
    max_ms: float


def typed(window: Any, while_: Callable[[int], bool]) -> tuple[str, list[float]]:
    """Type into the editor, which has the focus, as long as `while_` (given the number of keys) says.

    Returns what was typed, and the milliseconds of every key.
    """
    window.page.evaluate(_LISTEN)
    text = ""
    while len(text) < MAX_KEYS and while_(len(text)):
        key = TEXT[len(text) % len(TEXT)]
        window.page.keyboard.press("Space" if key == " " else key)
        text += key
    window.page.wait_for_function("(count) => globalThis.keyLatencies.length >= count", arg=len(text))
    return text, window.page.evaluate(_TAKE)


def summary(latencies: list[float]) -> Latency:
    """The figures of at least one key."""
    found = sorted(latencies)
    p95 = found[min(int(len(found) * 0.95), len(found) - 1)]
    return Latency(len(found), round(statistics.median(found), 1), round(p95, 1), round(found[-1], 1))
