"""The engines of this machine, made when somebody asks for them: most users have configured another model."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from lsp_agent.composition.settings import engine_settings
from lsp_agent.composition.settled import Settled
from lsp_agent.domain.late import Late
from lsp_agent.domain.model import Model
from lsp_agent.shell.spawner import Spawner

if TYPE_CHECKING:  # what is made late
    from lsp_agent.local.engine import LocalEngines
    from lsp_agent.providers.embedded import Endpoint


class LateEngines:
    """Implements `providers.embedded.Engines`."""

    def __init__(self, make: "Callable[[], LocalEngines]") -> None:
        self._late = Late(make)

    def models(self) -> Sequence[Model]:
        return self._late().models()

    def lease(self, model: Model) -> "AbstractAsyncContextManager[Endpoint]":
        return self._late().lease(model)

    async def close(self) -> None:
        if (made := self._late.made) is not None:
            await made.close()


def local_engines(settled: Settled) -> LateEngines:
    """Those of the settings in force. Starts and imports nothing."""

    def make() -> "LocalEngines":
        from lsp_agent.local.engine import LocalEngines

        return LocalEngines(Spawner(), os.environ, lambda: engine_settings(settled.config))

    return LateEngines(make)
