import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.run import RunState
from tests.agent_lane.stage import Connection


def test_10_11_shutdown_interrupts_keeps_the_queue_and_refuses_what_comes(stage):
    stage.run("a")
    stage.run("b")

    async def never():
        await stage.loop.create_future()

    stage.run("slow", attachments=never)
    stage.do(stage.agent.shutdown())
    assert stage.answers[-1] == "refused ShuttingDown"
    assert stage.run("c") == "refused ShuttingDown"
    assert stage.run("d", session_id=None) == "refused ShuttingDown"
    assert stage.screen.completions == ["a interrupted"]
    assert [state.value for _, state, _ in stage.disk.runs.values()] == ["done", "queued"]
    stage.do(stage.agent.shutdown())


def test_shutdown_with_a_store_that_hangs_is_bounded_and_still_tells_the_client(stage):
    stage.run("a")
    stage.store.is_broken = True
    began = stage.loop.time()
    stage.do(stage.agent.shutdown(2.0))
    assert stage.loop.time() - began < 8
    assert stage.screen.completions == ["a interrupted"]


def test_deleting_a_busy_session_cancels_it_first(stage):
    stage.run("a")
    stage.run("b")
    stage.do(stage.agent.delete_session("s1"))
    assert sorted(stage.screen.completions) == ["a cancelled", "b cancelled"]
    assert stage.run("c") == "refused SessionNotFound"
    with pytest.raises(RequestRejected):
        stage.do(stage.agent.delete_session("s1"))


def test_losing_a_connection_cancels_nothing(stage):
    editor = Connection()
    stage.run("a", subscriber=editor)
    stage.agent.drop(editor)
    stage.release("a")
    assert stage.screen.completions == ["a end_turn"]
    assert editor.lines == ["1 user_message a 00000002"]


def test_10_3_after_a_kill_active_runs_are_interrupted_once_and_queued_ones_wait_for_a_client(stage):
    stage.run("a")
    stage.run("b")
    after = stage.crash()
    assert after.do(after.agent.recover()) == 1
    after.settle()
    assert after.screen.completions == ["a interrupted"]
    assert after.controls == {}
    editor, answers = Connection(), []
    after.do(after.agent.attach("s1", editor, 1, answers.append))
    assert answers[0]["mode"] == "replay"
    assert editor.lines[:3] == ["2 queue_update b", "3 complete a interrupted", "4 state_update idle"]
    after.release("b")
    assert editor.lines[-2:] == ["7 complete b end_turn", "8 state_update idle"]
    again = after.crash()
    assert again.do(again.agent.recover()) == 0


def test_a_repeated_request_after_a_restart_starts_the_restored_run(stage):
    stage.run("a")
    stage.run("b")
    after = stage.crash()
    after.do(after.agent.recover())
    editor = Connection()
    assert after.run("b", session_id=None, subscriber=editor) == "b running"
    after.release("b")
    assert editor.completions == ["b end_turn"]


def test_status_counts_what_is_open_busy_and_queued(make_stage):
    stage = make_stage(sessions=("s1", "s2"))
    stage.run("a")
    stage.run("b")
    stage.run("c", session_id="s2")
    assert stage.agent.status() == {"busy": True, "sessions": {"open": 2, "busy": 2}, "queued": 1}
    assert stage.agent.status("s2") == {"busy": True, "sessions": {"open": 1, "busy": 1}, "queued": 0}
    assert (stage.agent.is_busy("s1"), stage.agent.queued("s1"), stage.agent.is_busy("s3")) == (True, 1, False)


def test_two_sessions_do_not_wait_for_each_other(make_stage):
    stage = make_stage(sessions=("s1", "s2"))
    stage.run("a")
    assert stage.run("b", session_id="s2") == "b running"
    stage.release("b")
    assert stage.screen.completions == ["b end_turn"]


def test_F31_a_thousand_prompts_keep_their_order_and_the_next_is_refused(stage):
    stage.run("first")
    for number in range(1000):
        stage.run(f"r{number}", settle=False)
    stage.run("one too many", settle=False)
    stage.settle(5)
    assert [answer for answer in stage.answers if "refused" in answer] == ["refused QueueFull"]
    assert stage.agent.queued("s1") == 1000
    assert [item["runId"] for item in stage.agent.queue("s1")["items"]] == [f"r{number}" for number in range(1000)]
    assert all(len(event["update"]["items"]) <= 100 for event in stage.screen.events if "items" in event["update"])


def test_the_user_message_of_a_cancelled_prompt_carries_its_attachments(stage):
    async def read():
        return (AttachmentPart("text/plain", text="x", path="a.py", kind="buffer", start_line=3),)

    stage.run("a")
    stage.run("b", attachments=read)
    stage.agent.cancel("s1", "b")
    stage.settle()
    update = next(e["update"] for e in stage.screen.events if e.get("update", {}).get("attachments"))
    assert update["attachments"] == [
        {"type": "buffer", "mimeType": "text/plain", "path": "a.py", "startLine": 3},
    ]
    assert stage.disk.runs[next(reversed(stage.disk.runs))][1] is RunState.DONE
