"""The SDK's own server side over each transport, and logins (RELIABILITY MC-11, MC-12)."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.model import Model
from lsp_agent.mcp.oauth import Login, Tokens, listening
from lsp_agent.mcp.remote import AddressRefused, Guard
from tests.mcp.conftest import until

pytestmark = pytest.mark.process
SCRIPT = Path(__file__).with_name("sdk_server.py")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Remote:
    """A server process on a port, which can be ended and started again."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.port = free_port()
        self.path = "/sse" if kind == "sse" else "/mcp"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def start(self) -> None:
        command = [sys.executable, str(SCRIPT), self.kind, str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    async def control(self, **params: str) -> list[str]:
        async with httpx2.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{self.port}/log", params=params)).json()


@pytest.fixture
def remote(request) -> Iterator[Remote]:
    one = Remote(request.param)
    yield one
    one.stop()


async def use(room, name: str) -> None:
    """Everything the SDK's server offers, used once."""
    assert "5" in (await room.call(f"mcp__{name}__add", a=2, b=3)).content
    room.world.model = Model("fake", "m", supports_images=True)
    assert (await room.call(f"mcp__{name}__picture")).mime_type == "image/png"
    failed = await room.call(f"mcp__{name}__fail")
    assert failed.is_error
    assert "Error executing tool fail" in failed.content
    assert "what the note says" in (await room.call("read_mcp_resource", mcp_name=name, uri="note://one")).content
    assert [prompt.name for prompt in room.servers.prompts()] == [f"mcp:{name}:review"]
    assert room.servers.prompts()[0].arguments == (("code", "", True),)
    assert await room.servers.get_prompt(f"mcp:{name}:review", {"code": "x = 1"}) == "Review this: x = 1"
    assert room.servers.instructions() == [(name, "Add with add.")]
    with pytest.raises(ToolError):
        await room.servers.get_prompt(f"mcp:{name}:review", {})


async def test_the_sdks_server_over_stdio(room):
    await room.start(sdk={"command": [sys.executable, str(SCRIPT), "stdio"], "timeout_s": 20})
    await use(room, "sdk")


@pytest.mark.parametrize("remote", ["http", "sse"], indirect=True)
async def test_the_sdks_server_over_http_and_sse_and_again_after_it_was_killed(room, remote):
    await room.start(sdk={"type": remote.kind, "url": remote.url})
    await use(room, "sdk")
    remote.stop()
    with pytest.raises(ToolError):
        await room.call("mcp__sdk__add", a=1, b=1)
    await until(lambda: room.state("sdk") != "connected")
    remote.start()
    await room.servers.restart("sdk")
    await until(lambda: room.state("sdk") == "connected", lambda: room.entry("sdk"))
    assert "5" in (await room.call("mcp__sdk__add", a=2, b=3)).content
    started = time.monotonic()
    await room.servers.close()
    assert time.monotonic() - started < 2.5


async def test_a_server_that_is_not_there_is_an_error_and_no_secret_is_in_it(room):
    block = {"type": "http", "url": f"http://127.0.0.1:{free_port()}/mcp", "headers": {"X-Key": "$CANARY_KEY"}}
    missing = {"type": "http", "url": "http://127.0.0.1:1/mcp", "headers": {"X": "$NOT_SET_ANYWHERE"}}
    await room.start(gone=block, missing=missing, wait_for="error")
    assert "sk-canary" not in json.dumps(room.servers.entries())
    assert room.entry("missing")["error"].startswith("headers.X:")


async def log_in(room, name: str) -> None:
    answer = await room.servers.login(name)
    async with httpx2.AsyncClient(follow_redirects=False) as browser:
        to_us = (await browser.get(answer["url"])).headers["location"]
        assert to_us.startswith("http://127.0.0.1:")
        page = await browser.get(to_us)
    assert page.status_code == 200
    await until(lambda: room.state(name) == "connected", lambda: room.entry(name))


@pytest.mark.parametrize("remote", ["login"], indirect=True)
async def test_MC_11_a_login_is_offered_made_by_the_user_kept_privately_and_bound_to_the_address(room, remote):
    block = {"type": "http", "url": remote.url, "oauth": True}
    await room.start(sdk=block, wait_for="needs_auth")
    assert "register" not in await remote.control()  # nothing is set up before the user wants it
    await log_in(room, "sdk")
    assert "5" in (await room.call("mcp__sdk__add", a=2, b=3)).content
    log = await remote.control()
    assert f"authorize resource={remote.url}" in log
    assert f"token authorization_code resource={remote.url}" in log
    path = room.base / "data" / "oauth" / "sdk.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret-access" in path.read_text()
    assert "secret-" not in json.dumps([room.updates, room.servers.entries()])
    # after a restart nobody is asked; another address gets nothing of it
    await room.servers.close()
    room.make()
    await room.start(sdk=block)
    assert await Tokens(path, "http://127.0.0.1:1/mcp").get_tokens() is None
    # a token that is refused is dropped, and the user is asked, by nobody else's browser
    await remote.control(revoke="1")
    await room.servers.restart("sdk")
    await until(lambda: room.state("sdk") == "needs_auth", lambda: room.entry("sdk"))
    assert "secret-access" not in path.read_text()
    await log_in(room, "sdk")


@pytest.mark.parametrize("remote", ["login"], indirect=True)
async def test_MC_11_a_server_cannot_lead_us_to_addresses_inside(room, remote):
    reached: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(100))
        writer.close()

    listener = await asyncio.start_server(serve, "0.0.0.0", 0)
    port = listener.sockets[0].getsockname()[1]
    own = socket.gethostbyname(socket.gethostname())
    async with listener:
        for evil in (f"http://{own}:{port}/x", f"https://{own}:{port}/x", "http://169.254.169.254/latest"):
            if own.startswith("127.") and own in evil:
                continue
            await remote.control(evil=evil)
            await room.servers.reconcile({"sdk": {"type": "http", "url": remote.url, "oauth": True}})
            await room.servers.login("sdk")
            await until(lambda: room.entry("sdk")["error"], lambda: room.entry("sdk"))
            assert "not https" in room.entry("sdk")["error"] or "no public" in room.entry("sdk")["error"]
            assert room.state("sdk") == "needs_auth"
            await room.servers.reconcile({})
    assert reached == []


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "https://10.0.0.1/", "https://[::1]/", "https://localhost/", "https://[fd00::1]/"]
)
async def test_MC_11_only_public_https_addresses_are_followed_from_a_remote_server(url):
    guard = Guard("https://93.184.216.34/mcp")
    with pytest.raises(AddressRefused):
        await guard.request(httpx2.Request("GET", url))
    await guard.request(httpx2.Request("POST", "https://93.184.216.34/mcp/more"))
    await guard.request(httpx2.Request("GET", "https://8.8.8.8/"))


async def test_MC_11_headers_and_logins_do_not_travel_in_the_clear(room):
    await room.start(
        a={"type": "http", "url": "http://192.0.2.1/mcp", "headers": {"Authorization": "Bearer x"}},
        b={"type": "sse", "url": "http://192.0.2.1/sse", "oauth": True},
        c={"type": "http", "url": "https://user:hunter2@192.0.2.1/mcp"},
        d={"type": "http", "url": "file:///etc/passwd"},
        wait_for="error",
    )
    assert all(room.entry(name)["error"].startswith("url:") for name in "abcd")
    assert "hunter2" not in json.dumps(room.servers.entries())


async def test_MC_12_the_listener_of_a_login_answers_only_the_browser_that_comes_back(tmp_path):
    login = Login()
    async with listening(login, Tokens(tmp_path / "t.json", "u")):
        port = int(login.redirect_uri.split(":")[2].split("/")[0])
        good = f"GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        for bad in (
            good.replace("127.0.0.1", "evil.example"),
            good + "Origin: https://evil.example\r\n",
            good.replace("/callback", "/other"),
            good.replace("GET", "POST"),
            good.replace("&state=s", ""),
        ):
            assert (await say(port, bad + "\r\n")).startswith(b"HTTP/1.1 404")
        assert (await say(port, good + "\r\n")).startswith(b"HTTP/1.1 200")
        assert (await say(port, good + "\r\n")).startswith(b"HTTP/1.1 404")  # once
        assert (await login.answer()).code == "c"
        for address in ("0.0.0.0", "::"):
            assert not listens(address, port)
    with pytest.raises(OSError):
        await say(port, good)


async def say(port: int, text: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    answer = await reader.read()
    writer.close()
    return answer


def listens(address: str, port: int) -> bool:
    """Whether somebody listens on every interface (proc(5), /proc/net/tcp)."""
    rows = Path("/proc/net/tcp6" if ":" in address else "/proc/net/tcp").read_text().splitlines()[1:]
    words = [row.split() for row in rows]
    return any(one[1] == f"{'0' * len(one[1].split(':')[0])}:{port:04X}" and one[3] == "0A" for one in words)
