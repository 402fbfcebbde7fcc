import pytest

from lsp_agent.agent.actions import Confirmed, Discard, QueueChanged, Reorder, Rest, Rewrite, Start, Stop
from lsp_agent.agent.lane import Lane
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import Run, StopReason

CANCELLED = StopReason.CANCELLED


def prompt(name, *, nameless=False):
    return Run(name, "s1", None if nameless else name, "m" + name, "do " + name)


def accept(lane, name, when_busy="queue", *, nameless=False):
    run, _ = lane.reserve(prompt(name, nameless=nameless), when_busy)
    confirmed, actions = lane.confirm(run)
    return confirmed, brief(actions)


def brief(actions):
    said = []
    for action in actions:
        match action:
            case Start(run):
                said.append(f"start {run.run_key}")
            case Stop(key, reason):
                said.append(f"stop {key} {reason.value}")
            case Discard(run, announce):
                said.append(f"discard {run.run_key}" + ("" if announce else " silently"))
            case QueueChanged():
                said.append("queue")
            case Reorder(keys):
                said.append("order " + " ".join(keys))
            case Rewrite(key, text):
                said.append(f"rewrite {key} {text}")
            case Rest():
                said.append("rest")
    return said


def busy(*waiting):
    lane = Lane("s1")
    accept(lane, "a")
    for name in waiting:
        accept(lane, name)
    return lane


def refusal(call, *arguments, **options):
    with pytest.raises(RequestRejected) as caught:
        call(*arguments, **options)
    return caught.value.kind


def test_the_first_prompt_starts_at_once():
    lane = Lane("s1")
    assert accept(lane, "a") == (Confirmed("running"), ["start a"])
    assert repr(lane) == "<a* | ->"


def test_a_prompt_on_a_busy_session_queues_and_starts_when_the_first_ends():
    lane = busy()
    assert accept(lane, "b") == (Confirmed("queued", 0), ["queue"])
    assert accept(lane, "c") == (Confirmed("queued", 1), ["queue"])
    assert brief(lane.finish("a")) == ["start b", "queue"]
    assert brief(lane.finish("b")) == ["start c", "queue"]
    assert brief(lane.finish("c")) == ["rest"]


def test_a_place_is_taken_when_the_request_is_read_and_holds_those_behind_it():
    lane = Lane("s1")
    slow, _ = lane.reserve(prompt("slow"), "queue")
    assert accept(lane, "quick") == (Confirmed("queued", 0), ["queue"])
    assert repr(lane) == "<- | slow? quick>"
    assert brief(lane.confirm(slow)[1]) == ["order slow quick", "start slow"]
    assert brief(lane.finish("slow")) == ["start quick", "queue"]


def test_withdrawing_the_head_lets_the_next_start():
    lane = Lane("s1")
    lane.reserve(prompt("bad"), "queue")
    accept(lane, "good")
    assert brief(lane.withdraw("bad")) == ["start good", "queue"]
    assert lane.withdraw("bad") == []


def test_reject_names_the_active_run():
    lane = busy()
    with pytest.raises(RequestRejected) as caught:
        lane.reserve(prompt("b"), "reject")
    assert (caught.value.kind, caught.value.data) == ("SessionBusy", {"activeRunId": "a"})
    assert repr(lane) == "<a* | ->"


def test_an_interrupting_prompt_goes_first_once_it_is_durable():
    lane = busy("b")
    run, actions = lane.reserve(prompt("now"), "interrupt")
    assert (brief(actions), repr(lane)) == ([], "<a* | now? b>")
    confirmed, actions = lane.confirm(run)
    assert (confirmed, brief(actions)) == (Confirmed("queued", 0), ["order now b", "stop a cancelled", "queue"])
    assert brief(lane.finish("a")) == ["start now", "queue"]


def test_an_interrupting_prompt_that_is_refused_interrupts_nothing():
    lane = busy()
    lane.reserve(prompt("now"), "interrupt")
    assert lane.withdraw("now") == []
    assert repr(lane) == "<a* | ->"


def test_an_interrupting_prompt_stops_only_the_run_it_found():
    lane = busy()
    first, _ = lane.reserve(prompt("first"), "interrupt")
    assert brief(lane.finish("a")) == ["rest"]
    assert brief(lane.confirm(first)[1]) == ["start first"]


def test_a_nameless_prompt_folds_into_the_running_turn_over_the_queue():
    lane = busy("b")
    accept(lane, "f", "fold", nameless=True)
    assert repr(lane) == "<a* | b ~f>"
    taken, actions = lane.take_folds("a")
    assert ([run.run_key for run in taken], brief(actions), repr(lane)) == (["f"], ["queue"], "<a* | b>")
    assert lane.take_folds("a") == ([], [])


def test_a_fold_whose_turn_ends_first_is_a_turn_of_its_own_in_its_place():
    lane = busy()
    accept(lane, "f", "fold", nameless=True)
    accept(lane, "b")
    assert brief(lane.finish("a")) == ["start f", "queue"]
    lane = busy("b")
    accept(lane, "f", "fold", nameless=True)
    lane.finish("a")
    assert repr(lane) == "<b* | f>"
    assert lane.take_folds("b") == ([], [])


def test_a_fold_behind_a_reserved_fold_waits_for_it():
    lane = busy()
    slow, _ = lane.reserve(prompt("f", nameless=True), "fold")
    accept(lane, "g", "fold", nameless=True)
    assert lane.take_folds("a")[0] == []
    lane.confirm(slow)
    assert [run.run_key for run in lane.take_folds("a")[0]] == ["f", "g"]


def test_no_fold_is_taken_by_a_turn_that_is_being_cancelled_or_is_over():
    lane = busy()
    accept(lane, "f", "fold")
    lane.cancel("a")
    assert lane.take_folds("a") == ([], [])
    lane.finish("a")
    assert lane.take_folds("a") == ([], [])


def test_steering_needs_the_run_it_names():
    lane = busy()
    run, _ = lane.reserve_steering(prompt("x", nameless=True), "a", "reject")
    assert (run.fold, run.fold_into) == (True, "a")
    assert lane.confirm(run)[0] == Confirmed("queued", 0, fold=True)
    assert refusal(lane.reserve_steering, prompt("y"), "other", "reject") == "RunMismatch"
    run, _ = lane.reserve_steering(prompt("z", nameless=True), "other", "queue")
    assert (run.fold, lane.confirm(run)[0].fold) == (False, False)


def test_cancel_covers_active_reserved_and_queue_and_nothing_later():
    lane = busy("b")
    slow, _ = lane.reserve(prompt("slow"), "queue")
    answer, actions = lane.cancel()
    assert (answer.run_ids, brief(actions)) == (("a", "b", "slow"), ["stop a cancelled", "discard b", "queue"])
    assert repr(lane) == "<a! | xslow>"
    accept(lane, "later")
    confirmed, actions = lane.confirm(slow)
    assert (confirmed, brief(actions)) == (Confirmed("cancelled"), ["discard slow"])
    assert brief(lane.finish("a")) == ["start later", "queue"]


def test_cancel_with_keep_spares_the_visible_queue_only():
    lane = busy("b")
    lane.reserve(prompt("slow"), "queue")
    answer, actions = lane.cancel(drop_queue=False)
    assert (answer.run_ids, brief(actions)) == (("a", "slow"), ["stop a cancelled"])
    assert brief(lane.finish("a")) == ["start b", "queue"]


def test_cancel_of_one_run_leaves_the_others():
    lane = busy("b", "c")
    assert brief(lane.cancel("b")[1]) == ["discard b", "queue"]
    assert brief(lane.cancel("a")[1]) == ["stop a cancelled"]
    answer, actions = lane.cancel("nobody")
    assert (answer.run_ids, answer.not_running, actions) == ((), ("nobody",), [])
    assert repr(lane) == "<a! | c>"


def test_F38_cancel_is_idempotent_and_a_no_op_when_idle():
    lane = Lane("s1")
    assert lane.cancel()[1] == []
    assert accept(lane, "a")[1] == ["start a"]
    lane.cancel()
    for _ in range(1000):
        assert lane.cancel()[1] == []
    assert lane.finish("a") == [Rest()]
    assert accept(lane, "b")[1] == ["start b"]


def test_a_dropped_nameless_fold_owes_no_completion_and_a_nameless_turn_does():
    lane = busy()
    accept(lane, "f", "fold", nameless=True)
    accept(lane, "q", "queue", nameless=True)
    assert brief(lane.cancel()[1]) == ["stop a cancelled", "discard f silently", "discard q", "queue"]


def test_queue_operations_check_the_revision_and_the_item():
    lane = busy("b", "c", "d")
    assert refusal(lane.edit, "b", "x", if_revision=1) == "RevisionConflict"
    assert refusal(lane.remove, "nobody") == "RunNotFound"
    assert refusal(lane.remove, "a") == "RunNotFound"
    assert brief(lane.edit("mb", "new", if_revision=3)) == ["rewrite b new", "queue"]
    assert lane.items()[0].run.prompt == "new"
    assert brief(lane.move("d", 0)) == ["order d b c", "queue"]
    assert brief(lane.move("d", 99)) == ["order b c d", "queue"]
    assert brief(lane.move("d", 2)) == ["order b c d"]
    assert brief(lane.remove("c")) == ["discard c", "queue"]
    assert brief(lane.clear()) == ["discard b", "discard d", "queue"]
    assert repr(lane) == "<a* | ->"


def test_send_now_cancels_the_active_run_and_goes_first():
    lane = busy("b", "c")
    assert brief(lane.send_now("c")) == ["order c b", "stop a cancelled", "queue"]
    assert brief(lane.finish("a")) == ["start c", "queue"]


def test_send_now_of_a_fold_makes_it_a_turn():
    lane = busy()
    accept(lane, "f", "fold", nameless=True)
    lane.send_now("mf")
    assert brief(lane.finish("a")) == ["start f", "queue"]


def test_compaction_occupies_the_lane():
    lane = Lane("s1")
    lane.begin_compaction("k")
    assert accept(lane, "a") == (Confirmed("queued", 0), ["queue"])
    assert refusal(lane.begin_compaction, "l") == "SessionBusy"
    assert brief(lane.finish("k")) == ["start a", "queue"]
    assert refusal(lane.begin_compaction, "l") == "SessionBusy"


def test_a_compaction_is_cancelled_like_a_run():
    lane = Lane("s1")
    lane.begin_compaction("k")
    answer, actions = lane.cancel()
    assert (answer.run_ids, brief(actions)) == ((), ["stop k cancelled"])


def test_folds_behind_a_compaction_join_the_first_turn():
    lane = Lane("s1")
    lane.begin_compaction("k")
    accept(lane, "f", "fold", nameless=True)
    accept(lane, "g", "fold", nameless=True)
    assert brief(lane.finish("k")) == ["start f", "queue"]
    assert [run.run_key for run in lane.take_folds("f")[0]] == ["g"]


def test_the_queue_is_bounded():
    lane = Lane("s1", queue_max=2)
    for name in "abc":
        accept(lane, name)
    assert refusal(lane.reserve, prompt("d"), "queue") == "QueueFull"
    lane.finish("a")
    accept(lane, "e")


def test_F55_a_stopped_lane_interrupts_keeps_its_queue_and_takes_nothing():
    lane = busy("b")
    assert brief(lane.stop()) == ["stop a interrupted"]
    assert refusal(lane.reserve, prompt("c"), "queue") == "ShuttingDown"
    assert brief(lane.finish("a")) == ["rest"]
    assert repr(lane) == "<- | b stopped>"


def test_a_restored_queue_waits_until_it_is_woken():
    lane = Lane("s1")
    lane.restore([prompt("a"), prompt("b")], revision=7)
    assert repr(lane) == "<- | a b dormant>"
    assert brief(lane.wake()) == ["start a", "queue"]
    assert lane.revision == 8
    assert lane.wake() == []


def test_a_new_prompt_wakes_a_restored_queue_and_goes_behind_it():
    lane = Lane("s1")
    lane.restore([prompt("a")])
    run, actions = lane.reserve(prompt("b"), "queue")
    assert brief(actions) == ["start a", "queue"]
    assert lane.confirm(run)[0] == Confirmed("queued", 0)


def test_a_closed_lane_takes_nothing_and_starts_nothing():
    lane = busy("b")
    lane.reserve(prompt("slow"), "queue")
    assert brief(lane.close()) == ["stop a cancelled", "discard b", "queue"]
    assert refusal(lane.reserve, prompt("c"), "queue") == "SessionNotFound"


def test_a_stale_finish_changes_nothing():
    lane = busy("b")
    lane.finish("a")
    assert lane.finish("a") == []
    assert repr(lane) == "<b* | ->"
