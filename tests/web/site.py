"""Real listeners on loopback: a web site whose answers a test writes byte by byte, and a net with names of its own."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from lsp_agent.shell.spawner import Spawner
from lsp_agent.web.asking import Web
from lsp_agent.web.guard import Guard
from lsp_agent.web.offered import make_web

Handler = Callable[["Heard", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Heard:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    reader: asyncio.StreamReader | None = None


@dataclass
class Site:
    """`routes`: path without query → bytes to send as they are, or a coroutine that writes."""

    routes: dict[str, "bytes | Handler"] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    server: asyncio.Server | None = None
    tasks: set[asyncio.Task] = field(default_factory=set)

    @property
    def port(self) -> int:
        return self.server.sockets[0].getsockname()[1]

    async def start(self, ssl=None) -> "Site":
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=ssl)
        return self

    async def stop(self) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _accept(self, reader, writer) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            heard = Heard(method, path, headers, body, reader)
            self.heard.append(heard)
            route = self.routes.get(path.partition("?")[0], answer(b"not here", status="404 Not Found"))
            if isinstance(route, bytes):
                writer.write(route)
                await writer.drain()
            else:
                await route(heard, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            writer.close()
            self.tasks.discard(task)


def answer(body: bytes | str = b"", *, kind: str = "text/html", status: str = "200 OK", **headers: str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    fields = {
        "Content-Type": kind,
        "Content-Length": str(len(raw)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + raw


def redirect(to: str, status: str = "302 Found") -> bytes:
    return answer(b"", status=status, Location=to)


def zipped(body: bytes, **more: str) -> bytes:
    return answer(gzip.compress(body), Content_Encoding="gzip", **more)


class Names:
    """A resolver that knows what it was told, and counts."""

    def __init__(self, **names) -> None:
        self.names = {name.replace("_", "."): value for name, value in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int):
        self.asked.append(host)
        found = self.names.get(host)
        if callable(found):
            found = found()
        if found is None:
            raise OSError("unknown")
        return [found] if isinstance(found, str) else found


def make(tmp_path: Path, *sites: Site, hosts=("site.example",), secrets=(), names: Names | None = None, **more) -> Web:
    """The web with `hosts` at the sites' ports on loopback; everything else is refused as ever."""
    names = names or Names(**{host.replace(".", "_"): "127.0.0.1" for host in hosts})
    guard = Guard(resolve=names, allow_private=[(host, site.port) for host in hosts for site in sites])
    return make_web(spawner=Spawner(), directory=tmp_path / "pages", secrets=lambda: list(secrets), guard=guard, **more)
