from lsp_agent.domain.message import Message, ReasoningPart, Role, TextPart, ToolCallPart
from lsp_agent.domain.run import RunState
from lsp_agent.ports.store import PutMessage, SetRunState


def working(stage):
    """A run in the middle of a step: text streaming, one call finished, one open, a question asked, a fold taken."""
    run = stage.run("a") and stage.lane.active.run
    hub = stage.hub
    first = Message(
        "m1", "s1", Role.ASSISTANT, [TextPart("I will"), ToolCallPart("t1", "edit", "{}")], run_key=run.run_key
    )
    second = Message("m2", "s1", Role.ASSISTANT, run_key=run.run_key)
    second.parts = [ReasoningPart("hm"), TextPart("half"), ToolCallPart("t2", "view", '{"pa')]
    hub.durable("s1", run, {"sessionUpdate": "tool_call_update", "toolCallId": "t1", "status": "in_progress"})
    stage.store.write([PutMessage(first), PutMessage(second)])
    hub.durable("s1", run, {"sessionUpdate": "tool_call_update", "toolCallId": "t2", "status": "pending"})
    hub.durable("s1", run, {"sessionUpdate": "permission_requested", "requestId": "p1"})
    hub.durable("s1", run, {"sessionUpdate": "permission_requested", "requestId": "p2"})
    hub.durable("s1", run, {"sessionUpdate": "permission_resolved", "requestId": "p2"})
    hub.durable("s1", run, {"sessionUpdate": "tool_call_update", "toolCallId": "t3", "status": "pending"})
    stage.settle()
    return run


def test_F01_an_interrupted_run_is_closed_as_a_turn_would_have_closed_it(stage):
    working(stage)
    after = stage.crash()
    after.do(after.agent.recover())
    after.settle()
    updates = [event.get("update", {}) for event in after.screen.events]
    assert [update.get("sessionUpdate") for update in updates] == [
        "agent_message",
        "agent_message",
        "tool_call_update",
        "tool_call_update",
        "permission_resolved",
        "tool_call_update",
        None,
        "state_update",
    ]
    assert [update["status"] for update in updates if "status" in update] == ["cancelled"] * 3
    assert updates[4] == {
        "sessionUpdate": "permission_resolved",
        "requestId": "p1",
        "outcome": "cancelled",
        "resolvedBy": None,
    }
    complete = next(event for event in after.screen.events if "stopReason" in event)
    assert (complete["messageId"], complete["text"], complete["stopReason"]) == ("m2", "half", "interrupted")
    assert after.messages() == ["user -", "assistant error", "assistant error", "tool stop", "tool stop"]
    assert after.disk.messages["m2"].tool_calls[0].input == "{}"


def test_recovery_that_is_cut_short_can_be_repeated(stage):
    working(stage)
    crashed = stage
    for at_s in (0.0, 0.0005, 0.001, 0.002, 0.004):
        crashed = crashed.crash()
        crashed.loop.create_task(crashed.agent.recover())
        crashed.settle(at_s)
    after = crashed.crash()
    after.do(after.agent.recover())
    after.settle()
    terminals = [row for row in after.disk.events["s1"].values() if row.terminal]
    assert len(terminals) == 1
    assert after.messages().count("tool stop") == 2
    assert after.do(after.agent.recover()) == 0


def test_a_prompt_that_folded_but_was_not_written_is_written(stage):
    stage.run("a")
    stage.run(None, prompt="also this")
    stage.controls["a"].take_folds()
    stage.settle()
    after = stage.crash()
    after.do(after.agent.recover())
    after.settle()
    assert [message.text for message in after.disk.messages.values()] == ["do it", "also this"]
    assert after.screen.completions == ["a interrupted"]


def test_a_half_summary_is_dropped(stage):
    run = stage.run("a") and stage.lane.active.run
    summary = Message("m1", "s1", Role.ASSISTANT, [TextPart("so far")], is_summary=True, run_key=run.run_key)
    stage.store.write([PutMessage(summary)])
    stage.settle()
    after = stage.crash()
    after.do(after.agent.recover())
    after.settle()
    assert after.messages() == ["user -"]
    assert after.screen.named("compaction_update") == ["2 compaction_update a m1"]


def test_the_order_of_a_moved_queue_survives(stage):
    for name in "abcd":
        stage.run(name)
    stage.agent.queue("s1", "move", item="d", index=0)
    stage.settle()
    after = stage.crash()
    after.do(after.agent.recover())
    assert repr(after.lane) == "<- | d b c dormant>"


def test_a_run_that_was_marked_running_before_its_message_is_closed_too(stage):
    stage.run("a")
    stage.run("b")
    key = next(reversed(stage.disk.runs))
    stage.store.write([SetRunState(key, RunState.RUNNING)])
    stage.settle()
    after = stage.crash()
    assert after.do(after.agent.recover()) == 2
    after.settle()
    assert after.screen.completions == ["a interrupted", "b interrupted"]
