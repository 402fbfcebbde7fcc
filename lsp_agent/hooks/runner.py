"""The user's hooks at work: which are meant, all at once, and what they said together (CORE 25)."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_agent.domain.run import Run
from lsp_agent.hooks.answers import Answer, combined, read_answer
from lsp_agent.hooks.config import Hook
from lsp_agent.hooks.matching import names_of
from lsp_agent.hooks.payload import document, variables
from lsp_agent.hooks.process import HookProcesses
from lsp_agent.ports.hooks import HookResult
from lsp_agent.shell.environment import child_environment

_log = logging.getLogger(__name__)

_TOOL_EVENTS = frozenset({"PreToolUse", "PostToolUse"})
_MATCHED_FIELD = {"SessionStart": "source", "PreCompact": "trigger"}
"""Events whose matcher looks at something of the payload. That of any other event is not looked at."""


def always() -> bool:
    """Hooks run: the default of `UserHooks`."""
    return True


class UserHooks:
    """Implements `ports.hooks.Hooks`. `close` ends what still runs."""

    def __init__(
        self,
        *,
        processes: HookProcesses,
        hooks: Callable[[], Sequence[Hook]],
        roots: Callable[[], Sequence[Path]],
        environ: Mapping[str, str],
        active: Callable[[], bool] = always,
    ) -> None:
        self._processes = processes
        self._hooks = hooks
        self._roots = roots
        self._environ = environ
        self._active = active
        """Whether commands may run here at all: not in a workspace that is not trusted, whose files they would run."""
        self._told: set[tuple[str, str]] = set()
        """Failures the user has heard of."""

    def wants(self, event: str, tool: str = "") -> bool:
        if not self._active():
            return False
        return any(hook.event == event and (event not in _TOOL_EVENTS or _meant(hook, tool)) for hook in self._hooks())

    async def run(
        self, event: str, run: Run, *, tool: str = "", tool_call_id: str = "", payload: Mapping[str, Any]
    ) -> HookResult:
        selected = self._selected(event, tool, payload)
        if not selected:
            return HookResult()
        cwd = str(self._roots()[0])
        try:
            env = child_environment(self._environ, self._roots())
            env |= variables(event, run, tool, payload, cwd=cwd)
        except ValueError as error:
            return HookResult("deny", reason=str(error), metadata={"event": event, "count": 0, "decision": "deny"})

        async def one(hook: Hook) -> tuple[Hook, Answer, int]:
            told = document(event, run, tool, tool_call_id, payload, cwd=cwd, claude=hook.claude)
            ran = await self._processes.run(hook.command, told, env=env, cwd=cwd, timeout_s=hook.timeout_s)
            if ran.exit_code is None:
                answer = Answer(error=ran.error)
            else:
                answer = read_answer(event, ran.exit_code, ran.stdout, ran.stderr)
            return hook, self._with_failure(hook, answer), ran.duration_ms

        said = await asyncio.gather(*[one(hook) for hook in selected])
        given = payload.get("tool_input")
        return combined(event, said, given if isinstance(given, Mapping) and event == "PreToolUse" else None)

    async def close(self) -> None:
        """End what still runs. Bounded; may be called twice."""
        await self._processes.aclose()

    def _selected(self, event: str, tool: str, payload: Mapping[str, Any]) -> list[Hook]:
        """Those that are meant, each command once, in the order of the configuration."""
        if not self._active():
            return []
        subject = tool if event in _TOOL_EVENTS else str(payload.get(_MATCHED_FIELD.get(event, ""), ""))
        found: dict[str, Hook] = {}
        for hook in self._hooks():
            if hook.event == event and (_meant(hook, subject) if subject else True):
                found.setdefault(hook.command, hook)
        return list(found.values())

    def _with_failure(self, hook: Hook, answer: Answer) -> Answer:
        """A failure is told to the user once; it is in the result's metadata every time."""
        if not answer.error:
            return answer
        _log.warning("hook %s: %s", hook.event, answer.error)
        key = (hook.command, answer.error)
        if key in self._told:
            return answer
        self._told.add(key)
        return replace(answer, message=f"The hook `{hook.label}` ({hook.event}) had no say: {answer.error}.")


def _meant(hook: Hook, subject: str) -> bool:
    return hook.matches(names_of(subject))
