import asyncio

import pytest

from lsp_agent.agent.submission import Submission
from lsp_agent.domain.errors import FileUnreadable, ProviderError, RequestRejected, StoreError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.run import Outcome, StopReason


def test_10_1_the_answer_precedes_the_first_event(stage):
    assert stage.run("a") == "a running"
    stage.release("a")
    assert stage.screen.lines == [
        "answer a running",
        "1 user_message a 00000002",
        "2 complete a end_turn",
        "3 state_update idle",
    ]


def test_a_queue_runs_in_order_and_each_completes_before_the_next_begins(stage):
    stage.run("a")
    assert stage.run("b") == "b queued 0"
    assert stage.run("c") == "c queued 1"
    for name in "abc":
        stage.release(name)
    assert stage.screen.completions == ["a end_turn", "b end_turn", "c end_turn"]
    assert stage.screen.named("queue_update") == [
        "2 queue_update b",
        "3 queue_update b c",
        "5 queue_update c",
        "8 queue_update",
    ]
    assert stage.screen.lines[-1].endswith("state_update idle")
    assert len(stage.screen.named("state_update")) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderError("RateLimited", "t", "m", retryable=True), "RateLimited"),
        (StoreError("no"), "Store"),
        (ValueError("secret"), "Internal"),
    ],
)
def test_10_10_an_error_hands_over_to_the_next_run(make_stage, error, kind):
    async def turn(run, control):
        if run.run_id == "a":
            await asyncio.sleep(1)
            raise error
        return Outcome(StopReason.END_TURN)

    stage = make_stage(turn=turn)
    stage.run("a")
    stage.run("b")
    stage.settle(2)
    assert stage.screen.completions == ["a error", "b end_turn"]
    complete = next(event for event in stage.screen.events if event.get("stopReason") == "error")
    assert complete["error"]["kind"] == kind
    assert "secret" not in complete["error"]["message"]


def test_cancel_ends_the_active_run_and_the_queue_each_with_its_own_completion(stage):
    stage.run("a")
    stage.run("b")
    stage.run(None, "queue")
    answer = stage.agent.cancel("s1")
    assert answer.run_ids == ("a", "b", None)
    stage.settle()
    assert sorted(stage.screen.completions) == ["None cancelled", "a cancelled", "b cancelled"]
    assert stage.agent.cancel("s1").run_ids == ()
    assert stage.messages().count("assistant canceled") == 2
    assert stage.run("later") == "later running"


def test_10_7_a_cancel_before_the_turn_has_begun_wins(stage):
    stage.run("a", settle=False)
    assert stage.agent.cancel("s1").run_ids == ("a",)
    stage.settle()
    assert stage.answers == ["a cancelled"]
    assert stage.screen.completions == ["a cancelled"]
    assert stage.controls == {}
    assert stage.messages() == ["user stop", "assistant canceled"]


def test_cancel_of_an_unknown_session_is_a_no_op(stage):
    assert stage.agent.cancel("nobody", "r").not_running == ("r",)
    assert stage.agent.status()["sessions"] == {"open": 0, "busy": 0}


def test_a_turn_that_ends_well_under_a_cancel_is_reported_cancelled(make_stage):
    async def stubborn(run, control):
        try:
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            return Outcome(StopReason.END_TURN, text="finished all the same")
        raise AssertionError

    stage = make_stage(turn=stubborn)
    stage.run("a")
    stage.agent.cancel("s1")
    stage.settle()
    assert stage.screen.completions == ["a cancelled"]


def test_a_clean_up_that_hangs_is_left_behind_after_six_seconds_and_falls_silent(make_stage):
    async def hanging(run, control):
        stage.hub.durable("s1", run, {"sessionUpdate": "tool_call_update", "toolCallId": "t1", "status": "in_progress"})
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                stage.hub.chunk("s1", run, "agent_message_chunk", "m", "late")
                stage.hub.durable("s1", run, {"sessionUpdate": "agent_message", "messageId": "m", "content": []})
        return Outcome(StopReason.END_TURN)

    stage = make_stage(turn=hanging)
    stage.run("a")
    stage.agent.cancel("s1")
    stage.settle(5.5)
    assert stage.screen.completions == []
    stage.settle(1)
    assert stage.screen.lines[-3:] == [
        "2 tool_call_update a t1 cancelled",
        "3 complete a cancelled",
        "4 state_update idle",
    ]


def test_a_fold_joins_at_the_step_boundary_and_yields_no_completion(stage):
    stage.run("a")
    assert stage.run(None) == "None queued 0"
    assert [run.prompt for run in stage.controls["a"].take_folds()] == ["do it"]
    stage.release("a")
    assert stage.screen.completions == ["a end_turn"]
    assert [state.value for _, state, _ in stage.disk.runs.values()] == ["done", "folded"]


def test_steering_is_pending_on_the_run_it_names_and_refused_on_another(stage):
    stage.run("a")
    steer = Submission("more", "s1")
    stage.agent.steer(steer, "a", "reject", stage.note_answer, stage.note_refusal)
    stage.agent.steer(steer, "z", "reject", stage.note_answer, stage.note_refusal)
    stage.agent.steer(steer, "z", "queue", stage.note_answer, stage.note_refusal)
    stage.settle()
    assert sorted(stage.answers[1:]) == ["None pending 0", "None queued 1", "refused RunMismatch"]


def test_an_interrupting_run_goes_first(stage):
    stage.run("a")
    stage.run("b")
    assert stage.run("now", "interrupt") == "now queued 0"
    stage.release("now")
    stage.release("b")
    assert stage.screen.completions == ["a cancelled", "now end_turn", "b end_turn"]


def test_the_same_run_again_is_answered_with_its_state_and_runs_once(stage):
    stage.run("a")
    stage.run("b")
    assert stage.run("a") == "a running"
    assert stage.run("b", "reject") == "b queued 0"
    assert stage.run("c", "reject") == "refused SessionBusy"
    stage.release("a")
    stage.release("b")
    assert stage.run("a") == "a end_turn"
    assert stage.run("a", content_hash="other") == "refused DuplicateRun"
    assert stage.run("a", session_id=None) == "a end_turn"
    assert stage.screen.completions == ["a end_turn", "b end_turn"]
    assert stage.agent.status()["sessions"]["open"] == 1


def test_a_repeated_run_that_is_deleted_while_it_is_looked_for_is_refused_as_what_it_is(stage):
    async def gone(_run_id):
        return None

    stage.run("a")
    stage.release("a")
    stage.store.run = gone
    assert stage.run("a") == "refused SessionNotFound"


def test_an_unknown_session_is_refused_and_leaves_no_lane(stage):
    assert stage.run("a", session_id="nope") == "refused SessionNotFound"
    assert stage.agent.status()["sessions"]["open"] == 0


def test_no_session_means_a_new_one_named_by_the_caller(make_stage):
    stage = make_stage(sessions=())
    stage.run("a", session_id=None, title="mine", root="file:///w")
    (session,) = stage.disk.sessions.values()
    assert (session.title, session.title_is_users, session.root) == ("mine", True, "file:///w")


def test_attachments_that_fail_refuse_the_run_and_free_its_place(stage):
    async def missing():
        raise FileUnreadable("/w/a.py", "missing")

    async def broken():
        raise RuntimeError("bug")

    async def endless():
        await asyncio.sleep(1000)

    assert stage.run("a", attachments=missing) == "refused InvalidParams"
    assert stage.run("b", attachments=broken) == "refused Internal"
    stage.run("c", attachments=endless)
    assert stage.run("d") == "d queued 0"
    stage.settle(31)
    assert stage.answers[-1] == "refused InvalidParams"
    assert "d" in stage.controls


def test_an_empty_prompt_needs_a_text_attachment(stage):
    def attached(**part):
        async def read():
            return (AttachmentPart(**part),)

        return read

    assert stage.run("a", prompt=" ") == "refused EmptyPrompt"
    image = attached(mime_type="image/png", data=b"x")
    assert stage.run("b", prompt="", attachments=image) == "refused EmptyPrompt"
    assert stage.run("c", prompt="", attachments=attached(mime_type="text/plain", text="x")) == "c running"


def test_F08_a_prompt_that_cannot_be_stored_is_refused_and_the_next_works(stage):
    stage.store.is_broken = True
    assert stage.run("a") == "refused Store"
    stage.store.is_broken = False
    assert stage.run("b") == "b running"


def test_F08_a_run_whose_events_are_refused_for_good_ends_once_with_the_error_store(stage):
    stage.run("a")
    stage.store.is_broken = True
    control = stage.hub
    lane = stage.lane
    control.durable("s1", lane.active.run, {"sessionUpdate": "notice", "level": "info", "code": "x", "message": ""})
    stage.settle(10)
    assert stage.screen.completions == ["a error"]
    assert [event["error"]["kind"] for event in stage.screen.events if "stopReason" in event] == ["Store"]
    stage.store.is_broken = False
    stage.settle(60)
    assert sorted(stage.disk.events["s1"]) == [1, 2, 3, 4]
    assert [state.value for _, state, _ in stage.disk.runs.values()] == ["done"]


def test_compaction_is_part_of_the_lane(stage):
    answers = []
    stage.agent.compact("s1", answers.append, answers.append)
    stage.settle()
    assert answers == ["nothing"]
    stage.run("a")
    stage.agent.compact("s1", answers.append, lambda error: answers.append(error.kind))
    assert answers[-1] == "SessionBusy"
    stage.release("a")
    stage.agent.compact("s1", answers.append, answers.append)
    assert stage.run("b") == "b queued 0"
    assert (answers[-1], stage.compactions) == ("started", ["begins"])
    stage.release("compaction")
    assert (stage.compactions, "b" in stage.controls) == (["begins", "ends"], True)


def test_a_cancelled_compaction_hands_over(stage):
    stage.run("a")
    stage.release("a")
    stage.agent.compact("s1", lambda _: None, lambda _: None)
    stage.run("b")
    stage.agent.cancel("s1", drop_queue=False)
    stage.settle()
    assert (stage.compactions, "b" in stage.controls) == (["begins", "cancelled"], True)
    answers = []
    stage.agent.compact("nope", answers.append, lambda error: answers.append(error.kind))
    stage.settle()
    assert answers == ["SessionNotFound"]


def test_queue_operations_answer_the_new_queue(stage):
    stage.run("a")
    stage.run("b")
    stage.run("c")
    listed = stage.agent.queue("s1")
    assert [(item["runId"], item["position"], item["kind"]) for item in listed["items"]] == [
        ("b", 0, "queued"),
        ("c", 1, "queued"),
    ]
    moved = stage.agent.queue("s1", "move", item="c", index=0, if_revision=listed["revision"])
    assert [item["runId"] for item in moved["items"]] == ["c", "b"]
    with pytest.raises(RequestRejected, match="queue has changed"):
        stage.agent.queue("s1", "clear", if_revision=listed["revision"])
    edited = stage.agent.queue("s1", "edit", item="b", prompt="rather\n this")
    assert edited["items"][1]["preview"] == "rather this"
    stage.agent.queue("s1", "sendNow", item="b")
    stage.settle()
    stage.agent.queue("s1", "remove", item="c")
    stage.settle()
    assert stage.screen.completions == ["a cancelled", "c cancelled"]
    assert stage.agent.queue("nope") == {"revision": 0, "count": 0, "items": []}
