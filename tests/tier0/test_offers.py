"""Which code actions are offered where."""

from lsp_agent.server.tier0.marker import Marker
from lsp_agent.server.tier0.offers import Facts, offers

PLACE = {"uri": "file:///w/a.py", "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 4}}}
RECORD = {
    "requestId": "p1",
    "title": "Edit a.py (+1 −1)",
    "options": [
        {"optionId": "allow_once", "kind": "allow_once", "name": "Allow once"},
        {"optionId": "reject_once", "kind": "reject_once", "name": "Reject"},
    ],
}


def titles(facts, only=None):
    return [offer.title for offer in offers(facts, only)]


def test_any_place_can_be_explained_tested_improved_and_instructed():
    assert titles(Facts(PLACE)) == [
        "Agent: improve this code",
        "Agent: explain",
        "Agent: write tests",
        "Agent: edit with an instruction…",
    ]


def test_a_diagnostic_can_be_fixed_and_its_text_goes_along():
    found = offers(Facts(PLACE, problems=["undefined name x"]), None)
    fix = next(offer for offer in found if offer.title == "Agent: fix this problem")
    assert fix.kind == "quickfix"
    assert fix.fixes
    assert fix.arguments[0]["problems"] == ["undefined name x"]
    assert fix.arguments[0]["range"] == PLACE["range"]


def test_a_marker_comment_is_offered_first_with_the_whole_file():
    offer = offers(Facts(PLACE, marker=Marker(1, "rename it")), None)[0]
    assert offer.title == "Agent: do this: rename it"
    assert "range" not in offer.arguments[0]


def test_kinds_asked_for_are_respected():
    assert titles(Facts(PLACE, problems=["x"]), ["quickfix"]) == ["Agent: fix this problem"]
    assert titles(Facts(PLACE), ["refactor"]) == ["Agent: improve this code", "Agent: edit with an instruction…"]
    assert titles(Facts(PLACE), ["source.organizeImports"]) == []
    assert titles(Facts(PLACE), ["source.fixAll"]) == []


def test_an_open_question_is_offered_everywhere_with_every_answer():
    for facts in (Facts(PLACE, pending=[RECORD]), Facts(PLACE, pending=[RECORD], is_transcript=True)):
        found = offers(facts, None)
        assert [offer.title for offer in found[:3]] == [
            "Agent: Allow once: Edit a.py (+1 −1)",
            "Agent: Reject: Edit a.py (+1 −1)",
            "Agent: show the question again",
        ]
        assert (found[0].command, list(found[0].arguments)) == ("lspAgent.accept", ["p1", "allow_once"])
        assert (found[1].command, list(found[1].arguments)) == ("lspAgent.reject", ["p1", "reject_once"])


def test_a_run_can_be_stopped_from_anywhere():
    assert "Agent: stop" in titles(Facts(PLACE, is_busy=True))
    assert "Agent: stop" not in titles(Facts(PLACE))


def test_the_prompt_document_offers_to_send_and_the_transcript_nothing_about_code():
    assert titles(Facts(PLACE, is_prompt=True, about="a.py")) == ["Agent: send (about a.py)"]
    assert titles(Facts(PLACE, is_transcript=True, has_session=True, is_busy=True)) == ["Agent: stop"]


def test_an_editor_with_a_plugin_is_not_offered_what_its_own_chat_does():
    found = titles(Facts(PLACE, has_plugin=True, has_session=True, problems=["x"]))
    assert "Agent: fix this problem" in found
    assert not {"Agent: edit with an instruction…", "Agent: open the transcript"} & set(found)


def test_every_command_is_advertised():
    from lsp_agent.server.negotiation import COMMANDS
    from lsp_agent.server.tier0.commands import Commands

    assert set(Commands(None, None).table()) == set(COMMANDS)
