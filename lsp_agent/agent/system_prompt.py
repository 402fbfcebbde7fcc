"""The texts the model is given beside the conversation, built from deterministic parts in a fixed order.

Everything that stays the same comes first and nothing changes more often than once a day, so a provider's prompt cache
keeps hitting from turn to turn.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from lsp_agent.domain.session import Todo


@cache
def prompt_text(name: str) -> str:
    """The text of `prompts/<name>.md`, without the newline at its end."""
    return Path(__file__).with_name("prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def coder_prompt(
    *,
    now_ms: int,
    roots: Sequence[Path],
    mode: str,
    editor_facts: Sequence[str] = (),
    context: Sequence[str] = (),
    instructions: str = "",
) -> str:
    """Identity and rules (`instructions` in their place), then the environment, the editor, `context`, the mode."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
    lines = [f"platform: {sys.platform}", f"date: {today}"]
    lines += [f"workspace root: {root.as_posix()}" for root in roots]
    blocks = [instructions or prompt_text("coder"), "<environment>\n" + "\n".join(lines) + "\n</environment>"]
    if editor_facts:
        blocks.append("<editor>\n" + "\n".join(editor_facts) + "\n</editor>")
    blocks += context
    if mode == "plan":
        blocks.append(
            "You are in plan mode: only tools that read are offered. Find out what is needed and answer with a plan; "
            "change nothing."
        )
    return "\n\n".join(blocks)


def todo_lines(todos: Sequence[Todo]) -> str:
    """The list, one `- [status] content` line each."""
    return "\n".join(f"- [{todo.status}] {todo.content}" for todo in todos)


def todo_reminder(todos: Sequence[Todo]) -> str:
    """What the model is told of its list before the conversation starts."""
    state = f"Your todo list:\n{todo_lines(todos)}" if todos else "Your todo list is empty."
    return prompt_text("todo_reminder").replace("{state}", state)


def summary_request(todos: Sequence[Todo]) -> str:
    """The user message that asks for the hand-over."""
    request = prompt_text("summary_request")
    if not todos:
        return request
    return request + "\n\n" + prompt_text("summary_todos").replace("{todos}", todo_lines(todos))


def continuation(prompt: str) -> str:
    """The user message after an automatic compaction; quotes the request in back-ticks."""
    return prompt_text("continuation").replace("{prompt}", prompt)


def title_request(prompt: str) -> str:
    """The user message that asks for a title."""
    return prompt_text("title_request").replace("{prompt}", prompt)
