import asyncio
from pathlib import Path

import pytest

from lsp_agent.agent.approval_prompts import PromptQueue
from lsp_agent.agent.approvals import Approvals
from lsp_agent.domain.run import Run, RunOptions
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.ports.store import Grant, PutGrant
from lsp_agent.protocol.decisions import PermissionRecord, RespondResult
from tests.tools.doubles import FakeClock, FakeEvents, FakeStore

ROOT = Path("/w")


def edit(path="src/a.py", tool="edit"):
    return PermissionAsk(
        tool, "write", f"Edit {path} (+1 −1)", {"type": "edit", "changes": []}, path=f"/w/{path}", pattern=path
    )


def command(text):
    return PermissionAsk("bash", "execute", text, {"type": "command", "command": text, "cwd": "/w"})


def run(number=1, session="s1", **options):
    return Run(f"key{number}", session, f"r{number}", "m1", "p", options=RunOptions(**options))


class Bench:
    """Approvals with everything around them, and the questions that wait in tasks."""

    def __init__(self, **policy):
        self.policy = Policy(**policy)
        self.store, self.clock = FakeStore(), FakeClock()
        self.events = FakeEvents(self.store)
        self.approvals = self.again()

    def again(self, **options):
        return Approvals(
            store=self.store,  # type: ignore[arg-type]
            events=self.events,  # type: ignore[arg-type]
            clock=self.clock,
            decide=self.policy.decide_ask,
            roots=lambda: [ROOT],
            **options,
        )

    async def ask(self, ask, *, of=None, mode="ask", call="t1"):
        """The task of a question, once it waits or is decided."""
        before = len(self.approvals.pending())
        task = asyncio.create_task(self.approvals.ask(of or run(), call, mode, ask))
        for _ in range(5):
            await asyncio.sleep(0)
            if task.done() or len(self.approvals.pending()) > before:
                break
        return task

    def answer(self, option, request_id=None, by="editor", **more):
        request_id = request_id or self.approvals.pending()[0]["requestId"]
        return self.approvals.respond(request_id, {"type": "selected", "optionId": option, **more}, by)

    def told(self, name):
        return [update for update in self.events.updates if update["sessionUpdate"] == name]


@pytest.fixture
def bench():
    return Bench()


async def test_the_record_is_that_of_the_protocol(bench):
    task = await bench.ask(edit())
    [record] = bench.approvals.pending("s1")
    assert record == {
        "requestId": "id00001",
        "sessionId": "s1",
        "runId": "r1",
        "toolCallId": "t1",
        "tool": "edit",
        "title": "Edit src/a.py (+1 −1)",
        "subject": {"type": "edit", "changes": []},
        "options": [
            {"optionId": "allow_once", "kind": "allow_once", "name": "Allow once"},
            {
                "optionId": "allow_session",
                "kind": "allow_session",
                "name": "Allow edits to src/a.py in this session",
                "pattern": "src/a.py",
                "scope": "session",
            },
            {
                "optionId": "allow_always",
                "kind": "allow_always",
                "name": "Always allow edits to src/a.py",
                "pattern": "src/a.py",
                "scope": "always",
            },
            {"optionId": "reject_once", "kind": "reject_once", "name": "Reject"},
            {
                "optionId": "reject_always",
                "kind": "reject_always",
                "name": "Never allow edits to src/a.py",
                "pattern": "src/a.py",
                "scope": "always",
            },
        ],
        "createdAt": "2023-11-14T22:13:20.123Z",
    }
    PermissionRecord.model_validate(record)
    assert bench.told("permission_requested") == [{"sessionUpdate": "permission_requested", **record}]
    task.cancel()


async def test_an_answer_decides_and_the_state_follows(bench):
    task = await bench.ask(edit())
    assert bench.answer("allow_once") == {"accepted": True}
    assert await task == Decision(True, asked=True)
    assert [u.get("state", u["sessionUpdate"]) for u in bench.events.updates] == [
        "permission_requested",
        "requires_action",
        "permission_resolved",
        "running",
    ]
    [resolved] = bench.told("permission_resolved")
    assert (resolved["outcome"], resolved["resolvedBy"]) == ("allow_once", "editor")
    assert bench.approvals.pending() == []


async def test_a_rejection_carries_the_message_of_the_user(bench):
    task = await bench.ask(edit())
    bench.answer("reject_once", message="use tabs")
    assert await task == Decision(False, "use tabs", asked=True)
    task = await bench.ask(edit())
    bench.answer("reject_once")
    assert await task == Decision(False, None, asked=True)


async def test_a_message_with_an_allowance_is_not_a_rejection(bench):
    task = await bench.ask(edit())
    bench.answer("allow_once", message="ok then")
    assert await task == Decision(True, asked=True)


async def test_PR_25_the_first_answer_wins_and_late_or_unknown_ones_are_results(bench):
    task = await bench.ask(edit())
    request_id = bench.approvals.pending()[0]["requestId"]
    bench.answer("reject_once", request_id, by="first")
    late = bench.answer("allow_once", request_id, by="second")
    assert late == {"accepted": False, "resolvedBy": "first", "outcome": "reject_once"}
    assert bench.answer("allow_once", "nobody-knows") == {"accepted": False, "resolvedBy": None, "outcome": "unknown"}
    assert (await task).allowed is False
    assert len(bench.told("permission_resolved")) == 1
    RespondResult.model_validate(late)


@pytest.mark.parametrize(
    "outcome",
    [
        {"type": "selected", "optionId": "allow_everything"},
        {"type": "selected", "optionId": None},
        {"type": "selected"},
        {"type": "approved", "optionId": "allow_once"},
        {"type": ["selected"], "optionId": ["allow_once"]},
        {},
        None,
        "allow_once",
        True,
    ],
)
async def test_F28_what_is_not_offered_is_never_approval_and_the_question_stays(bench, outcome):
    task = await bench.ask(edit())
    request_id = bench.approvals.pending()[0]["requestId"]
    assert bench.approvals.respond(request_id, outcome, "x") == {
        "accepted": False,
        "resolvedBy": None,
        "outcome": "pending",
    }
    assert not task.done()
    assert bench.answer("allow_once") == {"accepted": True}
    assert (await task).allowed


async def test_a_dismissed_question_is_a_rejection_without_a_message(bench):
    task = await bench.ask(edit())
    request_id = bench.approvals.pending()[0]["requestId"]
    assert bench.approvals.respond(request_id, {"type": "cancelled"}, "x") == {"accepted": True}
    assert await task == Decision(False, None, asked=True)


async def test_F27_an_unanswered_question_blocks_no_other_session(bench):
    silent = await bench.ask(edit(), of=run(1, "s1"))
    other = await bench.ask(edit(), of=run(2, "s2"))
    bench.answer("allow_once", bench.approvals.pending("s2")[0]["requestId"])
    assert (await other).allowed
    assert not silent.done()
    silent.cancel()


async def test_F27_nobody_answering_for_too_long_is_a_rejection(bench):
    bench.approvals = bench.again(answer_timeout_s=0.001)
    decision = await bench.approvals.ask(run(), "t1", "ask", edit())
    assert (decision.allowed, "in time" in (decision.message or "")) == (False, True)
    assert bench.told("permission_resolved")[0]["resolvedBy"] == "timeout"


async def test_a_cancelled_run_withdraws_its_question_and_an_answer_afterwards_changes_nothing(bench):
    task = await bench.ask(edit())
    request_id = bench.approvals.pending()[0]["requestId"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [resolved] = bench.told("permission_resolved")
    assert (resolved["requestId"], resolved["outcome"], resolved["resolvedBy"]) == (request_id, "cancelled", "run")
    assert bench.answer("allow_session", request_id)["accepted"] is False
    assert bench.approvals.pending() == []
    assert "running" not in [u.get("state") for u in bench.events.updates]
    assert (await bench.ask(edit())).cancel()


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("answered", [False, True])
async def test_a_cancel_at_any_await_leaves_no_record_and_one_resolution(bench, steps, answered):
    task = asyncio.create_task(bench.approvals.ask(run(), "t1", "ask", edit()))
    for step in range(steps):
        await asyncio.sleep(0)
        if answered and step == 1 and bench.approvals.pending():
            bench.answer("allow_once")
    task.cancel()
    await asyncio.wait([task])
    assert bench.approvals.pending() == []
    assert len(bench.told("permission_requested")) == len(bench.told("permission_resolved")) <= 1


async def test_a_session_grant_covers_this_file_in_this_session_only(bench):
    task = await bench.ask(edit())
    bench.answer("allow_session")
    await task
    assert await bench.approvals.ask(run(2), "t2", "ask", edit(tool="multiedit")) == Decision(True)
    assert not (await bench.ask(edit("src/b.py"))).done()
    assert not (await bench.ask(edit(), of=run(3, "s2"))).done()
    assert bench.store.of(PutGrant) == []
    bench.approvals.forget_session("s1")
    assert not (await bench.ask(edit(), of=run(4))).done()


async def test_a_grant_answers_the_other_questions_it_covers(bench):
    first, second, other = [await bench.ask(edit(path)) for path in ("a.py", "a.py", "b.py")]
    bench.answer("allow_session")
    assert (await first).allowed
    assert (await second).allowed
    assert not other.done()
    assert [u["resolvedBy"] for u in bench.told("permission_resolved")] == ["editor", "grant"]
    other.cancel()


async def test_lasting_grants_are_stored_and_known_after_a_restart(bench):
    task = await bench.ask(edit())
    bench.answer("allow_always")
    await task
    [grant] = bench.store.of(PutGrant)
    assert (grant.session_id, grant.root, grant.tool, grant.pattern, grant.allow) == (
        None,
        "/w",
        "edit",
        "src/a.py",
        True,
    )
    bench.approvals = bench.again()
    await bench.approvals.load()
    assert await bench.approvals.ask(run(2, "s9"), "t2", "ask", edit()) == Decision(True)


async def test_a_session_grant_of_another_life_is_not_a_lasting_one(bench):
    bench.store.lasting = [Grant("s1", "/w", "edit", "src/a.py", True), Grant(None, "/other", "edit", "src/a.py", True)]
    await bench.approvals.load()
    assert not (await bench.ask(edit())).done()


async def test_never_allow_holds_also_where_the_mode_would_allow(bench):
    task = await bench.ask(edit())
    bench.answer("reject_always")
    assert (await task).allowed is False
    decision = await bench.approvals.ask(run(2), "t", "full-auto", edit())
    assert (decision.allowed, decision.asked) == (False, False)
    assert decision.message


async def test_protected_files_and_commands_offer_no_lasting_answer(bench):
    for ask in [edit(".git/hooks/x"), command("make test"), edit("a\u202etxt.py")]:
        task = await bench.ask(ask)
        [record] = bench.approvals.pending()
        assert [option["kind"] for option in record["options"]] == ["allow_once", "reject_once"]
        assert bench.answer("allow_always")["accepted"] is False
        bench.answer("allow_once")
        assert (await task).allowed


async def test_rules_and_modes_decide_without_asking(bench):
    assert await bench.approvals.ask(run(), "t", "accept-edits", edit()) == Decision(True)
    denied = await bench.approvals.ask(run(), "t", "plan", edit())
    assert (denied.allowed, "Plan mode" in (denied.message or "")) == (False, True)
    assert bench.events.updates == []


async def test_a_run_without_people_is_refused_unless_somebody_can_answer(bench):
    decision = await bench.approvals.ask(run(non_interactive=True), "t", "ask", edit())
    assert (decision.allowed, decision.asked) == (False, False)
    assert "Nobody can be asked" in (decision.message or "")
    bench.approvals.add_surface(Surface())
    assert not (await bench.ask(edit(), of=run(non_interactive=True))).done()


async def test_PI_07_the_same_wish_is_not_put_to_the_user_a_third_time(bench):
    for _ in range(2):
        task = await bench.ask(edit())
        bench.answer("reject_once", message="no")
        await task
    decision = await bench.approvals.ask(run(), "t", "ask", edit())
    assert (decision.allowed, decision.asked) == (False, False)
    assert not (await bench.ask(edit("other.py"))).done()
    assert not (await bench.ask(edit(), of=run(2))).done()


async def test_a_thousand_questions_wait_and_each_gets_its_own_answer(bench):
    tasks = [
        asyncio.create_task(bench.approvals.ask(run(n, f"s{n % 10}"), f"t{n}", "ask", edit(f"f{n}.py")))
        for n in range(1000)
    ]
    await asyncio.sleep(0)
    records = bench.approvals.pending()
    assert len(records) == 1000
    assert len(bench.approvals.pending("s3")) == 100
    for number, record in enumerate(records):
        bench.answer("allow_once" if number % 2 else "reject_once", record["requestId"])
    decisions = await asyncio.gather(*tasks)
    assert [decision.allowed for decision in decisions] == [bool(n % 2) for n in range(1000)]
    assert [u["state"] for u in bench.told("state_update")].count("running") == 10


class Surface:
    def __init__(self):
        self.calls = []

    def can_answer(self, session_id):
        return True

    def asked(self, record):
        self.calls.append(("asked", record["requestId"]))

    def closed(self, request_id):
        self.calls.append(("closed", request_id))


async def test_surfaces_are_told_what_waits_and_what_is_over(bench):
    surface = Surface()
    bench.approvals.add_surface(surface)
    task = await bench.ask(edit())
    bench.answer("allow_once")
    await task
    assert surface.calls == [("asked", "id00001"), ("closed", "id00001")]
    bench.approvals.remove_surface(surface)
    (await bench.ask(edit())).cancel()
    assert len(surface.calls) == 2


class Prompts:
    """A user who is shown one prompt at a time; `answers` are given in order, a future is waited for."""

    def __init__(self, bench):
        self.bench = bench
        self.shown = []
        self.open = {}
        self.queue = PromptQueue(
            show=self.show, respond=bench.approvals.respond, by="prompt", answers_for=lambda session: True
        )
        bench.approvals.add_surface(self.queue)
        self.task = asyncio.create_task(self.queue.run())

    async def show(self, record):
        request_id = record["requestId"]
        self.shown.append(record["title"].split()[1])
        self.open[request_id] = asyncio.get_running_loop().create_future()
        try:
            return await self.open[request_id]
        finally:
            del self.open[request_id]

    async def say(self, choice):
        await until(lambda: self.open)
        [future] = self.open.values()
        if isinstance(choice, Exception):
            future.set_exception(choice)
        else:
            future.set_result(choice)
        await until(lambda: future not in self.open.values())


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - several kinds of conditions
            await asyncio.sleep(0)


async def test_prompts_are_shown_one_at_a_time_and_an_unanswered_one_comes_back(bench):
    prompts = Prompts(bench)
    tasks = [await bench.ask(edit(path)) for path in ("a", "b")]
    await until(lambda: prompts.open)
    assert len(prompts.open) == 1
    await prompts.say(None)
    await prompts.say("allow_once")
    assert (await tasks[1]).allowed
    assert not tasks[0].done()
    assert prompts.open == {}
    prompts.queue.offer_again()
    await prompts.say(OSError("gone"))
    await until(lambda: prompts.queue.unanswered)
    prompts.queue.offer_again()
    await prompts.say("reject_once")
    assert (await tasks[0]).allowed is False
    assert prompts.shown == ["a", "b", "a", "a"]
    prompts.task.cancel()


async def test_a_prompt_is_taken_away_when_somebody_else_answers(bench):
    prompts = Prompts(bench)
    task = await bench.ask(edit("a"))
    await until(lambda: prompts.open)
    bench.answer("allow_once", by="another editor")
    assert (await task).allowed
    await until(lambda: not prompts.open)
    second = await bench.ask(edit("b"))
    await prompts.say("allow_once")
    assert (await second).allowed
    prompts.task.cancel()


async def test_PI_07_from_the_fifth_question_within_a_minute_on_each_says_how_many_there_were(bench):
    tasks = []
    for number in range(7):
        tasks.append(await bench.ask(edit(f"{number}.py"), of=run(number % 2, session=f"s{number % 2}")))
        bench.clock.now += 10_000
    shown = [record.get("description", "") for record in bench.told("permission_requested")]
    assert ["question" in text for text in shown] == [False] * 4 + [True] * 3
    assert "question 5 within a minute" in shown[4]
    assert "question 7 within a minute" in shown[6]
    bench.clock.now += 55_000
    late = await bench.ask(edit("late.py"))
    assert "description" not in bench.told("permission_requested")[-1]
    for task in [*tasks, late]:
        task.cancel()
    await asyncio.gather(*tasks, late, return_exceptions=True)
