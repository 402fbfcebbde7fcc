"""Fetching weights over real HTTP: cut connections, wrong bytes, no space, no yes; and what is found on the disk."""

import asyncio
import hashlib
import os
import random
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lsp_agent.local.catalogue import Candidate, candidates
from lsp_agent.local.gguf import NotGguf, read_facts
from lsp_agent.local.pulling import Offer, pull, remove, size_text
from lsp_agent.local.weights import KNOWN, Installed, Weights, WeightsError, find, installed, models_dir
from tests.local.hub import Hub

CONTENT = random.Random(7).randbytes(3_000_000)
WEIGHTS = Weights(
    "tiny", "tiny.gguf", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "MIT", 8192, 0.1, "", "tests", 1
)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(CONTENT) as server:
        yield server


class Person:
    """Answers the question, and remembers what was asked and shown."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.offers: list[Offer] = []
        self.shown: list[int] = []

    def confirm(self, offer: Offer) -> bool:
        self.offers.append(offer)
        return self.answer

    def progress(self, have: int, total: int) -> None:
        self.shown.append(have)


async def fetch(hub: Hub, directory: Path, person: Person | None = None, weights: Weights = WEIGHTS) -> Installed:
    person = person or Person()
    return await pull(
        "tiny",
        directory,
        confirm=person.confirm,
        on_progress=person.progress,
        url=hub.url,
        catalogue=lambda name: weights if name == "tiny" else None,
        silence_s=2.0,
        pause_s=0.001,
    )


async def test_weights_are_fetched_proved_and_kept_privately(hub, tmp_path):
    person = Person()
    item = await fetch(hub, tmp_path / "models", person)
    assert item.path.read_bytes() == CONTENT
    assert stat.S_IMODE(item.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(item.path.stat().st_mode) == 0o600
    assert [offer.sentence for offer in person.offers] == ["tiny (MIT): 3 MiB from 127.0.0.1"]
    assert person.shown[-1] == len(CONTENT)
    assert list(item.path.parent.iterdir()) == [item.path]


async def test_without_a_yes_not_one_byte_is_asked_for(hub, tmp_path):
    with pytest.raises(WeightsError, match="Nothing was fetched"):
        await fetch(hub, tmp_path, Person(answer=False))
    assert hub.asked == []
    assert list(tmp_path.iterdir()) == []


async def test_what_is_there_is_not_fetched_again(hub, tmp_path):
    await fetch(hub, tmp_path)
    await fetch(hub, tmp_path, Person(answer=False))
    assert len(hub.asked) == 1


async def test_a_cut_connection_goes_on_where_it_stopped(hub, tmp_path):
    hub.cuts = [1_000_000, 500_000]
    item = await fetch(hub, tmp_path)
    assert item.path.read_bytes() == CONTENT
    assert [asked.get("range") for asked in hub.asked] == [None, "bytes=1000000-", "bytes=1500000-"]


async def test_a_server_that_refuses_now_and_then_is_asked_again(hub, tmp_path):
    hub.statuses = [503, 429]
    assert (await fetch(hub, tmp_path)).path.exists()


async def test_a_server_without_ranges_starts_again_and_ends_right(hub, tmp_path):
    hub.cuts, hub.ranges = [1_000_000], False
    assert (await fetch(hub, tmp_path)).path.read_bytes() == CONTENT


async def test_giving_up_keeps_what_came_and_the_next_call_goes_on(hub, tmp_path):
    hub.cuts = [1_000_000]
    hub.statuses = [0, *[500] * 8]
    with pytest.raises(WeightsError, match="run the command again to go on"):
        await fetch(hub, tmp_path)
    assert (tmp_path / "tiny.gguf.part").stat().st_size == 1_000_000
    hub.statuses = []
    person = Person()
    await fetch(hub, tmp_path, person)
    assert person.offers[0].already == 1_000_000
    assert hub.asked[-1]["range"] == "bytes=1000000-"


async def test_cancelling_keeps_what_came(hub, tmp_path):
    hub.cuts, hub.stalls = [1_500_000], True
    person = Person()
    task = asyncio.create_task(fetch(hub, tmp_path, person))
    async with asyncio.timeout(10):
        while sum(person.shown[-1:]) != 1_500_000:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (tmp_path / "tiny.gguf").exists()
    assert (tmp_path / "tiny.gguf.part").stat().st_size == 1_500_000
    hub.stalls = False
    assert (await fetch(hub, tmp_path)).path.read_bytes() == CONTENT


async def test_wrong_bytes_are_thrown_away(hub, tmp_path):
    hub.content = CONTENT[:-1] + b"\0"
    with pytest.raises(WeightsError, match="not what it should be"):
        await fetch(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_more_bytes_than_there_should_be_are_not_kept(hub, tmp_path):
    hub.content = CONTENT * 2
    with pytest.raises(WeightsError, match="more than the weights have"):
        await fetch(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_file_says_so(hub, tmp_path):
    hub.statuses = [404]
    with pytest.raises(WeightsError, match="answered 404"):
        await fetch(hub, tmp_path)


async def test_plain_http_to_another_machine_is_refused_also_behind_a_redirect(hub, tmp_path):
    with pytest.raises(WeightsError, match="https only"):
        await pull("smollm2-135m", tmp_path, confirm=lambda _: True, on_progress=lambda *_: None, url="http://a.test/x")
    hub.redirect = "http://198.51.100.1:9/x"
    with pytest.raises(WeightsError):
        await asyncio.wait_for(fetch(hub, tmp_path), 30)


async def test_too_little_space_is_said_before_the_first_byte(hub, tmp_path):
    huge = replace(WEIGHTS, size=1 << 60)
    with pytest.raises(WeightsError, match="too little space"):
        await fetch(hub, tmp_path, weights=huge)
    assert hub.asked == []


async def test_two_at_once_do_not_mix_their_bytes(hub, tmp_path):
    results = await asyncio.gather(fetch(hub, tmp_path), fetch(hub, tmp_path), return_exceptions=True)
    assert any(isinstance(result, Installed) for result in results), results
    assert (tmp_path / "tiny.gguf").read_bytes() == CONTENT


async def test_a_link_in_the_place_of_the_part_is_not_followed(hub, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    directory = tmp_path / "models"
    directory.mkdir()
    (directory / "tiny.gguf.part").symlink_to(victim)
    with pytest.raises((WeightsError, OSError)):
        await fetch(hub, directory)
    assert victim.read_text() == "mine"


def test_the_catalogue_names_licence_size_and_sum_of_each():
    for weights in KNOWN:
        assert len(bytes.fromhex(weights.sha256)) == 32
        assert weights.size > 90_000_000
        assert weights.licence == "Apache-2.0"
        assert not weights.url or weights.url.startswith("https://")


def test_weights_are_kept_below_the_users_data_directory(tmp_path):
    assert models_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/lsp-agent/models")
    assert models_dir({"XDG_DATA_HOME": "relative", "HOME": "/home/u"}) == Path("/home/u/.local/share/lsp-agent/models")


def header(**facts: object) -> bytes:
    """The beginning of a GGUF file with these facts."""
    out = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + len(facts).to_bytes(8, "little")
    for name, value in facts.items():
        key = name.replace("__", ".").encode()
        out += len(key).to_bytes(8, "little") + key
        if isinstance(value, int):
            out += (4).to_bytes(4, "little") + value.to_bytes(4, "little")
        else:
            text = str(value).encode()
            out += (8).to_bytes(4, "little") + len(text).to_bytes(8, "little") + text
    return out


def test_a_file_of_ones_own_says_what_it_is(tmp_path):
    path = tmp_path / "own.gguf"
    path.write_bytes(header(general__architecture="qwen2", qwen2__context_length=4096, general__size_label="7B"))
    facts = read_facts(path)
    assert (facts.architecture, facts.context_length, facts.billions) == ("qwen2", 4096, 7.0)
    found = Candidate.read(find(str(path), tmp_path / "none"))
    assert (found.window, found.billions) == (4096, 7.0)
    assert Candidate.read(find(str(path), tmp_path), 2048).window == 2048


@pytest.mark.parametrize("content", [b"", b"GGUF", b"\x7fELF" + b"x" * 100, b"GGUF" + b"\xff" * 100])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, content):
    path = tmp_path / "no.gguf"
    path.write_bytes(content)
    with pytest.raises(NotGguf):
        read_facts(path)
    assert candidates("", tmp_path, 0) == []


def test_a_header_that_lies_about_its_lengths_is_harmless(tmp_path):
    path = tmp_path / "odd.gguf"
    for tail in (b"\xff" * 8, b"\x04" + b"\0" * 7 + b"abcd" + b"\x09\0\0\0" + b"\xff" * 12, b""):
        path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + b"\0" * 8 + (5).to_bytes(8, "little") + tail)
        assert read_facts(path).context_length == 0


def test_unknown_and_missing_weights_say_what_to_do(tmp_path):
    with pytest.raises(WeightsError, match=r"lsp-agent local pull qwen2\.5-coder-0\.5b"):
        find("qwen2.5-coder-0.5b", tmp_path)
    with pytest.raises(WeightsError, match="Known are"):
        find("gpt-9", tmp_path)
    with pytest.raises(WeightsError, match="absolute"):
        find("models/x.gguf", tmp_path)


async def test_weights_can_be_removed_and_nothing_else(hub, tmp_path):
    item = await fetch(hub, tmp_path)
    other = Installed("x", tmp_path.parent / "x.gguf", None)
    with pytest.raises(WeightsError):
        remove(other, tmp_path)
    assert remove(item, tmp_path) == len(CONTENT)
    assert installed(tmp_path) == []


def test_a_file_cut_short_does_not_count(tmp_path):
    (tmp_path / KNOWN[0].file_name).write_bytes(b"GGUF")
    assert [item.known for item in installed(tmp_path)] == [None]


def test_sizes_are_said_as_people_say_them():
    assert (size_text(491_400_064), size_text(1_117_320_768)) == ("469 MiB", "1.04 GiB")


@pytest.mark.process
def test_the_command_line_says_the_size_and_fetches_nothing_without_a_yes(tmp_path):
    env = {"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    code = (
        "import argparse, sys\nfrom lsp_agent.cli.local import add_arguments, local_command\n"
        "parser = argparse.ArgumentParser()\nadd_arguments(parser)\nsys.exit(local_command(parser.parse_args()))"
    )

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-c", code, *arguments]
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    done = run("pull", "qwen2.5-coder-0.5b")
    assert done.returncode == 1
    assert "469 MiB from huggingface.co" in done.stdout
    assert "Nothing was fetched" in done.stderr
    assert "qwen2.5-coder-1.5b" in run("list").stdout
    assert run("path").stdout.strip() == str(tmp_path / "lsp-agent" / "models")
    assert run("rm", "qwen2.5-coder-0.5b").returncode == 1
    assert not (tmp_path / "lsp-agent").exists()
