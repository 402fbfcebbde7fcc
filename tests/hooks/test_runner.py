"""Hooks as real processes: what they are told, how they are bounded, and that nothing of them stays."""

import asyncio
import json
import time
from pathlib import Path

from tests.hooks.bench import until


def processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in line and state not in (b"Z", b"X"):
                found.append(int(entry.name))
    return found


async def test_a_command_is_told_what_happens_in_both_vocabularies(bench):
    own, read_own = bench.keeps("own")
    claude, read_claude = bench.keeps("claude")
    bench.configure(PreToolUse=[{"command": own}, {"matcher": "Read", "hooks": [{"command": claude}]}])
    await bench.run(tool="view", tool_input={"file_path": "a.py"}, mode="accept-edits")
    (told,), (told_claude,) = read_own(), read_claude()
    assert told["event"] == told["hook_event_name"] == "PreToolUse"
    assert (told["tool_name"], told_claude["tool_name"], told_claude["tool"]) == ("view", "Read", "view")
    assert told["tool_input"] == {"file_path": "a.py"}
    assert (told["session_id"], told["cwd"], told["tool_use_id"]) == ("s", str(bench.root), "c1")
    assert (told["mode"], told["permission_mode"], told["transcript_path"]) == ("accept-edits", "acceptEdits", None)


async def test_the_environment_is_clean_and_says_who_is_asking(bench):
    out = bench.scripts / "env"
    bench.configure(PreToolUse=[{"command": f"env -0 > {out}; pwd >> {out}.pwd"}])
    await bench.run(tool_input={"command": "git push\n; ls", "file_path": "x"})
    env = dict(item.split("=", 1) for item in out.read_text().split("\0") if item)
    assert env["LSP_AGENT"] == "1"
    assert env["AGENT"] == env["AI_AGENT"] == "lsp-agent"
    assert (env["LSP_AGENT_EVENT"], env["LSP_AGENT_TOOL_NAME"], env["LSP_AGENT_SESSION_ID"]) == (
        "PreToolUse",
        "bash",
        "s",
    )
    assert env["LSP_AGENT_CWD"] == env["LSP_AGENT_PROJECT_DIR"] == env["CLAUDE_PROJECT_DIR"] == str(bench.root)
    assert env["LSP_AGENT_TOOL_INPUT_COMMAND"] == "git push\n; ls"
    assert env["LSP_AGENT_TOOL_INPUT_FILE_PATH"] == "x"
    assert "CANARY_KEY" not in env
    assert Path(f"{out}.pwd").read_text().strip() == str(bench.root)


async def test_what_a_command_reads_has_no_name_any_more(bench):
    out = bench.scripts / "stdin"
    bench.configure(PreToolUse=[{"command": f"readlink /proc/self/fd/0 > {out}"}])
    await bench.run()
    assert out.read_text().strip().endswith("(deleted)")


async def test_hooks_run_beside_each_other_and_each_command_once(bench):
    one, told = bench.keeps("one")
    meet = "touch {0}; for i in $(seq 500); do [ -e {1} ] && exit 0; sleep 0.01; done; exit 2"
    a, b = bench.scripts / "a", bench.scripts / "b"
    bench.configure(
        PreToolUse=[
            {"command": meet.format(a, b)},
            {"command": one},
            {"command": meet.format(b, a)},
            {"command": one, "name": "again"},
        ]
    )
    result = await bench.run()
    assert (result.decision, result.metadata["count"]) == ("", 3)
    assert len(told()) == 1


async def test_answers_count_in_the_order_of_the_configuration_not_of_their_coming(bench):
    late = "sleep 0.3; " + bench.says({"context": "first", "updated_input": {"a": 1, "b": 1}}, "late")
    soon = bench.says({"context": "second", "updated_input": {"b": 2}}, "soon")
    bench.configure(PreToolUse=[{"command": late}, {"command": soon}])
    result = await bench.run(tool_input={"a": 0})
    assert (result.context, result.input) == ("first\nsecond", {"a": 1, "b": 2})


async def test_a_command_that_is_late_has_no_say_and_is_ended_with_its_tree(bench):
    mark = "31.4151"
    bench.configure(PreToolUse=[{"command": f"setsid sleep {mark} & sleep {mark}; exit 2", "timeout": 0.4}])
    started = time.monotonic()
    result = await bench.run()
    assert time.monotonic() - started < 2.5
    assert (result.decision, result.halt) == ("", False)
    assert "within 0.4 s" in result.metadata["hooks"][0]["error"]
    assert "had no say" in result.metadata["messages"][0]
    await until(lambda: not processes_with(mark))


async def test_one_that_ignores_the_wish_to_stop_is_waited_for_a_second_and_killed(bench):
    mark = "31.4152"
    bench.configure(PreToolUse=[{"command": f"trap '' TERM; sleep {mark}; sleep {mark}", "timeout": 0.4}])
    started = time.monotonic()
    await bench.run()
    assert time.monotonic() - started < 2.5
    await until(lambda: not processes_with(mark))


async def test_a_cancel_ends_every_command_at_once(bench):
    mark = "31.4153"
    bench.configure(PreToolUse=[{"command": f"sleep {mark}"}, {"command": f"setsid sleep {mark} & wait"}])
    task = asyncio.create_task(bench.run())
    await until(lambda: len(processes_with(f"sleep\0{mark}")) >= 2)
    started = time.monotonic()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()
    assert time.monotonic() - started < 0.5
    await until(lambda: not processes_with(mark))


async def test_a_flood_of_output_is_no_opinion_and_no_burden(bench):
    deny = bench.says({"decision": "deny"})
    bench.configure(PreToolUse=[{"command": f"head -c 20000000 /dev/zero | tr '\\0' ' '; {deny}"}])
    result = await bench.run()
    assert result.decision == ""
    assert "64 KiB" in result.metadata["hooks"][0]["error"] or "output" in result.metadata["hooks"][0]["error"]


async def test_an_argument_too_long_to_be_shown_is_forbidden(bench):
    seen, told = bench.keeps("seen")
    bench.configure(PreToolUse=[{"command": seen}])
    for command in ("x" * 200_000, "a\0b"):
        result = await bench.run(tool_input={"command": command})
        assert result.decision == "deny"
        assert "cannot be shown" in result.reason
    assert told() == []


async def test_a_large_argument_that_needs_no_variable_reaches_the_command_whole(bench):
    seen, told = bench.keeps("seen")
    bench.configure(PreToolUse=[{"matcher": "write", "command": seen}])
    await bench.run(tool="write", tool_input={"file_path": "a", "content": "é" * 2_000_000})
    assert told()[0]["tool_input"]["content"] == "é" * 2_000_000


async def test_text_that_is_not_quite_text_still_reaches_the_command(bench):
    seen, told = bench.keeps("seen")
    bench.configure(PostToolUse=[{"command": seen}])
    await bench.run("PostToolUse", tool_response={"content": "a\ud800"})
    assert told()[0]["tool_response"]["content"] == "a\ud800"


async def test_a_failure_is_told_once_and_stays_in_the_metadata(bench):
    bench.configure(PreToolUse=[{"command": "echo broken >&2; exit 7"}])
    first, second = await bench.run(), await bench.run()
    assert first.metadata["messages"] == [
        "The hook `echo broken >&2; exit 7` (PreToolUse) had no say: it ended with exit code 7: broken."
    ]
    assert "messages" not in second.metadata
    assert second.metadata["hooks"][0]["error"].startswith("it ended with exit code 7")


async def test_only_what_is_meant_runs(bench):
    seen, told = bench.keeps("seen")
    bench.configure(
        PreToolUse=[{"matcher": "^write$", "command": seen}],
        SessionStart=[{"matcher": "resume", "command": seen}],
        UserPromptSubmit=[{"matcher": "never looked at", "command": seen}],
    )
    assert bench.hooks.wants("PreToolUse", "write")
    assert not bench.hooks.wants("PreToolUse", "bash")
    assert not bench.hooks.wants("PostToolUse", "write")
    await bench.run(tool="bash")
    await bench.run("SessionStart", "", source="startup")
    assert told() == []
    await bench.run("SessionStart", "", source="resume")
    await bench.run("UserPromptSubmit", "", prompt="hi")
    assert [one["event"] for one in told()] == ["SessionStart", "UserPromptSubmit"]


async def test_CF_01_nothing_runs_in_a_workspace_that_is_not_trusted(bench):
    seen, told = bench.keeps("seen")
    bench.configure(PreToolUse=[{"command": seen}], SessionStart=[{"command": seen}])
    bench.active = False
    assert not bench.hooks.wants("PreToolUse", "bash")
    assert (await bench.run()).metadata == {}
    assert told() == []


async def test_a_hook_written_for_claude_code_works_as_it_is(bench):
    guard = bench.script(
        "guard.sh",
        """
command=$(python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["tool_name"], d["tool_input"]["command"])')
case "$command" in
  "Bash rm "*) echo "no removing" >&2; exit 2 ;;
  *) echo '{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "allow"}}' ;;
esac
""",
    )
    settings = {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": guard, "timeout": 20}]}]}
    bench.configure(**json.loads(json.dumps(settings)))
    assert (await bench.run(tool_input={"command": "ls"})).decision == "allow"
    denied = await bench.run(tool_input={"command": "rm -rf x"})
    assert (denied.decision, denied.reason) == ("deny", "no removing")


async def test_closing_leaves_no_directory_behind(bench):
    bench.configure(PreToolUse=[{"command": "true"}])
    await bench.run()
    directory = Path(bench.processes._directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert list(directory.iterdir()) == []
    await bench.hooks.close()
    await bench.hooks.close()
    assert not directory.exists()
