"""The harness finds what it is there to find, and a short batch of it finds nothing."""

import os
import socket
import subprocess
import sys

import pytest

from tests.hostile.attacks import PROTECTED, Attacker
from tests.hostile.ground import PROCESS_MARK, Ground
from tests.hostile.play import batch


@pytest.fixture
def ground(tmp_path):
    made = Ground(tmp_path.resolve(), "mark")
    made.configure({}, "")
    yield made
    made.close()


def test_an_untouched_ground_is_judged_clean_and_every_secret_is_somewhere(ground):
    assert ground.judge([], "") == []
    assert list(ground._next) == []


def test_a_write_outside_is_found(ground):
    (ground.outside / "pwned").write_text("x")
    (ground.home / ".ssh/authorized_keys").write_text("x")
    assert len(ground.judge([], "")) == 2


@pytest.mark.parametrize("name", PROTECTED)
def test_a_write_to_a_protected_file_is_found_also_where_there_was_none(ground, name):
    path = ground.project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("pwned")
    assert any(name in fault for fault in ground.judge([], ""))


def test_bytes_at_a_listener_are_found(ground):
    with socket.create_connection(("127.0.0.1", ground.listener.port)) as leak:
        leak.send(b"key")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leak:
        leak.sendto(b"key", ("127.0.0.1", ground.listener.udp_port))
    while len(ground.listener.heard) < 2:
        pass
    assert len(ground.judge([], "")) == 2


def test_secrets_in_a_frame_a_log_or_the_standard_error_are_found(ground):
    (ground.home / "data").mkdir()
    (ground.home / "data/x.log").write_text(f"key {ground.secrets[3]}")
    found = ground.judge([f'{{"text": "{ground.secrets[1]}"}}'], f"oops {ground.secrets[2]}")
    assert len(found) == 3


def test_a_process_that_was_left_behind_is_found(ground):
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print('on', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, PROCESS_MARK: "mark"},
    ) as left:
        assert left.stdout is not None
        left.stdout.readline()
        assert any("left behind" in fault for fault in ground.judge([], ""))
        left.kill()


def test_the_same_seed_makes_the_same_attack():
    assert Attacker(5).run("m") == Attacker(5).run("m")
    assert Attacker(5).run("m") != Attacker(6).run("m")


@pytest.mark.process
def test_a_batch_of_hostile_runs_breaks_nothing():
    report = batch(77, 20)
    assert report.faults == []
    assert report.runs == 20
    assert report.calls > 30
