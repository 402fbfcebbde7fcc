"""Starting a language server's program: a private directory of its own, walls round it, its complaints in the log."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lsp_agent.shell.duplex import Duplex, start_duplex
from lsp_agent.shell.spawner import Order, Spawner

_log = logging.getLogger(__name__)

_LOGGED_CHARS = 400
Confine = Callable[[Order, Path], Order]
"""(order, directory it may write to) → the order inside walls."""


async def start_program(spawner: Spawner, order: Order, *, name: str, confine: Confine) -> Duplex:
    """Start `order` to be spoken to, with a private directory for temporary files and caches that goes with it.

    `confine` puts it inside walls. Raises: OSError.
    """
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lsp-agent-"))

    def forget() -> None:
        _ = asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, directory, True)

    env = {**order.env, "TMPDIR": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
    try:
        confined = confine(replace(order, env=env), directory)
        program = await start_duplex(spawner, confined, lambda line: _log.info("%s: %s", name, line[:_LOGGED_CHARS]))
    except BaseException:
        forget()
        raise
    program.ended.add_done_callback(lambda _: forget())
    return program
