"""`lsp-agent run`: one prompt from a terminal or a script, streamed, ended by its `agent/runComplete` and nothing else.

Exit status: 0 the run ended by itself, 1 it failed or was refused, 2 wrong usage, 130 it was cancelled.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.cli import mcp_servers
from lsp_agent.cli.client import Client, RequestFailed, ServerGone, Voice, find_session, running_server
from lsp_agent.config.paths import workspace_root
from lsp_agent.domain.errors import AgentError
from lsp_agent.store.lock import DataLock
from lsp_agent.untrusted import clean

HANDSHAKE_S = 30.0
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent run`."""
    parser.add_argument("prompt", nargs="+", metavar="PROMPT", help="what to do; `-` reads it from standard input")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--session", metavar="ID", help="go on in this session (an id or a unique start or end of one)")
    which.add_argument("--continue", dest="last", action="store_true", help="go on in the most recent session")
    parser.add_argument(
        "--attach", action="append", default=[], metavar="FILE[:A-B]", help="attach a file, or lines A–B"
    )
    parser.add_argument("--model", metavar="PROVIDER/MODEL", help="use this model for the run")
    parser.add_argument("--mode", choices=("ask", "plan", "accept-edits", "full-auto"), help="permission mode")
    parser.add_argument("--yes", action="store_true", help="allow once whatever is asked")
    parser.add_argument("--max-steps", type=int, default=0, metavar="N", help="stop after N model requests")
    parser.add_argument("--max-cost", type=float, default=0.0, metavar="USD", help="stop at this cost")
    parser.add_argument(
        "--mcp-timeout",
        type=float,
        default=mcp_servers.TIMEOUT_S,
        metavar="S",
        help="wait at most S seconds for MCP servers (default %(default)g; 0 does not wait)",
    )
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")


def run_prompt(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent run`."""
    prompt = " ".join(arguments.prompt)
    if prompt == "-":
        prompt = sys.stdin.read()
    voice = Voice()
    try:
        attachments = [attachment(text) for text in arguments.attach]
    except ValueError as error:
        voice.say(error)
        return 2
    try:
        root = workspace_root(os.environ, Path.cwd())
        socket = server_for(root, os.environ)
        return asyncio.run(Terminal(arguments, root, socket, voice).run(prompt, attachments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever reads us has enough; the interpreter must not try to flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AgentError, RequestFailed, ServerGone, ConnectionError, TimeoutError) as error:
        voice.say(error)
        return 1


def server_for(folder: Path, env: Mapping[str, str]) -> Path | None:
    """The socket of a server that works in `folder`; None when a new one may be started.

    Raises: RequestFailed when the data directory is held by a server that works elsewhere; DataDirRefused.
    """
    socket = running_server(env, folder)
    if socket is None:
        return None
    workspace = DataLock.workspace_of_owner(socket.parent)
    if workspace is not None and not folder.resolve().is_relative_to(Path(workspace).resolve()):
        text = f"a server that works in {workspace} holds the data directory {socket.parent}"
        raise RequestFailed(f"{text}: run there, close it, or set LSP_AGENT_DATA_DIR to another directory", {})
    return socket


def attachment(text: str) -> dict[str, Any]:
    """`FILE` or `FILE:A-B` (lines counted from 1, inclusive) as an attachment. Raises: ValueError."""
    name, colon, lines = text.rpartition(":")
    first, dash, last = lines.partition("-")
    span = None
    if colon and first.isdigit() and (not dash or last.isdigit()):
        start, end = int(first), int(last or first)
        if start < 1 or end < start:
            raise ValueError(f"{text!r}: the lines do not make a range")
        span = {"start": {"line": start - 1, "character": 0}, "end": {"line": end, "character": 0}}
    path = Path(name if span else text).absolute()
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is not a file")
    return {"type": "buffer", "uri": path.as_uri(), **({"range": span} if span else {})}


class Terminal:
    """Draws one run on a terminal, answers what it asks, and knows when it is over."""

    def __init__(self, arguments: argparse.Namespace, root: Path, socket: Path | None, voice: Voice) -> None:
        self._arguments = arguments
        self._root = root
        self._voice = voice
        self._socket = socket
        self._run_id = f"cli-{uuid.uuid4()}"
        self._session_id = ""
        self._client: Client
        self._printed: dict[str, list[str]] = {}
        self._over: asyncio.Future[Mapping[str, Any]]
        self._answers: set[asyncio.Task[None]] = set()
        self._cancelled = False
        self._waiting: asyncio.Future[None] | None = None

    async def run(self, prompt: str, attachments: list[dict[str, Any]]) -> int:
        """Submit `prompt`, stream until its terminal event, and return the exit status."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        async with Client(self._heard, socket=self._socket) as self._client:
            async with asyncio.timeout(HANDSHAKE_S):
                await self._client.request("initialize", handshake(self._root))
            self._client.notify("initialized", {})
            params = await self._params(prompt, attachments)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._interrupt)
            if not await self._servers_are_there():
                return INTERRUPTED
            result = await self._client.request("agent/run", params)
            self._session_id = result["sessionId"]
            if self._cancelled:  # before there was anything to cancel
                self._spawn(self._cancel())
            self._client.on_gone(self._server_gone)
            return self._end(await self._over)

    async def _params(self, prompt: str, attachments: list[dict[str, Any]]) -> dict[str, Any]:
        asked = self._arguments
        options: dict[str, Any] = {"nonInteractive": not (asked.yes or sys.stdin.isatty())}
        named = {"model": asked.model, "mode": asked.mode, "maxSteps": asked.max_steps, "maxCostUsd": asked.max_cost}
        options.update({key: value for key, value in named.items() if value})
        params = {"runId": self._run_id, "prompt": prompt, "attachments": attachments, "options": options}
        if asked.session or asked.last:
            params["sessionId"] = await find_session(self._client, asked.session)
        return params

    async def _servers_are_there(self) -> bool:
        """False when the user would not wait for them."""
        waiting = mcp_servers.wait_for_servers(self._client, self._arguments.mcp_timeout)
        self._waiting = asyncio.ensure_future(waiting)
        await asyncio.wait([self._waiting])
        if self._cancelled:
            return False
        self._waiting.result()
        return True

    def _server_gone(self) -> None:
        if not self._over.done():
            self._over.set_exception(ServerGone("the server ended before the run did"))

    def _interrupt(self) -> None:
        if self._cancelled:
            os._exit(INTERRUPTED)
        self._cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._session_id:
            self._spawn(self._cancel())

    async def _cancel(self) -> None:
        with contextlib.suppress(RequestFailed, ServerGone):
            await self._client.request("agent/cancel", {"sessionId": self._session_id, "runId": self._run_id})

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    # ------------------------------------------------------------------------------------------------------- events

    def _heard(self, method: str, params: Mapping[str, Any]) -> None:
        try:
            self._hear(method, params)
        except BrokenPipeError as error:
            if not self._over.done():
                self._over.set_exception(error)

    def _hear(self, method: str, params: Mapping[str, Any]) -> None:
        if self._arguments.json and method.startswith("agent/"):
            sys.stdout.buffer.write(orjson.dumps({"method": method, "params": params}) + b"\n")
            sys.stdout.flush()
        if method == "window/showMessage":
            self._voice.say(params.get("message", ""))
        if params.get("runId") != self._run_id:
            return
        if method == "agent/runComplete" and not self._over.done():
            self._over.set_result(params)
        elif method == "agent/event":
            self._show(params["update"])

    def _show(self, update: Mapping[str, Any]) -> None:
        kind = update["sessionUpdate"]
        if kind == "permission_requested":
            self._spawn(self._decide(update))
        if self._arguments.json:
            return
        if kind == "agent_message_chunk":
            self._chunk(update["messageId"], update["content"]["text"])
        elif kind == "agent_message":
            self._whole(update["messageId"], "".join(block.get("text", "") for block in update["content"]))
        elif kind == "tool_call_update" and update.get("status") in ("completed", "failed", "rejected", "cancelled"):
            print(f"  · {update.get('title') or update.get('name')}: {update['status']}", file=sys.stderr)
        elif kind == "notice":
            print(f"  ! {update.get('message')}", file=sys.stderr)

    def _chunk(self, message_id: str, text: str) -> None:
        pieces = self._printed.setdefault(message_id, [])
        sys.stdout.write(text if pieces else text.lstrip(" \t"))
        sys.stdout.flush()
        pieces.append(text)

    def _whole(self, message_id: str, text: str) -> None:
        """Print what `text` has beyond its chunks; a retry may have made it shorter or different."""
        before = "".join(self._printed.get(message_id, ()))
        self._printed[message_id] = [text] if text else []
        if text.startswith(before):
            sys.stdout.write(text[len(before) :] if before else text.lstrip(" \t"))
        elif text:
            sys.stdout.write("\n" + text)
        sys.stdout.write("\n" if text and not text.endswith("\n") else "")
        sys.stdout.flush()

    async def _decide(self, record: Mapping[str, Any]) -> None:
        kinds = {option["kind"]: option["optionId"] for option in record["options"]}
        if self._arguments.yes:
            choice = kinds["allow_once"]
        elif sys.stdin.isatty() and not self._arguments.json:
            choice = kinds[await asyncio.to_thread(ask_terminal, shown(record))]
        else:
            choice = kinds["reject_once"]
        outcome = {"type": "selected", "optionId": choice}
        with contextlib.suppress(RequestFailed, ServerGone):
            await self._client.request(
                "agent/permission/respond", {"requestId": record["requestId"], "outcome": outcome}
            )

    def _end(self, complete: Mapping[str, Any]) -> int:
        if complete["cancelled"]:
            return INTERRUPTED
        error = complete.get("error")
        if error:
            self._voice.say(f"{error['title']}: {error['message']}")
            return 1
        if complete["stopReason"] != "end_turn":
            self._voice.say(f"stopped: {complete['stopReason']}")
        return 0


def shown(record: Mapping[str, Any]) -> str:
    """A permission record for a terminal: the whole command, every line that changes, hidden text made visible."""
    subject = record.get("subject") or {}
    lines = [str(record["title"])]
    if record.get("description"):
        lines.append(str(record["description"]))
    if subject.get("type") == "command":
        lines.append(str(subject.get("shown") or subject.get("command", "")))
    for change in subject.get("changes") or ():
        for hunk in change.get("hunks", ()):
            lines += [f"- {line}" for line in str(hunk.get("oldText") or "").splitlines()]
            lines += [f"+ {line}" for line in str(hunk.get("newText") or "").splitlines()]
    return "\n".join([clean(line) for line in lines])


def ask_terminal(title: str) -> str:
    """Ask at the terminal; returns an option kind. Anything but yes or a is a no."""
    answer = input(f"\n{title}\nAllow? [y]es once, [a]lways in this session, [N]o: ").strip().lower()
    return {"y": "allow_once", "yes": "allow_once", "a": "allow_session"}.get(answer, "reject_once")


def handshake(root: Path) -> dict[str, Any]:
    """`InitializeParams` of a command-line client in folder `root`."""
    block = {
        "protocolVersions": [1],
        "client": {"id": "lsp-agent-cli", "name": "lsp-agent", "version": "1"},
        "events": {"enabled": True},
        "ui": {"permission": "event", "question": "none"},
    }
    return {
        "processId": os.getpid(),
        "clientInfo": {"name": "lsp-agent cli"},
        "rootUri": root.as_uri(),
        "capabilities": {},
        "initializationOptions": {"agent": block},
    }
