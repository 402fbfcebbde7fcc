"""Noticing that a turn goes round in circles (CORE 15). Pure.

A step's signature covers what was called, with what, and what came back; ids are not part of it. When one signature
fills more than half of the last ten steps, nothing new is being learnt.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from lsp_agent.domain.message import ToolCallPart, ToolResultPart

WINDOW = 10
MOST = 5


def signature(calls: Sequence[ToolCallPart], results: Mapping[str, ToolResultPart]) -> bytes:
    """What a step did. Empty for a step without calls, which never counts."""
    if not calls:
        return b""
    digest = hashlib.sha256()
    for call in calls:
        result = results.get(call.tool_call_id)
        for field in (call.name, call.input, result.content if result else ""):
            digest.update(field.encode("utf-8", "surrogatepass"))
            digest.update(b"\0")
        if result is not None and result.data:
            digest.update(result.data)
            digest.update(b"\0")
    return digest.digest()


def is_looping(signatures: Sequence[bytes]) -> bool:
    """True when one signature occurs more than five times in the last ten steps of a turn; never before ten steps."""
    if len(signatures) < WINDOW:
        return False
    counts = Counter(one for one in signatures[-WINDOW:] if one)
    return any(count > MOST for count in counts.values())
