"""Telling clients that the commands a user can call are other ones now (`available_commands_update`, PROTOCOL 8)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from lsp_agent.domain.errors import AgentError
from lsp_agent.server.core import Core

_log = logging.getLogger(__name__)

LOOK_S = 10.0
"""For looking through the folders of commands and skills."""

Result = TypeVar("Result")


async def with_news(core: Core, change: Callable[[], Awaitable[Result]]) -> Result:
    """What `change` returns; when there are other commands after it, every session somebody listens to is told."""
    before = await _commands(core)
    result = await change()
    after = await _commands(core)
    if after is not None and after != before:
        _tell(core, after)
    return result


async def tell_commands(core: Core) -> None:
    """Tell what there is now, whatever was told before."""
    now = await _commands(core)
    if now is not None:
        _tell(core, now)


def is_of_a_command(uri: str) -> bool:
    """Whether a saved document may be a command or a skill."""
    return uri.endswith("/SKILL.md") or ("/commands/" in uri and uri.endswith(".md"))


def _tell(core: Core, commands: Sequence[Mapping[str, Any]]) -> None:
    core.agent.hub.everyone({"sessionUpdate": "available_commands_update", "availableCommands": commands})


async def _commands(core: Core) -> list[dict[str, Any]] | None:
    """The entries of `agent/commands/list`, with ACP's `input` beside our `hint`; None when they cannot be read."""
    try:
        async with asyncio.timeout(LOOK_S):
            found = await core.context.commands.find()
    except (AgentError, OSError, TimeoutError) as error:
        _log.warning("the commands could not be looked up: %s", type(error).__name__)
        return None
    return [_entry(command.to_wire()) for command in found]


def _entry(shown: dict[str, Any]) -> dict[str, Any]:
    hint = shown.get("hint")
    return {**shown, "input": {"hint": hint}} if hint else shown
