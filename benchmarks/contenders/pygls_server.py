"""What the two pygls floors share: the methods of the wire as features of a stock pygls server."""

import asyncio
from typing import Any

from pygls.lsp.server import LanguageServer

from benchmarks.contenders.floor import Ask, chunk_params, complete_params, turn


def serve(ask: Ask, notify: Any = None) -> None:
    """Serve on stdio. `notify(server, method, params)` in place of pygls' own way to send."""
    server = LanguageServer("floor", "1")
    histories: dict[str, list[dict[str, Any]]] = {}
    runs: dict[str, asyncio.Task[None]] = {}

    def send(method: str, params: Any) -> None:
        if notify is None:
            server.protocol.notify(method, params)
        else:
            notify(server, method, params)

    async def run(session_id: str, run_id: str | None, prompt: str) -> None:
        def say(text: str) -> None:
            send("agent/event", chunk_params(session_id, text))

        try:
            text, reason = await turn(histories[session_id], prompt, ask, say), "end_turn"
        except asyncio.CancelledError:
            text, reason = "", "cancelled"
        send("agent/runComplete", complete_params(session_id, run_id, text, reason))

    @server.feature("agent/run")
    async def on_run(params: Any) -> Any:
        session_id = getattr(params, "sessionId", None) or f"s{len(histories)}"
        histories.setdefault(session_id, [])
        run_id = getattr(params, "runId", None)
        runs[session_id] = asyncio.get_running_loop().create_task(run(session_id, run_id, params.prompt))
        return {"sessionId": session_id, "runId": run_id, "state": "running"}

    @server.feature("agent/cancel")
    async def on_cancel(params: Any) -> Any:
        runs[params.sessionId].cancel()
        return {}

    server.start_io()
