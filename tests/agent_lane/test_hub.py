import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import Outcome, Run, RunState, StopReason
from tests.agent_lane.stage import Connection

RUN = Run("k1", "s1", "r1", "m1", "p")


def note(text="x"):
    return {"sessionUpdate": "notice", "level": "info", "code": text, "message": text}


def upsert(message_id, text):
    return {"sessionUpdate": "agent_message", "messageId": message_id, "content": [{"type": "text", "text": text}]}


@pytest.fixture
def hub(stage):
    stage.hub.open("s1", 0)
    stage.disk.runs["k1"] = (RUN, RunState.RUNNING, None)
    return stage.hub


def attached(stage, after_seq, connection=None):
    connection = connection or Connection()
    answers = []
    stage.do(
        stage.agent.attach(
            "s1", connection, after_seq, lambda a: (answers.append(a), connection.lines.append("answer"))
        )
    )
    return connection, answers[0]


def test_10_2_durable_events_count_from_one_and_chunks_carry_the_last_number(stage, hub):
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "before ")
    assert hub.durable("s1", RUN, note()) == 1
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "be")
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "hind")
    hub.ephemeral("s1", RUN, {"sessionUpdate": "usage_update", "usedTokens": 1})
    assert hub.durable("s1", None, note()) == 2
    stage.settle()
    assert stage.screen.lines == [
        "chunk@0 r1 before ",
        "1 notice r1 None",
        "chunk@1 r1 behind",
        "usage_update r1 None",
        "2 notice None",
    ]


def test_10_4_nothing_with_the_run_id_follows_its_completion(stage, hub):
    hub.complete(RUN, Outcome(StopReason.END_TURN))
    hub.durable("s1", RUN, upsert("m2", "late"))
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "late")
    hub.durable("s1", RUN, {"sessionUpdate": "session_info_update", "title": "A title"})
    stage.settle()
    assert stage.screen.lines == ["1 complete r1 end_turn", "2 session_info_update None"]


def test_10_5_a_call_that_a_run_leaves_open_gets_a_final_status_before_its_completion(stage, hub):
    hub.durable("s1", RUN, {"sessionUpdate": "tool_call_update", "toolCallId": "t1", "status": "pending"})
    hub.durable("s1", RUN, {"sessionUpdate": "tool_call_update", "toolCallId": "t2", "status": "pending"})
    hub.durable("s1", RUN, {"sessionUpdate": "tool_call_update", "toolCallId": "t2", "status": "failed"})
    hub.complete(RUN, Outcome(StopReason.ERROR))
    stage.settle()
    assert stage.screen.lines[3:] == ["4 tool_call_update r1 t1 cancelled", "5 complete r1 error"]


def test_a_refused_write_is_tried_again_in_its_place(stage, hub):
    stage.store.is_broken = True
    hub.durable("s1", RUN, note("one"))
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "text")
    hub.durable("s1", RUN, note("two"))
    stage.settle(0.01)
    assert stage.screen.lines == []
    stage.store.is_broken = False
    stage.settle(1)
    assert stage.screen.lines == ["1 notice r1 None", "chunk@1 r1 text", "2 notice r1 None"]
    assert sorted(stage.disk.events["s1"]) == [1, 2]


def test_a_store_that_stays_broken_is_told_and_clients_get_everything_all_the_same(stage, hub):
    failures = []
    hub.on_failure(lambda *what: failures.append(what))
    stage.store.is_broken = True
    hub.durable("s1", RUN, note())
    hub.complete(RUN, Outcome(StopReason.ERROR))
    stage.settle(5)
    assert (stage.screen.lines, failures) == (["1 notice r1 None", "2 complete r1 error"], [("s1", "k1")])
    connection, answer = attached(stage, 0)
    assert (answer["mode"], connection.lines) == ("replay", ["answer", "1 notice r1 None", "2 complete r1 error"])


def test_10_8_attach_replays_after_the_number_and_goes_on_live(stage, hub):
    for _ in range(3):
        hub.durable("s1", RUN, note())
    stage.settle()
    connection, answer = attached(stage, 1)
    assert (answer["seq"], answer["mode"], answer["pending"]) == (3, "replay", {"permissions": [], "questions": []})
    hub.durable("s1", RUN, note())
    stage.settle()
    assert connection.lines == ["answer", "2 notice r1 None", "3 notice r1 None", "4 notice r1 None"]
    assert [event["seq"] for event in connection.events] == [2, 3, 4]


@pytest.mark.parametrize("after_seq", [None, 99, -1])
def test_10_8_a_number_that_is_no_place_in_the_log_gives_a_snapshot(stage, hub, after_seq):
    hub.durable("s1", RUN, note())
    stage.settle()
    connection, answer = attached(stage, after_seq)
    assert (answer["seq"], answer["mode"], connection.lines) == (1, "snapshot", ["answer"])


def test_10_8_a_log_that_was_pruned_gives_a_snapshot(make_stage):
    async def snapshot(session_id):
        return {"of": session_id}

    stage = make_stage(snapshot=snapshot)
    stage.hub.open("s1", 0)
    for _ in range(5):
        stage.hub.durable("s1", RUN, note())
    stage.settle()
    for seq in (1, 2, 3):
        del stage.disk.events["s1"][seq]
    assert attached(stage, 2)[1] == {
        "seq": 5,
        "mode": "snapshot",
        "snapshot": {"of": "s1"},
        "pending": {"permissions": [], "questions": []},
        "activeRunId": None,
        "queueRevision": 0,
    }
    assert attached(stage, 3)[1]["mode"] == "replay"


def test_10_6_a_connection_that_joins_in_the_middle_of_a_message_gets_its_text_so_far(stage, hub):
    for text in ("one ", "two "):
        hub.chunk("s1", RUN, "agent_message_chunk", "m2", text)
    connection, _ = attached(stage, 0)
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "three")
    hub.durable("s1", RUN, upsert("m2", "one two three"))
    stage.settle()
    assert connection.lines == ["answer", "chunk@0 r1 one two ", "chunk@0 r1 three", "1 agent_message r1 m2"]
    later, _ = attached(stage, 0)
    assert later.lines == ["answer", "1 agent_message r1 m2"]


def test_a_retry_starts_the_text_anew(stage, hub):
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "wrong")
    hub.durable("s1", RUN, {"sessionUpdate": "agent_message", "messageId": "m2", "content": []})
    hub.chunk("s1", RUN, "agent_message_chunk", "m2", "right")
    stage.settle()
    assert attached(stage, 1)[0].lines == ["answer", "chunk@1 r1 right"]


def test_attaching_again_on_the_same_connection_neither_doubles_nor_skips(stage, hub):
    hub.durable("s1", RUN, note())
    stage.settle()
    connection, _ = attached(stage, 0)
    attached(stage, 1, connection)
    hub.durable("s1", RUN, note())
    stage.settle()
    assert connection.lines == ["answer", "1 notice r1 None", "answer", "2 notice r1 None"]


def test_10_9_two_connections_see_the_same_and_one_that_leaves_sees_no_more(stage, hub):
    one, two = Connection(), Connection()
    hub.subscribe("s1", one)
    hub.subscribe("s1", two)
    hub.subscribe("s1", two)
    hub.durable("s1", RUN, note())
    stage.settle()
    hub.unsubscribe("s1", one)
    hub.durable("s1", RUN, note())
    stage.settle()
    hub.drop(two)
    hub.durable("s1", RUN, note())
    stage.settle()
    assert (one.lines, two.lines) == (["1 notice r1 None"], ["1 notice r1 None", "2 notice r1 None"])


def test_events_of_a_sub_agent_go_to_those_who_listen_to_its_parent(stage, hub):
    hub.open("child", 0)
    hub.adopt("child", "s1", "t9")
    editor = Connection()
    hub.subscribe("s1", editor)
    child_run = Run("k2", "child", None, "m9", "p")
    hub.durable("child", child_run, note())
    hub.chunk("child", child_run, "agent_message_chunk", "m8", "hi")
    stage.settle()
    assert [event["parent"] for event in editor.events] == []
    stage.disk.sessions["child"] = stage.disk.sessions["s1"]
    stage.settle(5)
    assert [event["parent"] for event in editor.events] == [{"sessionId": "s1", "toolCallId": "t9"}]
    assert editor.lines[-1] == "chunk@1 None hi"


def test_events_of_a_session_not_opened_yet_wait_until_its_number_is_known(stage):
    stage.disk.sessions["s1"].seq = 0

    async def early():
        stage.hub.chunk("s1", None, "agent_message_chunk", "m", "a")
        stage.hub.durable("s1", None, note())
        stage.hub.ephemeral("s1", None, {"sessionUpdate": "usage_update"})
        stage.hub.durable("nowhere", None, note())

    stage.do(early())
    stage.settle()
    assert stage.screen.lines == ["chunk@0 None a", "1 notice None", "usage_update None"]
    with pytest.raises(RequestRejected):
        stage.do(stage.hub.load("nowhere"))


def test_a_listener_hears_updates_and_completions_and_may_fail(stage, hub):
    heard = []

    def broken(_session_id, _update):
        raise RuntimeError

    hub.listen(broken)
    stop = hub.listen(lambda session_id, update: heard.append((session_id, update["sessionUpdate"])))
    hub.durable("s1", RUN, note())
    hub.complete(RUN, Outcome(StopReason.END_TURN))
    stage.settle()
    stop()
    hub.durable("s1", None, note())
    stage.settle()
    assert heard == [("s1", "notice"), ("s1", "run_complete")]


def test_F16_text_that_is_not_unicode_and_huge_numbers_do_not_stop_the_stream(stage, hub):
    hub.durable("s1", RUN, {"sessionUpdate": "notice", "message": "a\ud800b", "big": 2**80, 3: (True, None, 1.5)})
    stage.settle()
    assert stage.screen.events[0]["update"]["message"] == "a\ufffdb"


def test_the_completion_has_every_field_of_the_protocol(stage, hub):
    hub.complete(RUN, Outcome(StopReason.END_TURN, message_id="m", text="t", steps=2, duration_ms=5))
    stage.settle()
    assert stage.screen.events == [
        {
            "sessionId": "s1",
            "runId": "r1",
            "seq": 1,
            "messageId": "m",
            "text": "t",
            "stopReason": "end_turn",
            "cancelled": False,
            "error": None,
            "usage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "costUsd": 0.0, "estimated": False},
            "changes": {"files": 0, "added": 0, "removed": 0},
            "steps": 2,
            "durationMs": 5,
        }
    ]
