"""The agent, its sessions and its turns, tied together."""

import asyncio
from collections.abc import Sequence
from typing import Any

from lsp_agent.agent.agent import Agent
from lsp_agent.agent.compaction import CompactRunner
from lsp_agent.agent.sessions import Sessions, SessionWorld
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.composition.closing import end_all
from lsp_agent.composition.first_turns import FirstTurns
from lsp_agent.composition.idle import import_when_idle
from lsp_agent.composition.rooms import Rooms
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.protocol import convert
from lsp_agent.server.core import Core
from lsp_agent.trust.service import TrustService

CLOSE_S = 5.0
STORE_S = 3.0


class World:
    """Ties the agent, its sessions and its turns together; each needs the others."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        ground, providers = rooms.ground, rooms.providers
        self._roots = ground.settled.roots
        live = ground.settled.live
        self._turns = TurnRunner(rooms.services)
        self._sessions = Sessions(
            SessionWorld(
                store=ground.store,
                events=ground.hub,
                clock=ground.clock,
                providers=providers,
                wire=convert,
                open_session=ground.hub.load,
                flush=self._flush,
                activity=lambda session_id: (self._agent.is_busy(session_id), self._agent.queued(session_id)),
                default_mode=lambda: live.current.permissions.mode,
                default_root=lambda: self._roots.paths[0].as_uri(),
            )
        )
        rooms.modes.sessions = self._sessions
        self._turns.options_of = self._sessions.options_of
        self._agent = Agent(
            ground.store,
            ground.hub,
            ground.clock,
            FirstTurns(self._turns, rooms),
            CompactRunner(rooms.services),
            pending=self._pending,
            snapshot=self._snapshot,
            model_of=self._model_of,
        )
        rooms.subagents.bind(rooms.services, self._agent.children)
        rooms.changes.is_busy = self._agent.is_busy

    def core(self) -> Core:
        """What the handlers work with."""
        rooms, settled = self._rooms, self._rooms.ground.settled
        return Core(
            agent=self._agent,
            sessions=self._sessions,
            approvals=rooms.approvals,
            questions=rooms.questions,
            workspace=rooms.workspace,
            providers=rooms.providers,
            tools=rooms.services.tools,
            close=self._close,
            preload=self._preload,
            load_rest=self._load_rest,
            change_folders=self._change_folders,
            jobs=rooms.jobs,
            trust=TrustService(settled.trust, roots=lambda: self._roots.paths, on_change=self._settings_changed),
            mcp=rooms.mcp,
            context=rooms.context,
            changes=rooms.changes,
        )

    async def _settings_changed(self) -> None:
        await self._rooms.refresh()
        self._rooms.mcp.follow(again=True)

    async def _preload(self) -> None:
        await asyncio.gather(self._rooms.context.git.warm(), self._rooms.providers.preload())

    async def _load_rest(self) -> None:
        await import_when_idle(lambda: bool(self._agent.status()["busy"]))

    def _change_folders(self, added: Sequence[str], removed: Sequence[str]) -> None:
        self._roots.change(added, removed)
        self._rooms.mcp.follow(again=True)

    def _pending(self, session_id: str) -> dict[str, list[Any]]:
        rooms = self._rooms
        return {
            "permissions": rooms.approvals.pending(session_id),
            "questions": rooms.questions.pending(session_id),
        }

    def _flush(self, session_id: str) -> None:
        self._turns.flush(session_id)
        self._rooms.subagents.flush(session_id)

    async def _snapshot(self, session_id: str) -> dict[str, Any]:
        return {"session": await self._sessions.get(session_id), **await self._sessions.read(session_id)}

    def _model_of(self, run: Run) -> Model | None:
        try:
            return self._rooms.providers.resolve(run.options.model)
        except ProviderError:
            return None

    async def _close(self) -> None:
        """The store last, and whatever became of the rest: what they still wrote must be kept."""
        rooms = self._rooms
        await end_all(
            CLOSE_S,
            {
                "commands": rooms.jobs.close(),
                "hooks": rooms.hooks.close(),
                "context": rooms.context.aclose(),
                "MCP servers": rooms.mcp.close(),
                "language servers": rooms.language.close(),
                "models": self._close_models(),
            },
        )
        await end_all(STORE_S, {"the store": rooms.ground.store.close()})

    async def _close_models(self) -> None:
        await self._turns.aclose(1.0)
        await self._rooms.providers.close()
