"""A login server on loopback: OAuth's authorization, device and token addresses, and GitHub's exchange for Copilot."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson


@dataclass
class Site:
    """`asked`: (path, form) of every request. What it gives out is numbered, so that a test sees which was used."""

    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    lifetime_s: int = 3600
    pending: int = 0
    """So many times the device code is not yet entered."""
    slow_down: int = 0
    dead: bool = False
    """Refresh tokens are revoked."""
    status: int = 200
    delay_s: float = 0.0
    given: int = 0
    challenge: str = ""
    valid: set[str] = field(default_factory=set)
    """Refresh tokens that were not used yet: each is good once."""
    answer_url: str = ""

    def tokens(self) -> dict[str, Any]:
        self.given += 1
        self.valid = {f"refresh-{self.given}"}
        said = {"access_token": f"access-token-{self.given}", "refresh_token": f"refresh-{self.given}"}
        return {**said, "token_type": "bearer", "expires_in": self.lifetime_s}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {"message": "secret-of-the-server"}
        if path == "/device":
            told = {"device_code": "dev", "user_code": "WXYZ-1\u202e234", "verification_uri": f"{self.url}/enter"}
            return 200, {**told, "interval": 0, "expires_in": 900}
        if path == "/copilot":
            self.given += 1
            ends = 2_000_000_000 + self.given
            api = self.answer_url or "https://evil.test"
            return (401 if self.dead else 200), {
                "token": f"tid={self.given}",
                "expires_at": ends,
                "endpoints": {"api": api},
            }
        match form.get("grant_type", ""):
            case "refresh_token":
                if self.dead or form["refresh_token"] not in self.valid:
                    return 400, {"error": "invalid_grant", "error_description": "said " + form["refresh_token"]}
            case "authorization_code":
                digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
                if digest.rstrip(b"=").decode() != self.challenge or form["code"] != "the-code":
                    return 400, {"error": "invalid_grant"}
            case _:
                for name in ("pending", "slow_down"):
                    if getattr(self, name):
                        setattr(self, name, getattr(self, name) - 1)
                        return 200, {"error": "authorization_pending" if name == "pending" else name}
        return 200, self.tokens()

    async def browse(self, url: str, *, code: str = "the-code", **changed: str) -> int:
        """What the user's browser does after the person said yes: go back with a code. Returns the status."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.challenge = query["code_challenge"]
        back = urlsplit(query["redirect_uri"])
        sent = urlencode({"code": code, "state": query["state"], **changed})
        reader, writer = await asyncio.open_connection("127.0.0.1", back.port)
        writer.write(f"GET {back.path}?{sent} HTTP/1.1\r\nHost: {back.netloc}\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status


@contextlib.asynccontextmanager
async def login_site() -> AsyncIterator[Site]:
    site = Site()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().partition(": ")[::2] for line in head.split("\r\n")[1:])
        raw = await reader.readexactly(int(fields.get("content-length", "0")))
        path = head.split()[1].partition("?")[0]
        form = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        site.asked.append((path, form))
        site.headers.append(head)
        await asyncio.sleep(site.delay_s)
        status, said = site.answer(path, form)
        body = orjson.dumps(said)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        server.close()
        await asyncio.sleep(0)
