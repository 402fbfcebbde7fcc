"""Questions to the user: several at once, the first answer wins, withdrawn with their run (CORE 24, PROTOCOL 5)."""

import asyncio
import json

import pytest

from lsp_agent.agent.question_records import answer_schema, read_reply
from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.asker import Choice, Form, Question, Reply
from lsp_agent.protocol.decisions import QuestionRecord
from lsp_agent.tools.question import SKIPPED, answers_text, read_form
from tests.subagents.bench import Screen, call, say, turn


def ask(text, kind="yes_no", **more):
    return {"type": kind, "text": text, "description": "why", **more}


COLOURS = [{"id": "r", "label": "Red"}, {"id": "g", "label": "Green"}]


async def test_two_questions_at_once_are_answered_in_reverse_order(bench):
    b = await bench(
        turn(
            call("question", "t1", questions=[ask("First?")]),
            call("question", "t2", questions=[ask("Second?", "single_choice", choices=COLOURS)]),
            when="start",
        ),
        turn(say("thanks"), after="tool"),
    )
    b.run("start")
    first, second = await b.until(lambda: len(b.questions.pending()) == 2 and b.questions.pending())
    QuestionRecord.model_validate({key: value for key, value in first.items() if value is not None})
    assert (first["message"], first["toolCallId"], first["description"]) == ("First?", "t1", "why")
    assert [option["optionId"] for option in second["options"]] == ["r", "g"]
    late, told = Screen(), []
    await b.agent.attach(b.session_id, late, None, told.append)
    assert [one["requestId"] for one in told[0]["pending"]["questions"]] == [first["requestId"], second["requestId"]]
    assert b.questions.respond(second["requestId"], "accept", {"answer": "g"}, "one") == {"accepted": True}
    assert b.questions.respond(second["requestId"], "accept", {"answer": "r"}, "two") == {
        "accepted": False,
        "resolvedBy": "one",
        "outcome": "accept",
    }
    assert b.questions.respond(first["requestId"], "accept", {"answer": False, "answer_notes": "sorry"}, "two") == {
        "accepted": True
    }
    await b.complete()
    results = await b.results()
    assert results["t1"].content == "The user answered: no\nNote of the user: sorry"
    assert results["t2"].content == 'The user chose: ["g"]'
    assert [u["resolvedBy"] for u in b.screen.updates("question_resolved")] == ["one", "two"]
    states = [update["state"] for update in b.screen.updates("state_update")]
    assert states[:3] == ["running", "requires_action", "running"]


async def test_a_permission_and_a_question_share_the_state(bench):
    b = await bench(
        turn(call("question", "t1", questions=[ask("Sure?")]), call("agentic_fetch", "t2", prompt="p"), when="start"),
        turn(say("x"), when="p$"),
        turn(say("ok"), after="tool"),
    )
    b.run("start")
    await b.until(lambda: b.questions.pending() and b.approvals.pending())
    b.questions.respond(b.questions.pending()[0]["requestId"], "decline", None, "me")
    b.approvals.respond(
        b.approvals.pending()[0]["requestId"], {"type": "selected", "optionId": "reject_once", "message": "no"}, "me"
    )
    await b.complete()
    states = [update["state"] for update in b.screen.updates("state_update", b.session_id)]
    assert states[:3] == ["running", "requires_action", "running"]
    assert (await b.results())["t1"].content.startswith("The user declined")


async def test_a_cancelled_run_withdraws_its_questions(bench):
    b = await bench(turn(call("question", "t1", questions=[ask("Sure?")]), when="start"))
    b.run("start")
    [record] = await b.until(lambda: b.questions.pending())
    b.agent.cancel(b.session_id)
    await b.complete()
    [resolved] = b.screen.updates("question_resolved")
    assert (resolved["outcome"], resolved["resolvedBy"]) == ("cancelled", "run")
    assert b.questions.respond(record["requestId"], "accept", True, "me")["outcome"] == "cancelled"
    assert b.questions.respond("unheard", "accept", True, "me") == {
        "accepted": False,
        "resolvedBy": None,
        "outcome": "unknown",
    }
    assert b.questions.pending() == []


async def test_closing_a_question_ends_the_turn(bench):
    b = await bench(turn(call("question", "t1", questions=[ask("Sure?")]), when="start"), turn(say("never")))
    b.run("start")
    [record] = await b.until(lambda: b.questions.pending())
    b.questions.respond(record["requestId"], "cancel", None, "me")
    end = await b.complete()
    assert (end["stopReason"], end["text"]) == ("end_turn", "")
    result = (await b.results())["t1"]
    assert (result.is_error, result.content) == (True, "The user closed the question without answering.")


async def test_an_answer_that_does_not_fit_leaves_the_question_open(bench):
    b = await bench(
        turn(call("question", "t1", questions=[ask("Which?", "multi_choice", choices=COLOURS)]), when="start"),
        turn(say("ok"), after="tool"),
    )
    b.run("start")
    [record] = await b.until(lambda: b.questions.pending())
    for wrong in ({"answer": ["b"]}, {"answer": "r"}, {"other": 1}, [["r"]], 7, {"answer_other": 3}):
        assert b.questions.respond(record["requestId"], "accept", wrong, "me")["outcome"] == "pending", wrong
    assert b.questions.respond(record["requestId"], "accept", {"answer": ["r"], "answer_other": "blue"}, "me")[
        "accepted"
    ]
    await b.complete()
    assert (await b.results())["t1"].content == 'The user chose: ["r"]\nIn the user\'s own words: blue'


async def test_nobody_to_ask_and_no_answer_in_time_are_said_to_the_model(bench):
    b = await bench(
        turn(call("question", "t1", questions=[ask("Sure?")]), when="start"),
        turn(call("question", "t2", questions=[ask("Still?")]), after="tool", times=2),
        turn(say("ok"), after="tool"),
        answer_timeout_s=0.2,
    )
    b.run("start", run_id="r1", non_interactive=True)
    await b.complete()
    assert "no tool called 'question'" in (await b.results())["t1"].content  # it is not even offered
    b.run("again", b.session_id, run_id="r2")
    await b.complete("r2")
    assert b.screen.updates("question_requested") == []


async def test_a_deadline_ends_the_waiting(bench):
    b = await bench(
        turn(call("question", "t1", questions=[ask("Sure?")]), when="start"),
        turn(say("ok"), after="tool"),
        answer_timeout_s=0.1,
    )
    b.run("start")
    await b.complete()
    assert (await b.results())["t1"].content.startswith("Nobody answered the question in time.")
    assert [u["resolvedBy"] for u in b.screen.updates("question_resolved")] == ["timeout"]


def test_questions_may_come_as_a_text_and_choices_under_another_name():
    text = json.dumps([ask("Which?", "single_choice", options=["A", "B"])])
    form = read_form({"questions": f"  {text}\n"})
    assert form.questions[0].choices == (Choice("A", "A"), Choice("B", "B"))
    assert read_form({"questions": [ask("One?"), ask("Two?")]}).message == "2 questions"


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        ([], "1 to 5"),
        ([ask("?")] * 6, "1 to 5"),
        ("not json", "no JSON list"),
        ("{}", "1 to 5"),
        (["x"], "Question 1 must be an object"),
        ([ask("?"), ask("?", "riddle")], "Question 2: type"),
        ([ask("")], "text must not be empty"),
        ([ask("?" * 241)], "longer than 240 bytes"),
        ([ask("é" * 121)], "longer than 240 bytes"),
        ([{"type": "yes_no", "text": "?"}], "description must not be empty"),
        ([{**ask("?"), "description": "d" * 601}], "longer than 600 bytes"),
        ([ask("?", "single_choice")], "2 to 5"),
        ([ask("?", "multi_choice", choices=COLOURS[:1])], "2 to 5"),
        ([ask("?", "multi_choice", choices=[{"label": str(n)} for n in range(6)])], "2 to 5"),
        ([ask("?", "single_choice", choices=[COLOURS[0], {"id": "r", "label": "Rot"}])], "same id"),
        ([ask("?", "single_choice", choices=[COLOURS[0], {"id": "x", "label": "Red"}])], "same label"),
        ([ask("?", "single_choice", choices=[COLOURS[0], {"label": "l" * 201}])], "choice 2: label is longer"),
        ([ask("?", "single_choice", choices=[COLOURS[0], {"label": "l", "description": "d" * 201}])], "description is"),
        ([ask("?", "yes_no", choices=COLOURS)], "has no choices"),
    ],
)
def test_what_cannot_be_asked_says_why(questions, reason):
    with pytest.raises(ToolError, match=reason):
        read_form({"questions": questions})


@pytest.mark.parametrize("content", [True, {"answer": True}, {"optionId": "yes"}, "yes"])
def test_one_question_is_answered_in_any_of_the_plain_shapes(content):
    form = Form("Sure?", questions=(Question("yes_no", "Sure?"),))
    reply = read_reply(form, content)
    assert reply is not None
    assert reply.answers[0].yes is True


def test_several_answers_follow_their_questions_and_what_is_missing_was_skipped():
    form = read_form(
        {"questions": [ask("One?"), ask("Two?", "free_text"), ask("Three?", "single_choice", choices=COLOURS)]}
    )
    reply = read_reply(form, {"answer_2": "words\u202e", "answer_3": "r", "answer_3_notes": "n"})
    assert reply is not None
    assert answers_text(form.questions, reply.answers) == (
        f"Question: One?\n{SKIPPED}\n\nQuestion: Two?\nIn the user's own words: words<U+202E>\n\n"
        'Question: Three?\nThe user chose: ["r"]\nNote of the user: n'
    )
    assert read_reply(form, True) is None
    assert set(answer_schema(form)["properties"]) == {
        *("answer_1", "answer_1_notes", "answer_2", "answer_2_notes"),
        *("answer_3", "answer_3_other", "answer_3_notes"),
    }


def test_a_form_of_a_schema_is_held_to_it():
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    form = Form("github asks: your name", schema=schema)
    assert read_reply(form, {"name": "x"}) == Reply("accept", content={"name": "x"})
    assert read_reply(form, {}) is None
    assert read_reply(form, "x") is None


async def test_a_question_survives_that_every_client_is_gone(bench):
    b = await bench(turn(call("question", "t1", questions=[ask("Sure?")]), when="start"), turn(say("ok"), after="tool"))
    b.run("start")
    [record] = await b.until(lambda: b.questions.pending())
    b.agent.drop(b.screen)
    await asyncio.sleep(0)
    again, told = Screen(), []
    await b.agent.attach(b.session_id, again, 0, told.append)
    assert told[0]["pending"]["questions"] == [record]
    b.questions.respond(record["requestId"], "accept", True, "me")
    await b.until(lambda: again.completes())
