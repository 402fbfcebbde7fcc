"""Real hooks around whole turns: what they forbid, change, add, allow and hold up (CORE 25, issue 3 point 9)."""

import asyncio
import json
from dataclasses import replace

import pytest

from lsp_agent.agent.hooking import MAX_CONTINUATIONS, NOT_PASSED_ON, WITHHELD
from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.message import Role
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import StopReason
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.tools import ToolResult
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import World, call, calls, say, tool
from tests.hooks.bench import PolicyApprover, until

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "command": {"type": "string"}},
    "additionalProperties": False,
}


class Seen:
    """A tool that keeps what it was given."""

    def __init__(self, answer: str = "done", **result):
        self.arguments, self.contexts = [], []
        self.answer, self.result = answer, result

    async def run(self, arguments, context):
        self.arguments.append(dict(arguments))
        self.contexts.append(context)
        return ToolResult(self.answer, **self.result)


def world_of(bench, *scripts, seen=None, name="bash", approver=None, limits=None, **more) -> World:
    seen = seen or Seen()
    made = World(tools=[tool(name, seen.run, schema=SCHEMA, **more)], limits=limits or TurnLimits(update_interval_ms=0))
    made.seen = seen
    made.script(*scripts)
    return bench.turn(made, **({"approver": approver} if approver else {}))


def results(world):
    return {part.tool_call_id: part for row in world.store.all() for part in row.tool_results}


def sound(world):
    assert_history_is_sound(world.store.all())
    assert_events_are_sound(world.events.all, world.store.all())


async def test_a_denied_call_does_not_run_and_the_model_reads_why(bench):
    bench.configure(PreToolUse=[{"matcher": "bash", "command": "echo not today >&2; exit 2", "name": "calendar"}])
    world = world_of(bench, calls(call("c1", "bash", '{"command": "ls"}')), say("I see."))
    outcome = await world.play()
    assert world.seen.arguments == []
    part = results(world)["c1"]
    assert part.is_error
    assert part.content == "This call was not run: a hook of the user forbids it. not today"
    assert part.metadata["hook"]["decision"] == "deny"
    assert part.metadata["hook"]["hooks"][0]["name"] == "calendar"
    assert world.events.statuses("c1") == ["pending", "in_progress", "rejected"]
    assert (outcome.stop_reason, outcome.text) == (StopReason.END_TURN, "I see.")
    sound(world)


async def test_a_halt_ends_the_turn_and_the_calls_behind_it_do_not_run(bench):
    bench.configure(
        PreToolUse=[{"command": "grep -q stop && { echo enough >&2; exit 49; }; exit 0"}],
        Stop=[{"command": "exit 2"}],
    )
    world = world_of(bench, calls(call("c1", "bash", '{"text": "stop"}'), call("c2", "bash", '{"text": "go"}')))
    outcome = await world.play()
    assert world.seen.arguments == []
    assert "ended the turn. enough" in results(world)["c1"].content
    assert outcome.stop_reason is StopReason.END_TURN
    assert len(world.provider.requests) == 1, "a turn that was halted is not kept going by a Stop hook"
    sound(world)


async def test_changed_arguments_run_and_are_what_clients_see(bench):
    bench.configure(PreToolUse=[{"command": bench.says({"updated_input": {"command": "ls -l"}, "context": "was ls"})}])
    world = world_of(bench, calls(call("c1", "bash", '{"command": "ls", "text": "t"}')), say("ok"))
    await world.play()
    assert world.seen.arguments == [{"command": "ls -l", "text": "t"}]
    assert results(world)["c1"].content == "done\nwas ls"
    assert results(world)["c1"].metadata["hook"]["input_rewrite"] is True
    shown = [one.get("rawInput") for one in world.events.of("tool_call_update") if one["toolCallId"] == "c1"]
    assert shown[-1] == {"command": "ls -l", "text": "t"}
    assert world.store.all()[1].tool_calls[0].input == '{"command": "ls", "text": "t"}', "the model's words stay"
    sound(world)


async def test_changed_arguments_must_fit_the_schema(bench):
    bench.configure(PreToolUse=[{"command": bench.says({"updated_input": {"command": 3, "else": 1}})}])
    world = world_of(bench, calls(call("c1", "bash", '{"command": "ls"}')), say("ok"))
    await world.play()
    assert world.seen.arguments == []
    assert "command must be of type string" in results(world)["c1"].content
    assert "else is not a parameter" in results(world)["c1"].content


WISHES = {
    "edit": PermissionAsk("edit", "write", "Edit", {"type": "edit"}, path="/work/project/a.py"),
    "protected": PermissionAsk("edit", "write", "Edit", {"type": "edit"}, path=".git/hooks/pre-commit"),
    "outside": PermissionAsk("edit", "write", "Edit", {}, path="/etc/passwd", inside_workspace=False),
    "secret": PermissionAsk("view", "read", "Read", {"type": "path"}, path=".env"),
    "command": PermissionAsk("bash", "execute", "Run", {"command": "make test", "sandbox": "bubblewrap"}),
    "opaque": PermissionAsk("bash", "execute", "Run", {"command": "$X", "sandbox": "bubblewrap"}),
    "unconfined": PermissionAsk("bash", "execute", "Run", {"command": "make test", "sandbox": "none"}),
}


class Asking(Seen):
    """A tool that asks for what its text says before it answers."""

    async def run(self, arguments, context):
        self.arguments.append(dict(arguments))
        decision = await context.approver.ask(
            context.run, context.call.tool_call_id, context.mode, WISHES[arguments["text"]]
        )
        return ToolResult("yes" if decision.allowed else "no", is_error=not decision.allowed)


async def allowed(bench, wish, *, mode="ask", **rules):
    approver = PolicyApprover(**rules)
    world = world_of(
        bench,
        calls(call("c1", "bash", json.dumps({"text": wish}))),
        say("ok"),
        seen=Asking(),
        approver=approver,
    )
    await world.play(mode=mode)
    return results(world)["c1"].content == "yes", bool(approver.asked)


async def test_allow_answers_the_question_of_this_call(bench):
    assert await allowed(bench, "edit") == (False, True)
    bench.configure(PreToolUse=[{"command": bench.says({"decision": "allow"})}])
    assert await allowed(bench, "edit") == (True, False)
    assert await allowed(bench, "command") == (True, False)


@pytest.mark.parametrize(
    ("wish", "mode", "rules", "asked"),
    [
        ("edit", "ask", {"deny": ["edit"]}, False),
        ("edit", "plan", {}, False),
        ("protected", "ask", {}, True),
        ("outside", "ask", {}, True),
        ("secret", "ask", {}, True),
        ("opaque", "ask", {}, True),
        ("unconfined", "ask", {}, True),
    ],
)
async def test_allow_lifts_no_deny_rule_no_plan_mode_and_nothing_that_must_be_asked(bench, wish, mode, rules, asked):
    bench.configure(PreToolUse=[{"command": bench.says({"decision": "allow"})}])
    assert await allowed(bench, wish, mode=mode, **rules) == (False, asked)


async def test_allow_is_for_this_call_only_and_leaves_the_mode_alone(bench):
    bench.configure(PreToolUse=[{"command": f"grep -q first && {bench.says({'decision': 'allow'})}; exit 0"}])
    seen = Seen()
    asked = calls(call("c1", "bash", '{"text": "first"}'), call("c2", "bash", '{"text": "second"}'))
    world = world_of(bench, asked, say("ok"), seen=seen, approver=PolicyApprover())
    await world.play(mode="ask")
    ask = WISHES["edit"]
    first, second = seen.contexts
    assert (first.mode, second.mode) == ("ask", "ask")
    assert (await first.approver.ask(first.run, "c1", "ask", ask)).allowed
    assert not (await first.approver.ask(first.run, "c9", "ask", ask)).allowed
    assert not (await second.approver.ask(second.run, "c2", "ask", ask)).allowed


async def test_ask_puts_the_call_before_the_user_whatever_the_mode(bench):
    bench.configure(PreToolUse=[{"command": bench.says({"hookSpecificOutput": {"permissionDecision": "ask"}})}])
    assert await allowed(bench, "edit", mode="full-auto") == (False, True)


async def test_after_a_call_hooks_are_told_its_result_and_add_to_it(bench):
    kept, told = bench.keeps("kept")
    objection = bench.says({"decision": "block", "reason": "run the formatter"}, "block")
    bench.configure(
        PostToolUse=[
            {"matcher": "Bash", "hooks": [{"command": kept}, {"command": objection}]},
            {"command": bench.says({"hookSpecificOutput": {"additionalContext": "3 files"}}, "add")},
        ]
    )
    world = world_of(bench, calls(call("c1", "bash", '{"command": "ls"}')), say("ok"))
    await world.play()
    part = results(world)["c1"]
    assert part.content == "done\n3 files\nA hook of the user objects: run the formatter"
    assert not part.is_error
    assert part.metadata["hook_after"]["count"] == 3
    assert told()[0]["tool_response"] == {"content": "done", "is_error": False, "success": True}
    assert told()[0]["tool_input"] == {"command": "ls"}
    sound(world)


async def test_a_call_that_failed_has_no_hooks_after_it(bench):
    kept, told = bench.keeps("kept")
    bench.configure(PostToolUse=[{"command": kept}])
    world = world_of(bench, calls(call("c1", "bash")), say("ok"), seen=Seen("broken", is_error=True))
    await world.play()
    assert told() == []


async def test_after_a_call_a_hook_can_end_the_turn(bench):
    bench.configure(PostToolUse=[{"command": bench.says({"continue": False, "stopReason": "enough"})}])
    world = world_of(bench, calls(call("c1", "bash")))
    assert (await world.play()).stop_reason is StopReason.END_TURN
    assert results(world)["c1"].content == "done\nA hook of the user objects: enough"
    assert len(world.provider.requests) == 1


async def test_the_tools_of_a_sub_agent_have_no_hooks(bench):
    kept, told = bench.keeps("kept")
    events = ("PreToolUse", "PostToolUse", "SessionStart", "UserPromptSubmit", "Stop", "PreCompact")
    bench.configure(**{event: [{"command": f"{kept}; exit 2"}] for event in events})
    world = world_of(bench, calls(call("c1", "bash")), say("ok"))
    world.store.sessions_by_id["s"].parent_session_id = "parent"
    assert (await world.play()).stop_reason is StopReason.END_TURN
    assert results(world)["c1"].content == "done"
    assert told() == []


async def test_a_cancel_while_a_hook_thinks_ends_hook_and_turn(bench):
    started = bench.scripts / "started"
    bench.configure(PreToolUse=[{"command": f"touch {started}; sleep 33.3; exit 2"}])
    world = world_of(bench, calls(call("c1", "bash")))
    task = asyncio.create_task(world.play())
    await until(started.exists)
    task.cancel()
    outcome = await asyncio.wait_for(task, 5)
    assert outcome.stop_reason is StopReason.CANCELLED
    assert world.seen.arguments == []
    assert world.events.statuses("c1")[-1] == "cancelled"
    sound(world)


async def test_a_cancel_while_a_hook_thinks_about_a_result_loses_no_result(bench):
    started = bench.scripts / "started"
    bench.configure(PostToolUse=[{"command": f"touch {started}; sleep 33.3"}])
    world = world_of(bench, calls(call("c1", "bash")))
    task = asyncio.create_task(world.play())
    await until(started.exists)
    task.cancel()
    assert (await asyncio.wait_for(task, 5)).stop_reason is StopReason.CANCELLED
    assert results(world)["c1"].content == "done"
    assert world.events.statuses("c1")[-1] == "completed"
    sound(world)


# -------------------------------------------------------------------------------------------------------- prompts


async def test_context_for_a_prompt_follows_it_and_stays_in_the_conversation(bench):
    bench.configure(
        SessionStart=[{"command": "echo branch main"}],
        UserPromptSubmit=[{"command": bench.says({"hookSpecificOutput": {"additionalContext": "it is late"}})}],
    )
    world = world_of(bench, say("ok"), say("again"))
    await world.play("hello")
    sent = [message.text for message in world.provider.requests[0].messages]
    assert sent == ["hello", "Context from the user's hooks:\nbranch main\nit is late"]
    assert [one.get("synthetic") for one in world.events.of("user_message")] == [None, True]
    await world.play("more")
    sent = [message.text for message in world.provider.requests[1].messages]
    assert sent[-2:] == ["more", "Context from the user's hooks:\nit is late"]
    sound(world)


async def test_a_prompt_that_is_held_back_never_reaches_the_model_or_the_history(bench):
    bench.configure(UserPromptSubmit=[{"command": "grep -q hunter2 && { echo a password >&2; exit 2; }; exit 0"}])
    world = world_of(bench, say("ok"))
    outcome = await world.play("my password is hunter2")
    assert (outcome.stop_reason, outcome.text, outcome.error) == (StopReason.REFUSAL, NOT_PASSED_ON, None)
    assert world.provider.requests == []
    assert [row.text for row in world.store.all()] == [WITHHELD, NOT_PASSED_ON]
    assert [one["message"] for one in world.events.of("notice")] == ["A hook held a prompt back: a password"]
    assert world.store.states == [("key1", "running")]
    sound(world)
    await world.play("hello")
    assert "hunter2" not in repr(world.provider.requests[0].messages)
    sound(world)


async def test_a_session_is_named_after_the_first_prompt_that_was_let_in(bench):
    bench.configure(UserPromptSubmit=[{"command": "grep -q hunter2 && exit 2; exit 0"}])
    world = world_of(bench, say("ok"))
    world.store.sessions_by_id["s"].title_is_users = False
    await world.play("hunter2")
    await world.play("a lamp")
    await until(lambda: bool(world.provider.title_requests))
    await world.runner.aclose(1.0)
    assert [request.messages[-1].text.count("a lamp") for request in world.provider.title_requests] == [1]


async def test_a_prompt_that_joins_is_looked_at_too(bench):
    bench.configure(UserPromptSubmit=[{"command": "grep -q hunter2 && exit 2; exit 0"}])
    world = world_of(bench, calls(call("c1", "bash")), say("ok"))
    world.control.folds = [world.run("joins"), world.run("hunter2 joins")]
    await world.play("hello")
    users = [row.text for row in world.store.all() if row.role is Role.USER]
    assert sorted(users) == sorted(["hello", "joins", WITHHELD])
    assert "hunter2" not in repr([request.messages for request in world.provider.requests])
    sound(world)


async def test_a_cancel_while_a_prompt_is_looked_at_keeps_the_prompt(bench):
    started = bench.scripts / "started"
    bench.configure(UserPromptSubmit=[{"command": f"touch {started}; sleep 33.3"}])
    world = world_of(bench)
    task = asyncio.create_task(world.play("hello"))
    await until(started.exists)
    task.cancel()
    assert (await asyncio.wait_for(task, 5)).stop_reason is StopReason.CANCELLED
    assert world.store.all()[0].text == "hello"
    assert world.provider.requests == []
    sound(world)


async def test_a_cancel_while_joining_prompts_are_looked_at_loses_none(bench):
    started = bench.scripts / "started"
    bench.configure(UserPromptSubmit=[{"command": f"grep -q joins && {{ touch {started}; sleep 33.3; }}; exit 0"}])
    world = world_of(bench, say("ok"))
    world.control.folds = [world.run("joins one"), world.run("joins two")]
    task = asyncio.create_task(world.play("hello"))
    await until(started.exists)
    task.cancel()
    await asyncio.wait_for(task, 5)
    assert {row.text for row in world.store.all() if row.role is Role.USER} == {"hello", "joins one", "joins two"}
    sound(world)


async def test_a_session_starts_once_and_is_taken_up_again_after_a_restart(bench):
    kept, told = bench.keeps("kept")
    bench.configure(SessionStart=[{"command": kept}])
    world = world_of(bench, say("one"), say("two"), say("three"))
    await world.play()
    await world.play()
    assert [one["source"] for one in told()] == ["startup"]
    bench.turn(world)  # a new runner: another life of the server
    await world.play()
    assert [one["source"] for one in told()] == ["startup", "resume"]


# --------------------------------------------------------------------------------------------------------- endings


async def test_a_stop_hook_keeps_the_turn_going_until_it_is_content(bench):
    kept, told = bench.keeps("kept")
    flag = bench.scripts / "flag"
    bench.configure(
        Stop=[{"command": kept}, {"command": f"[ -e {flag} ] && exit 0; touch {flag}; echo tests are red >&2; exit 2"}]
    )
    world = world_of(bench, say("done"), say("now really done"))
    outcome = await world.play()
    assert (outcome.stop_reason, outcome.text, outcome.steps) == (StopReason.END_TURN, "now really done", 2)
    assert world.provider.requests[1].messages[-1].text == (
        "A hook of the user does not let this end yet: tests are red"
    )
    assert [one["stop_hook_active"] for one in told()] == [False, True]
    assert told()[0]["last_assistant_message"] == "done"
    sound(world)


async def test_PI_08_a_stop_hook_that_is_never_content_keeps_a_turn_three_times_at_most(bench):
    bench.configure(Stop=[{"command": "exit 2"}])
    world = world_of(bench, *[say(f"answer {number}") for number in range(20)])
    outcome = await world.play()
    assert outcome.steps == 1 + MAX_CONTINUATIONS
    assert outcome.stop_reason is StopReason.END_TURN
    sound(world)


async def test_PI_08_the_limits_of_the_run_stand_above_a_stop_hook(bench):
    bench.configure(Stop=[{"command": "exit 2"}])
    world = world_of(bench, *[say(f"answer {number}") for number in range(20)])
    outcome = await world.play(max_steps=2)
    assert outcome.steps == 2
    assert "max_steps" in world.events.notices()


# ------------------------------------------------------------------------------------------------------ compaction

TIGHT = Model("local", "large", context_window=10_000)


def nearly_full(bench, **table):
    bench.configure(**table)
    world = world_of(bench, calls(call("c1", "bash"), usage=Usage(input=9_000, output=10)), say("ok"))
    world.providers.large = TIGHT
    return world


async def test_before_a_compaction_hooks_say_what_must_not_be_forgotten(bench):
    kept, told = bench.keeps("kept")
    keep = bench.says({"context": "keep the ticket number"}, "keep")
    world = nearly_full(
        bench,
        PreCompact=[{"matcher": "auto", "command": kept}, {"command": keep}],
        SessionStart=[{"matcher": "compact", "command": "echo read the notes again"}],
    )
    await world.play()
    assert [one["trigger"] for one in told()] == ["auto"]
    assert "keep the ticket number" in world.provider.summary_requests[0].messages[-1].text
    assert world.provider.requests[1].messages[-1].text == "Context from the user's hooks:\nread the notes again"
    sound(world)


async def test_a_hook_may_forbid_a_compaction_and_the_turn_goes_on(bench):
    world = nearly_full(bench, PreCompact=[{"command": "echo not now >&2; exit 2"}])
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.END_TURN
    assert world.provider.summary_requests == []
    assert [one["status"] for one in world.events.of("compaction_update")] == ["started", "failed"]
    assert "a hook forbids it: not now" in world.events.of("notice")[0]["message"]
    sound(world)


async def test_a_compaction_the_user_asks_for_is_put_to_hooks_as_manual(bench):
    kept, told = bench.keeps("kept")
    bench.configure(PreCompact=[{"command": kept}])
    world = world_of(bench, say("ok"))
    await world.play()
    assert await world.compact("s")
    assert [one["trigger"] for one in told()] == ["manual"]
    assert world.session.summary_message_id is not None


async def test_what_a_hook_wants_said_to_the_user_is_a_notice(bench):
    bench.configure(PreToolUse=[{"command": bench.says({"systemMessage": "looked at it"})}])
    world = world_of(bench, calls(call("c1", "bash")), say("ok"))
    await world.play()
    assert [(one["code"], one["message"]) for one in world.events.of("notice")] == [("hook", "looked at it")]


async def test_hooks_of_parallel_calls_run_beside_each_other(bench):
    a, b = bench.scripts / "a", bench.scripts / "b"
    wait = "for i in $(seq 500); do [ -e $2 ] && exit 0; sleep 0.01; done; exit 2"
    meet = f"grep -q first && set -- {a} {b} || set -- {b} {a}; touch $1; {wait}"
    bench.configure(PreToolUse=[{"command": meet}])
    asked = calls(call("c1", "bash", '{"text": "first"}'), call("c2", "bash", '{"text": "second"}'))
    world = world_of(bench, asked, say("ok"), parallel=True)
    await world.play()
    assert [part.content for part in results(world).values()] == ["done", "done"]


async def test_without_hooks_a_turn_is_as_it_was(bench):
    world = world_of(bench, calls(call("c1", "bash")), say("ok"))
    await world.play()
    assert results(world)["c1"].metadata == {}
    assert [one["sessionUpdate"] for one in world.events.all[:2]] == ["user_message", "state_update"]
    assert replace(world.services).hooks.wants("PreToolUse", "bash") is False
