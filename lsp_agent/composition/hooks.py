"""The user's hooks: what runs them is made when there is one."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lsp_agent.clock import SystemClock
from lsp_agent.composition.settled import Settled
from lsp_agent.domain.late import Late
from lsp_agent.domain.run import Run
from lsp_agent.ports.hooks import HookResult
from lsp_agent.shell.spawner import Spawner

if TYPE_CHECKING:  # what is made late
    from lsp_agent.hooks.runner import UserHooks


class LateHooks:
    """Implements `ports.hooks.Hooks`: nothing is wanted as long as the user has written no hook."""

    def __init__(self, has_any: Callable[[], bool], make: "Callable[[], UserHooks]") -> None:
        self._has_any = has_any
        self._late = Late(make)

    def wants(self, event: str, tool: str = "") -> bool:
        return self._has_any() and self._late().wants(event, tool)

    async def run(
        self, event: str, run: Run, *, tool: str = "", tool_call_id: str = "", payload: Mapping[str, Any]
    ) -> HookResult:
        if not self._has_any():
            return HookResult()
        return await self._late().run(event, run, tool=tool, tool_call_id=tool_call_id, payload=payload)

    async def close(self) -> None:
        """End what still runs. Bounded; may be called twice."""
        if (made := self._late.made) is not None:
            await made.close()


def user_hooks(settled: Settled, clock: SystemClock) -> LateHooks:
    """Those of the settings in force."""

    def make() -> "UserHooks":
        from lsp_agent.hooks.process import HookProcesses
        from lsp_agent.hooks.runner import UserHooks

        return UserHooks(
            processes=HookProcesses(Spawner(), clock),
            hooks=lambda: settled.hook_book.current.hooks,
            roots=lambda: settled.roots.paths,
            environ=os.environ,  # the user's own commands: a guard of theirs works in every folder, trusted or not
        )

    return LateHooks(lambda: bool(settled.hook_book.current.hooks), make)
