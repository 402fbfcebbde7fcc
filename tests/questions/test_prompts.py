"""Questions as rows of `showMessageRequest` prompts."""

from lsp_agent.server.question_prompts import MAX_ACTIONS, QuestionPrompts, request_of

CHOICES = [{"id": f"c{n}", "label": f"Choice {n}"} for n in range(5)]


def record(*questions):
    return {"requestId": "q1", "sessionId": "s1", "message": "m", "questions": list(questions)}


def question(kind, key="answer", **more):
    return {"key": key, "type": kind, "text": f"{kind}?", "description": "why", **more}


def titles(prompt):
    return [option["name"] for option in prompt["options"]]


def test_a_yes_or_no_is_one_prompt():
    prompts = QuestionPrompts(record(question("yes_no")))
    shown = prompts.current()
    assert (shown["title"], titles(shown)) == ("Agent asks: yes_no?\nwhy", ["Yes", "No", "Skip"])
    assert request_of(shown["requestId"]) == "q1"
    assert request_of("choice-1") is None
    assert prompts.take("no") == ("accept", {"answer": False})


def test_several_questions_are_asked_one_after_the_other():
    prompts = QuestionPrompts(
        record(
            question("single_choice", "answer_1", choices=CHOICES),
            question("multi_choice", "answer_2", choices=CHOICES[:2]),
            question("free_text", "answer_3"),
        )
    )
    first = prompts.current()
    assert len(first["options"]) == MAX_ACTIONS
    assert first["title"].startswith("Agent asks (1/3)")
    assert prompts.take("c4") is None
    assert prompts.current()["requestId"] != first["requestId"]
    assert prompts.take("c1") is None
    assert titles(prompts.current()) == ["Skip (needs words)", "Decline all"]
    assert prompts.take("skip") == ("accept", {"answer_1": "c4", "answer_2": ["c1"]})


def test_what_needs_words_can_only_be_declined_here():
    prompts = QuestionPrompts(record(question("free_text")))
    assert titles(prompts.current()) == ["Decline"]
    assert "prompt document" in prompts.current()["title"]
    assert prompts.take("decline") == ("decline", None)
    form = QuestionPrompts({"requestId": "q2", "sessionId": "s1", "message": "github asks: name"})
    assert "github asks: name" in form.current()["title"]
    assert form.take("decline") == ("decline", None)


def test_a_choice_called_skip_is_not_doubled():
    choices = [{"id": "a", "label": "Skip"}, {"id": "b", "label": "Go"}]
    assert titles(QuestionPrompts(record(question("single_choice", choices=choices))).current()) == ["Skip", "Go"]
