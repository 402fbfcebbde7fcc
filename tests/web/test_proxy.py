# ruff: noqa: E501  # tables read better in few lines
"""The proxy out of the sandbox: what is granted passes, everything else does not, and tunnels end."""

import asyncio
import base64
import time

import pytest

from lsp_agent.web.connect_proxy import ConnectProxy, TunnelLimits
from lsp_agent.web.guard import Domains, Guard
from tests.shell.conftest import until
from tests.web.site import Names, answer


@pytest.fixture
async def proxy_for():
    made = []

    async def make(site, place, *, limits=None, granted=("site.example",), names=None, refused=lambda host, why: None):
        names = names or Names(site_example="127.0.0.1")
        guard = Guard(
            resolve=names, allow_private=[("site.example", site.port)], endpoints=[("evil.example", site.port)]
        )
        proxy = ConnectProxy(Domains(granted).covers, guard, limits=limits, refused=refused)
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
