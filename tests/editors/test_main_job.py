"""The main job in a real Neovim with no plugin at all: an unsaved buffer, a question, an approved edit, one undo."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.editors.nvim import ROOT, Nvim
from tests.harness.fake_provider import FakeProvider, Turn, text, tool, usage

pytestmark = [pytest.mark.editor, pytest.mark.process]

MARKER = "UNSAVED = 1  # typed a moment ago"
OLD, NEW = '__version__ = "0.1.0"', '__version__ = "0.1.0"  # seen by the agent'


@contextmanager
def provider(turns: list[Turn]) -> Iterator[FakeProvider]:
    """A fake model service on a loop of its own, so that the test may block in Neovim."""
    fake = FakeProvider(turns, aside=[text("A title"), usage(1, 1)])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake provider")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(10)
        yield fake
        asyncio.run_coroutine_threadsafe(fake.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def configuration(dialect: str, url: str) -> str:
    base = url if dialect == "anthropic" else f"{url}/v1"
    return f"""
[models]
large = "local/fake-large"

[providers.local]
type = "{dialect}"
base_url = "{base}"
api_key = "sk-not-a-key"

[[providers.local.models]]
id = "fake-large"
context_window = 200000
max_output_tokens = 4096

[agent]
update_interval_ms = 0

[limits]
retries = 0
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository."""
    target = tmp_path_factory.mktemp("workspace") / "lsp-agent"
    subprocess.run(["git", "clone", "-q", "--local", "--no-hardlinks", str(ROOT), str(target)], check=True)
    return target


@pytest.mark.parametrize("dialect", ["anthropic", "openai", "openai-compat"])
def test_an_approved_edit_lands_on_top_of_unsaved_text_and_is_undone_in_one_step(
    dialect: str, tmp_path: Path, workspace: Path
) -> None:
    file = workspace / "lsp_agent/__init__.py"
    on_disk = file.read_bytes()
    turns: list[Turn] = [
        [text("I will read it.", deltas=3), tool("view", {"file_path": str(file)}), usage(100, 10)],
        [tool("edit", {"file_path": str(file), "old_string": OLD, "new_string": NEW}), usage(200, 20)],
        [text("The version line is marked now.", deltas=6), usage(300, 10)],
    ]
    with (
        provider(turns) as fake,
        Nvim(tmp_path / "home", workspace, config=configuration(dialect, fake.url)) as nvim,
    ):
        nvim.open(file)
        nvim.start_agent()
        nvim.api.input(f"Go{MARKER}<Esc>")
        nvim.until(lambda: MARKER in nvim.text())
        before, version = nvim.text(), nvim.version()
        attached = {"type": "buffer", "uri": nvim.uri(), "version": version}
        accepted = nvim.request(
            "agent/run", {"runId": "job", "prompt": "Mark the version line.", "attachments": [attached]}
        )
        assert accepted["state"] == "running"
        asked = nvim.until(lambda: nvim.events("permission_requested"))[0]["update"]
        assert asked["subject"]["type"] == "edit"
        assert nvim.text() == before, "nothing is changed before it is allowed"
        outcome = {"type": "selected", "optionId": "allow_once"}
        answer = nvim.request("agent/permission/respond", {"requestId": asked["requestId"], "outcome": outcome})
        assert answer == {"accepted": True}
        done = nvim.until(nvim.completes)[0]
        assert (done["stopReason"], done["runId"], done["text"]) == (
            "end_turn",
            "job",
            "The version line is marked now.",
        )
        assert done["changes"] == {"files": 1, "added": 1, "removed": 1}
        assert nvim.text() == before.replace(OLD, NEW)
        assert MARKER in nvim.text()
        assert nvim.api.current.buffer.options["modified"]
        assert file.read_bytes() == on_disk
        _the_model_saw_the_unsaved_text(fake)
        _events_are_in_order(nvim, accepted)
        nvim.api.command("undo")
        assert nvim.text() == before
        # nothing more comes of a run that is over
        nvim.request("agent/status", {})
        assert len(nvim.completes()) == 1


def _the_model_saw_the_unsaved_text(fake: FakeProvider) -> None:
    bodies = [str(item.body) for item in fake.requests if (item.body or {}).get("tools")]
    assert len(bodies) == 3
    assert all(MARKER in body for body in bodies), "the buffer as it was typed, not the file"


def _events_are_in_order(nvim: Nvim, accepted: dict[str, Any]) -> None:
    events = [event for event in nvim.events() if event["sessionId"] == accepted["sessionId"]]
    kinds = [event["update"]["sessionUpdate"] for event in events]
    for needed in ("user_message", "agent_message_chunk", "tool_call_update", "permission_requested", "changes_update"):
        assert needed in kinds, needed
    numbered = [
        event["seq"] for event in events if "chunk" not in event and event["update"]["sessionUpdate"] != "usage_update"
    ]
    terminal = nvim.completes()[0]["seq"]
    assert sorted([*numbered, terminal]) == list(range(1, max(*numbered, terminal) + 1))
    last = max(event["seq"] for event in events if event.get("runId") == "job")
    assert last < terminal
    said: dict[str, str] = {}
    for event in events:
        update = event["update"]
        if update["sessionUpdate"] == "agent_message_chunk":
            said[update["messageId"]] = said.get(update["messageId"], "") + update["content"]["text"]
        elif update["sessionUpdate"] == "agent_message":
            whole = "".join(part["text"] for part in update["content"])
            assert said.get(update["messageId"], "") == whole
