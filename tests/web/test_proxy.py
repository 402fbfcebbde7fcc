# ruff: noqa: E501  # tables read better in few lines
"""The proxy out of the sandbox: what is granted passes, everything else does not, and tunnels end."""

import asyncio
import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.web.connect_proxy import ConnectProxy, TunnelLimits
from lsp_agent.web.guard import Domains, Guard
from lsp_agent.web.proxy_request import BadRequest, parse_request
from lsp_agent.web.urls import UrlRefused
from tests.shell.conftest import until
from tests.web.site import Names, answer


@pytest.fixture
async def proxy_for():
    made = []

    async def make(
        site, place, *, limits=None, granted=("site.example",), names=None, refused=lambda host, why: None, ask=None
    ):
        names = names or Names(site_example="127.0.0.1")
        guard = Guard(
            resolve=names, allow_private=[("site.example", site.port)], endpoints=[("evil.example", site.port)]
        )
        proxy = ConnectProxy(Domains(granted).covers, guard, limits=limits, refused=refused, ask=ask)
        await proxy.start(place)
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        await proxy.close()
        await proxy.close()


async def talk(path, data: bytes) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    async with asyncio.timeout(5):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            head = error.partial
    return head.split(b"\r\n")[0], reader, writer


async def test_a_granted_host_is_reached_through_the_socket(proxy_for, site, tmp_path):
    site.routes["/"] = answer("through the tunnel")
    path = tmp_path / "proxy.sock"
    proxy = await proxy_for(site, path)
    assert path.stat().st_mode & 0o777 == 0o600
    status, reader, writer = await talk(path, f"CONNECT SITE.example.:{site.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b" 200 " in status
    writer.write(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert b"through the tunnel" in await reader.read()
    writer.close()
    await until(lambda: not proxy._tunnels)
    traffic = proxy.traffic
    assert (traffic.opened, traffic.refused, traffic.sent_bytes) == (1, 0, 38)
    assert traffic.received_bytes > 60
    await proxy.close()
    assert not path.exists()


async def test_EX_08_nothing_else_is_reached(proxy_for, site, tmp_path):
    names = Names(site_example="127.0.0.1", evil_example="127.0.0.1")
    told = {}
    path = tmp_path / "proxy.sock"
    proxy = await proxy_for(site, path, granted=("site.example", "evil.example"), names=names, refused=told.__setitem__)
    port = site.port
    hosts = [f"evil.example:{port}", f"site.example.evil.com:{port}", "site.example:22", f"127.0.0.1:{port}", f"[::1]:{port}", f"2130706433:{port}",
             f"xsite.example:{port}", f"user@site.example:{port}", f"site.example%00.evil:{port}", "localhost:80", "169.254.169.254:80", f"site.example:{port}:1"]  # fmt: skip
    for host in hosts:
        status, _, writer = await talk(path, f"CONNECT {host} HTTP/1.1\r\n\r\n".encode())
        assert b" 403 " in status, (host, status)
        writer.close()
    for line, code in {b"GET http://site.example/ HTTP/1.1": b"403", b"GET / HTTP/1.1\r\nHost: site.example": b"405", b"CONNECT site.example\0:443 HTTP/1.1": b"400", b"CONNECT a\tb:1 HTTP/1.1": b"405",
                       b"CONNECT site.example:443 HTTP/1.1\r\nX: \x01": b"400", b"CONNECT  HTTP/1.1": b"405", b"\x05\x01\x00": b"400", b"POST / HTTP/1.1": b"405",
                       b"CONNECT a:1 HTTP/1.1\r\nX: " + b"y" * 20_000: b"431", b"CONNECT a:1\nHost: x HTTP/1.1": b"400"}.items():  # fmt: skip
        status, _, writer = await talk(path, line + b"\r\n\r\n")
        assert code in status, (line[:40], status)
        writer.close()
    assert site.connections == 0
    assert proxy.traffic.opened == 0
    assert "not granted" in told["site.example.evil.com"] or "Port" in told["site.example.evil.com"]
    print(f"\nproxy: {proxy.traffic.refused} requests refused, 0 connections")


async def test_on_loopback_only_who_knows_the_token_gets_through(proxy_for, site):
    proxy = await proxy_for(site, 0)
    user, _, where = proxy.url.removeprefix("http://").partition("@")
    host, _, port = where.partition(":")
    for token, code in {"": b"407", "lsp-agent:wrong": b"407", user: b"200"}.items():
        reader, writer = await asyncio.open_connection(host, int(port))
        credentials = f"Proxy-Authorization: Basic {base64.b64encode(token.encode()).decode()}\r\n" if token else ""
        writer.write(f"CONNECT site.example:{site.port} HTTP/1.1\r\n{credentials}\r\n".encode())
        assert code in await reader.readline()
        writer.close()


async def test_tunnels_are_bounded_in_number_time_and_bytes(proxy_for, site, tmp_path):
    async def echo(heard, writer):
        while data := await heard.reader.read(65536):
            writer.write(data)
            await writer.drain()

    site.routes["/"] = echo
    limits = TunnelLimits(max_tunnels=2, head_s=0.3, idle_s=0.3, max_bytes=300_000)
    path = tmp_path / "proxy.sock"
    proxy = await proxy_for(site, path, limits=limits)
    connect = f"CONNECT site.example:{site.port} HTTP/1.1\r\n\r\n".encode()
    first, second = await talk(path, connect), await talk(path, connect)
    third = await talk(path, connect)
    assert b" 503 " in third[0]
    started = time.monotonic()
    assert await first[1].read() == b""  # nothing was said: it ends by itself
    assert await second[1].read() == b""
    assert time.monotonic() - started < 2
    await until(lambda: not proxy._tunnels)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""  # no request at all
    writer.close()
    _, reader, writer = await talk(path, connect)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    received = 0
    try:
        for _ in range(100):
            writer.write(b"x" * 10_000)
            await writer.drain()
        while data := await reader.read(65536):
            received += len(data)
    except OSError:
        pass
    writer.close()
    await until(lambda: not proxy._tunnels)
    assert proxy.traffic.received_bytes + proxy.traffic.sent_bytes <= 300_000
    for one in (first, second, third):
        one[2].close()


async def test_closing_ends_every_tunnel(proxy_for, site, tmp_path):
    path = tmp_path / "proxy.sock"
    proxy = await proxy_for(site, path)
    _, reader, writer = await talk(path, f"CONNECT site.example:{site.port} HTTP/1.1\r\n\r\n".encode())
    await proxy.close()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(path)


# ------------------------------------------------------------------------------------------------------------ plain http


async def test_a_plain_request_is_sent_on_under_the_name_it_was_granted_for(proxy_for, site, tmp_path):
    site.routes["/"] = answer("plain")
    path = tmp_path / "proxy.sock"
    await proxy_for(site, path)
    fields = "Host: evil.example\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: yes"
    request = f"POST http://Site.Example:{site.port}/a/../?q=1 HTTP/1.1\r\n{fields}\r\nContent-Length: 4\r\n\r\nbody"
    second = b"GET http://evil.example/second HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    status, reader, writer = await talk(path, request.encode() + second)
    assert b" 200 " in status
    assert b"plain" in await reader.read()
    writer.close()
    [heard] = site.heard
    assert (heard.method, heard.path, heard.body) == ("POST", "/?q=1", b"body")
    assert heard.headers == {
        "host": f"site.example:{site.port}",
        "x-kept": "yes",
        "content-length": "4",
        "connection": "close",
    }


async def test_nothing_follows_a_plain_request(proxy_for, site, tmp_path):
    rest = []

    async def listen(heard, writer):
        writer.write(answer("first"))
        await writer.drain()
        try:
            async with asyncio.timeout(0.5):
                rest.append(await heard.reader.read())
        except TimeoutError:
            rest.append(b"")

    site.routes["/"] = listen
    path = tmp_path / "proxy.sock"
    await proxy_for(site, path)
    request = f"GET http://site.example:{site.port}/ HTTP/1.1\r\n\r\n".encode()
    _, reader, writer = await talk(path, request + b"GET /smuggled HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert b"first" in await reader.read()
    writer.close()
    assert rest == [b""]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST http://site.example/ HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
        (b"POST http://site.example/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 9", 400),
        (b"POST http://site.example/ HTTP/1.1\r\nContent-Length: +4", 400),
        (b"POST http://site.example/ HTTP/1.1\r\nContent-Length: 4, 4", 400),
        (b"GET http://site.example/ HTTP/1.1\r\n folded: x", 400),
        (b"GET http://site.example/ HTTP/1.1\r\nName : x", 400),
        (b"GET http://site.example/ HTTP/1.1\r\nnot a field", 400),
        (b"GET http://site.example/ HTTP/1.1\rX: y", 400),
        (b"GET http://site.example/ HTTP/2", 405),
        (b"GET http://site.example/ x HTTP/1.1", 405),
        (b"CONNECT site.example:443 HTTP/1.1 ", 405),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(head, status):
    with pytest.raises(BadRequest) as caught:
        parse_request(head + b"\r\n\r\n")
    assert caught.value.status == status


@given(
    st.lists(
        st.sampled_from([b"CONNECT ", b"GET ", b"POST ", b"http://", b"site.example", b":443", b"@", b"/", b" HTTP/1.1", b"\r\n", b"Host: x", b"\0", b"\n", b"\t", b"%0d%0a", b"#", b"?", b"\\", b"Content-Length: 3", b"\xff", b"[::1]", b".", b" "])
        | st.binary(max_size=8),
        max_size=14,
    )
)  # fmt: skip
def test_EX_08_whatever_is_asked_what_goes_on_is_one_request_to_one_host(pieces):
    try:
        request = parse_request(b"".join(pieces) + b"\r\n\r\n")
    except (BadRequest, UrlRefused):
        return
    assert request.host.isascii()
    assert request.host == request.host.lower()
    assert not set(request.host) & set("/@#?%\\ \r\n\0\t")
    if not request.is_tunnel:
        lines = request.head.split(b"\r\n")
        assert request.head.endswith(b"\r\n\r\n")
        assert request.head.count(b"\n") == request.head.count(b"\r") == len(lines) - 1
        assert [line for line in lines[1:] if line.lower().startswith(b"host:")] == [lines[1]]
        assert b"\0" not in request.head


# ------------------------------------------------------------------------------------------------------------ the question


async def test_a_host_that_is_not_granted_yet_waits_for_the_answer(proxy_for, site, tmp_path):
    site.routes["/"] = answer("after the answer")
    asked, gate = [], asyncio.Event()

    async def ask(host):
        asked.append(host)
        await gate.wait()
        return True

    path = tmp_path / "proxy.sock"
    names = Names(site_example="127.0.0.1")
    await proxy_for(site, path, granted=(), names=names, ask=ask)
    reader, writer = await asyncio.open_unix_connection(path)
    # the client is in a hurry and does not wait for the tunnel
    writer.write(f"CONNECT site.example:{site.port} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n".encode())
    await until(lambda: asked)
    assert names.asked == []  # EX-02: nothing is looked up before the answer
    gate.set()
    assert b"after the answer" in await reader.read()
    writer.close()
    assert [heard.path for heard in site.heard] == ["/"]


async def test_a_client_that_goes_away_is_not_waited_for(proxy_for, site, tmp_path):
    ended = []

    async def ask(host):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(host)

    path = tmp_path / "proxy.sock"
    proxy = await proxy_for(site, path, granted=(), ask=ask)
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(f"CONNECT site.example:{site.port} HTTP/1.1\r\n\r\n".encode())
    await until(lambda: proxy._tunnels)
    writer.close()
    await until(lambda: not proxy._tunnels)
    assert ended in ([], ["site.example"])
    assert site.connections == 0
