"""A hub that serves one file of weights over real HTTP, with ranges, and misbehaves as told."""

import asyncio
from typing import Self


class Hub:
    """`cuts`: after how many bytes of the body to drop the connection, one for each answer. `status`: instead of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.redirect = ""
        self.stall = asyncio.Event()
        self.stalls = False
        self.asked: list[dict[str, str]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/weights.gguf"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.stall.set()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except OSError:
            return  # the client went away
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:]}
        self.asked.append(fields)
        if self.statuses and (status := self.statuses.pop(0)):
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        if self.redirect:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {self.redirect}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        begin = int(fields["range"].removeprefix("bytes=").rstrip("-")) if "range" in fields and self.ranges else 0
        rest = self.content[begin:]
        status = "206 Partial Content" if begin else "200 OK"
        more = f"Content-Range: bytes {begin}-{len(self.content) - 1}/{len(self.content)}\r\n" if begin else ""
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(rest)}\r\nConnection: close\r\n\r\n".encode())
        cut = self.cuts.pop(0) if self.cuts else len(rest)
        writer.write(rest[:cut])
        await writer.drain()
        if self.stalls:
            await self.stall.wait()
