"""What an editor with no plugin shows at a place besides code actions: lenses above lines, a hover. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.server.tier0.hints import Mark
from lsp_agent.server.tier0.offers import Facts

MAX_HOVER_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Lens:
    """One command above a line (zero-based)."""

    line: int
    title: str
    command: str
    arguments: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What a hover says, and the code it shows below, which is somebody's text and only ever shown as code."""

    text: str
    code: str = ""


def lenses(facts: Facts) -> list[Lens]:
    """Keep and take back above each change that waits; in the prompt document, its sending."""
    if facts.is_prompt:
        about = f" (about {facts.about})" if facts.about else ""
        return [Lens(0, f"Send to the agent{about}", "lspAgent.send")]
    choices = (("Keep", "lspAgent.accept"), ("Take back", "lspAgent.reject"))
    return [Lens(mark.start, title, name, [mark.target]) for mark in facts.marks for title, name in choices]


def note(facts: Facts, line: int) -> Note | None:
    """About a change of the agent on that line (zero-based), or the instruction written there."""
    mark = next((each for each in facts.marks if each.meets(line, line)), None)
    if mark is not None:
        return _changed(mark)
    if facts.marker is not None:
        return Note("An instruction for the agent: choose the code action “Agent: do this” on this line.")
    return None


def _changed(mark: Mark) -> Note:
    old = mark.old_text[:MAX_HOVER_CHARS]
    return Note("The agent changed this. Before:", old) if old else Note("The agent added this.")
