"""Hooks of the user's file around a real server."""

import json
import shlex
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import fresh, sent_to_model
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.process


async def play(client, **params):
    run_id = fresh()
    result = await client.request("agent/run", {"runId": run_id, **params})
    return result["sessionId"], await client.until_complete(run_id)


async def test_hooks_of_the_users_file_and_of_claude_code_stand_around_every_call(tmp_path):
    async with new_world(tmp_path) as world:
        kept = tmp_path / "kept.jsonl"
        guard = "grep -q secret.txt && { echo 'that one is mine' >&2; exit 2; }; exit 0"
        claude = {"PostToolUse": [{"matcher": "Write", "hooks": [{"type": "command", "command": f"cat >> {kept}"}]}]}
        settings = tmp_path / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"hooks": claude}))
        entry = f"[[hooks.PreToolUse]]\nmatcher = 'Write|Edit'\ncommand = {json.dumps(guard)}"
        world.configure(more=f"[hooks]\nclaude_settings = {json.dumps(str(settings))}\n{entry}")
        steps = [tool("write", {"file_path": name, "content": "x"}) for name in ("secret.txt", "open.txt")]
        world.fake.push([text("I write."), *steps, usage(1, 1)], [text("done")])
        client = await world.start()
        session, end = await play(client, prompt="write")
        assert end["text"] == "done"
        assert not (world.project / "secret.txt").exists()
        assert (world.project / "open.txt").read_text() == "x"
        assert "that one is mine" in sent_to_model(world.fake)
        told = [json.loads(line) for line in kept.read_text().splitlines()]
        assert [(one["tool_name"], one["tool_input"]["file_path"]) for one in told] == [("Write", "open.txt")]
        assert told[0]["session_id"] == session
        updates = [event["update"] for event in client.events(session, "tool_call_update")]
        statuses = {one["toolCallId"]: one["status"] for one in updates}
        assert sorted(statuses.values()) == ["completed", "rejected"]


async def test_a_prompt_that_is_held_back_ends_the_run_as_refused_and_the_next_one_goes_on(tmp_path):
    async with new_world(tmp_path) as world:
        world.configure(more="[[hooks.UserPromptSubmit]]\ncommand = 'grep -q hunter2 && exit 2; exit 0'")
        client = await world.start()
        session, end = await play(client, prompt="the password is hunter2")
        assert (end["stopReason"], end["error"]) == ("refusal", None)
        assert world.fake.requests == []
        _, end = await play(client, prompt="hello", sessionId=session)
        assert end["stopReason"] == "end_turn"
        assert "hunter2" not in sent_to_model(world.fake)


async def test_a_cancel_ends_a_hook_that_never_answers_and_a_shutdown_leaves_nothing(tmp_path):
    async with new_world(tmp_path) as world:
        started, mark = tmp_path / "started", "31.4199"
        hook = f"touch {shlex.quote(str(started))}; sleep {mark}"
        world.configure(more=f"[[hooks.UserPromptSubmit]]\ncommand = {json.dumps(hook)}")
        client = await world.start()
        run_id = fresh()
        result = await client.request("agent/run", {"runId": run_id, "prompt": "wait"})
        while not started.exists():
            await client.request("agent/session/list", {})
        await client.request("agent/cancel", {"sessionId": result["sessionId"]})
        end = await client.until_complete(run_id)
        assert end["stopReason"] == "cancelled"
        await client.shutdown()
        alive = [
            entry
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and f"sleep\0{mark}".encode() in _line(entry)
        ]
        assert alive == []


def _line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""
