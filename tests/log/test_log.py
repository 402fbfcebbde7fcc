import json
import logging
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent import log
from lsp_agent.log import HIDDEN, Redactor

LOGGER = logging.getLogger("lsp_agent.test")


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def installed(tmp_path, pipe):
    made = log.install(tmp_path / "data", Redactor(["hunter2-hunter2"]), stderr_fd=pipe[1], max_bytes=4000, keep=2)
    yield made
    made.close()


def lines(installed):
    return [json.loads(line) for line in installed.path.read_text().splitlines()]


def test_a_record_is_one_json_line_in_a_file_that_is_ours_alone(installed):
    LOGGER.info("run %s\nstarted", "r1")
    (line,) = lines(installed)
    assert line["message"] == "run r1\nstarted"
    assert (line["level"], line["logger"]) == ("INFO", "lsp_agent.test")
    assert line["time"].endswith("Z")
    assert installed.path.stat().st_mode & 0o777 == 0o600


def test_only_warnings_reach_standard_error_as_one_visible_line(installed, pipe):
    LOGGER.info("quiet")
    LOGGER.warning("loud\x1b[31m\n\u202enext hunter2-hunter2")
    text = os.read(pipe[0], 65536).decode()
    assert text.count("\n") == 1
    assert "quiet" not in text
    assert f"loud\\x1b[31m\\n\\u202enext {HIDDEN}" in text


def test_a_standard_error_that_nobody_reads_never_stops_us(installed, pipe):
    os.set_blocking(pipe[0], False)
    for number in range(3000):
        LOGGER.warning("line %d %s", number, "x" * 200)
    assert installed.dropped > 0
    assert len(os.read(pipe[0], 1 << 20)) > 10_000


def test_a_long_warning_is_cut_to_what_a_pipe_takes_at_once(installed, pipe):
    LOGGER.warning("é" * 20_000)
    assert len(os.read(pipe[0], 1 << 20)) <= 4096


def test_the_file_rotates_and_keeps_only_so_many(installed):
    for number in range(200):
        LOGGER.info("line %d %s", number, "x" * 100)
    names = sorted(path.name for path in installed.path.parent.iterdir())
    assert names == ["lsp-agent.log", "lsp-agent.log.1", "lsp-agent.log.2"]
    assert all(path.stat().st_size <= 4000 for path in installed.path.parent.iterdir())
    assert lines(installed)[-1]["message"].startswith("line 199")


def test_EX_13_secrets_are_hidden_in_messages_arguments_and_tracebacks(installed, pipe):
    try:
        raise ValueError("key was hunter2-hunter2") from RuntimeError("and hunter2-hunter2")
    except ValueError:
        LOGGER.exception("failed with %s", {"key": "hunter2-hunter2"})
    written = installed.path.read_text() + os.read(pipe[0], 65536).decode()
    assert "hunter2" not in written
    assert "ValueError" in lines(installed)[0]["error"]


def test_a_record_whose_arguments_do_not_fit_is_still_logged(installed):
    class Broken:
        def __str__(self):
            raise RuntimeError("no text")

    # Handed to our handlers alone: pytest's own raises.
    for message, argument in (("%d files", "three"), ("%s", Broken()), ("surrogate %s", "\ud800")):
        record = LOGGER.makeRecord("lsp_agent.test", logging.INFO, "", 0, message, (argument,), None)
        for handler in installed._handlers:
            handler.handle(record)
    assert len(lines(installed)) == 3
    assert installed.dropped == 0


def test_a_long_message_is_cut(installed):
    LOGGER.info("x" * 1_000_000)
    assert installed.path.stat().st_size < 10_000


@pytest.mark.parametrize("where", ["file/data", "dangling"])
def test_F09_without_a_directory_lines_are_dropped_and_nothing_raises(tmp_path, pipe, where):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "file")
    made = log.install(tmp_path / where, Redactor(), stderr_fd=pipe[1])
    LOGGER.warning("lost in the file")
    assert made.dropped == 1
    assert b"lost" in os.read(pipe[0], 65536)
    made.close()
    made.close()


def test_a_symlink_in_the_place_of_the_log_is_not_followed(tmp_path, pipe):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "lsp-agent.log").symlink_to(tmp_path / "victim")
    made = log.install(tmp_path, Redactor(), stderr_fd=pipe[1])
    LOGGER.warning("text")
    assert (tmp_path / "victim").read_text() == "mine"
    made.close()


def test_installing_again_replaces_what_was(tmp_path, pipe):
    first = log.install(tmp_path / "a", Redactor(), stderr_fd=pipe[1])
    second = log.install(tmp_path / "b", Redactor(), stderr_fd=pipe[1])
    LOGGER.warning("once")
    assert not first.path.exists()
    assert second.path.exists()
    assert os.read(pipe[0], 65536).count(b"once") == 1
    second.close()
    first.close()


def test_other_packages_are_logged_from_warning_only(installed):
    logging.getLogger("aiosqlite").debug("payload")
    logging.getLogger("pygls").info("payload")
    logging.getLogger("pygls").warning("trouble")
    assert [line["message"] for line in lines(installed)] == ["trouble"]


KEY = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"


@pytest.mark.parametrize(
    "text",
    [
        f"sk-ant-api03-{KEY}",
        f"sk-proj-{KEY}",
        f"AIza{KEY}",
        f"ghp_{KEY}",
        f"github_pat_{KEY}",
        f"hf_{KEY}",
        "xoxb-123456789-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        f"Authorization: Bearer {KEY}",
        f"x-api-key: {KEY}",
        f"?a=1&key={KEY}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{KEY}",
        f"postgres://user:{KEY}@host/db",
        f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key_is_hidden(text):
    redacted = Redactor().redact(f"before {text} after")
    assert HIDDEN in redacted
    assert KEY not in redacted
    assert redacted.startswith("before ")
    assert text not in redacted


def test_ordinary_text_is_left_alone():
    text = (
        "task-list sk-short desk-organisation risk-assessment-of-everything file:///a:b/c http://host:80/x key=1 3.14"
    )
    assert Redactor().redact(text) == text


def test_a_short_value_is_not_a_secret_and_none_is_nothing():
    redactor = Redactor(["abc", ""])
    redactor.register(None)
    assert redactor.redact("abc and None") == "abc and None"


@given(
    st.text(min_size=6, max_size=30).filter(lambda text: len(text.strip()) >= 6 and text.strip() not in HIDDEN),
    st.text(max_size=10),
)
def test_a_registered_value_is_hidden_also_inside_json(secret, around):
    redactor = Redactor(["other-secret", secret])
    plain = secret.strip()
    for text in (around + plain + around, json.dumps({"a": plain}), json.dumps({"a": plain}, ensure_ascii=False)):
        assert plain not in redactor.redact(text).replace(HIDDEN, "\0")


def test_the_longer_of_two_secrets_is_hidden_whole():
    assert Redactor(["secret", "secret-and-more"]).redact("secret-and-more") == HIDDEN


def test_importing_the_log_is_cheap():
    heavy = ("logging.config", "logging.handlers", "asyncio", "pydantic")
    code = f"import sys, lsp_agent.log; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
