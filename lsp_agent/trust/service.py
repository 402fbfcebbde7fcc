"""`agent/trust/get` and `agent/trust/set`: what a client is told of a root, and what it decides (PROTOCOL 7)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import RequestRejected, WorkspaceError
from lsp_agent.trust.store import Trust, TrustRefused, TrustStore
from lsp_agent.workspace.paths import path_to_uri, real_path, uri_to_path

DEADLINE_S = 20.0
"""For looking through a folder; a network disk that is gone must not keep a request waiting."""
MAX_LISTED = 500


class TrustService:
    """The trust of one workspace's roots. `on_change` is awaited after each decision, to read the settings again."""

    def __init__(
        self,
        store: TrustStore,
        *,
        roots: Callable[[], Sequence[Path]],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._roots = roots
        self._on_change = on_change
        self._one_at_a_time = asyncio.Lock()

    async def get(self, uri: str | None) -> dict[str, Any]:
        """What is known of a root; without a URI, of the first.

        Shape: `{"root": uri, "trusted": bool, "changed": [uri], "files": [uri], "hidden": [uri], "complete": bool}`, at
        most 500 URIs each; see `store.Trust`. Raises: RequestRejected, with `path` `root` for what is no folder of
        this workspace.
        """
        root = self._root(uri)
        return _shown(await _bounded(asyncio.to_thread(self._store.state, root)))

    async def set(self, uri: str, trusted: bool) -> dict[str, Any]:
        """Decide; in force when this returns. Same shape. Raises: RequestRejected."""
        root = self._root(uri)
        async with self._one_at_a_time:
            try:
                found = await _bounded(asyncio.to_thread(self._store.set, root, trusted))
            except TrustRefused as error:
                raise _no_root(f"cannot be trusted: {error}") from error
            await self._on_change()
        return _shown(found)

    def _root(self, uri: str | None) -> Path:
        roots = self._roots()
        if uri is None and roots:
            return roots[0]
        try:
            path = uri_to_path(uri or "")
            real = real_path(path) if path is not None and path.is_absolute() else None
        except (WorkspaceError, ValueError):
            real = None
        if real is None or real not in roots:
            raise _no_root("is not a folder of this workspace")
        return real


async def _bounded(work: Awaitable[Trust]) -> Trust:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await work
    except TimeoutError as error:
        raise RequestRejected("Store", "The folder did not answer in time", retryable=True) from error
    except (OSError, WorkspaceError) as error:
        raise RequestRejected(
            "Store", "The trust of the folder could not be read or written", retryable=True
        ) from error


def _no_root(text: str) -> RequestRejected:
    return RequestRejected("InvalidParams", f"root: {text}", path="root")


def _shown(found: Trust) -> dict[str, Any]:
    return {
        "root": path_to_uri(found.root),
        "trusted": found.trusted,
        "changed": [path_to_uri(path) for path in found.changed[:MAX_LISTED]],
        "files": [path_to_uri(path) for path in found.files[:MAX_LISTED]],
        "hidden": [path_to_uri(path) for path in found.hidden[:MAX_LISTED]],
        "complete": found.complete,
    }
