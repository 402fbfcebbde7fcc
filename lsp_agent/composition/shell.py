"""What runs commands."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.outlet import Outlets
from lsp_agent.shell.sandbox import Sandbox, tiers_of
from lsp_agent.shell.spawner import Spawner


def shell_jobs(
    roots: Callable[[], Sequence[Path]],
    *,
    events: Events,
    clock: Clock,
    hide: tuple[Path, ...],
    tier: str,
    outlets: Outlets | None = None,
) -> Jobs:
    """What runs commands, confined to the roots; `hide` are our own directories, which no command may see.

    `tier`: `sandbox.tier` of the configuration. `outlets`: the way out for granted domains; None = there is none.
    """
    spawner = Spawner()
    sandbox = Sandbox(
        spawner,
        roots=roots,
        is_protected=is_protected,
        is_secret=is_secret,
        environ=os.environ,
        hide=hide,
        tiers=tiers_of(tier),
    )
    return Jobs(spawner=spawner, sandbox=sandbox, events=events, clock=clock, outlets=outlets)
