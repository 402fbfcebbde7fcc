"""Text inside the marked blocks of the system prompt: cleaned, and unable to close the block it stands in.

The marks are the same every time, so that a provider's prompt cache keeps hitting; therefore not the marks are secret
but every mark of ours inside the content loses its bracket (RELIABILITY PI-01, PI-04).
"""

import hashlib
import hmac
import re
from collections.abc import Callable

from lsp_agent.untrusted import clean

TAGS = (
    "rules", "rule_file", "git", "skills", "skill", "name", "description", "location", "mcp_instructions", "untrusted",
    "environment", "editor", "system_reminder", "system_info", "system", "file", "tool_result", "permission",
)  # fmt: skip
"""Every mark the prompts of this product use."""
_MARK = re.compile(rf"<(?=[\s/\\!?]*(?:{'|'.join(TAGS)})(?![\w-]))", re.IGNORECASE)


def inner(text: str) -> str:
    """`text` as content of a block: no hidden characters, and none of our marks in it."""
    return _MARK.sub("&lt;", clean(text).replace("\r\n", "\n").replace("\r", "\n"))


def attribute(text: str, limit: int = 300) -> str:
    """`text` as the value of an attribute or of an XML element: one line, cut to `limit` characters before escaping."""
    line = " ".join(clean(text).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def stable_nonce(secret: bytes, text: str) -> Callable[[], str]:
    """Words for `untrusted.fence` that nobody outside can guess, yet the same for the same text: the prompt cache
    keeps hitting as long as the text does not change."""
    count = 0

    def next_word() -> str:
        nonlocal count
        count += 1
        return hmac.new(secret, f"{count}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:12]

    return next_word
