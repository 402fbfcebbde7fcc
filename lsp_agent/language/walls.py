"""The walls around a language server: it may read what the user may but secrets, and write below the roots; no network.

A server lives as long as the workspace, so unlike a command it gets no placeholders and nothing it makes is set aside:
both would reach into what the user does meanwhile. What is protected and there is read-only all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from lsp_agent.language.starting import Confine
from lsp_agent.shell.ground import Ground, Lookout, user_secrets
from lsp_agent.shell.sandbox import Sandbox, build_order
from lsp_agent.shell.spawner import Order


async def no_walls() -> Confine:
    """As the user's editor would start it."""
    return lambda order, directory: order


def sandbox_walls(
    sandbox: Sandbox,
    *,
    roots: Callable[[], Sequence[Path]],
    home: Path,
    hide: Sequence[Path],
    is_protected: Callable[[str], bool],
    is_secret: Callable[[str], bool],
) -> Callable[[], Awaitable[Confine]]:
    """What confines the next server, by the tier the sandbox found. The arguments are those of `Sandbox`."""
    lookout = Lookout(is_protected, is_secret)

    async def walls() -> Confine:
        tier = await sandbox.tier()
        if tier == "none":
            return await no_walls()
        below = [Path(root).resolve() for root in roots()]
        secrets = await asyncio.to_thread(user_secrets, home, hide)
        found = [await asyncio.to_thread(lookout.look, root) for root in below]
        ground = Ground(
            tuple(map(str, below)),
            hidden=tuple([path for path in secrets if not any(root.is_relative_to(path) for root in below)]),
            protected=tuple([path for one in found for path in one.protected]),
        )

        def confine(order: Order, directory: Path) -> Order:
            mine = Ground(ground.roots, hidden=ground.hidden, protected=ground.protected, writable=(str(directory),))
            return build_order(tier, mine, order)

        return confine

    return walls
