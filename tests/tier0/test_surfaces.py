"""How a question is laid out for `window/showMessageRequest`."""

from lsp_agent.server.surfaces import _distinct, _in_order

OPTIONS = [
    {"optionId": "allow_once", "name": "Allow once"},
    {"optionId": "allow_always", "name": "Always allow"},
    {"optionId": "reject_once", "name": "Reject"},
]


def shown(subject):
    return [option["optionId"] for option in _in_order({"options": OPTIONS, "subject": subject})]


def test_allowing_is_never_first_for_what_cannot_be_taken_back():
    assert shown({"type": "command", "command": "rm -r build"}) == ["reject_once", "allow_once", "allow_always"]
    assert shown({"type": "url", "url": "x"})[0] == "reject_once"
    assert shown({"type": "tool", "name": "x"})[0] == "reject_once"


def test_an_edit_that_the_editor_can_undo_keeps_the_order_of_the_record():
    assert shown({"type": "edit", "changes": []}) == ["allow_once", "allow_always", "reject_once"]


def test_equal_names_get_a_number_because_the_client_answers_with_the_title():
    assert _distinct({"a": "Fix", "b": "Fix", "c": "Fix"}) == {"a": "Fix", "b": "Fix (2)", "c": "Fix (3)"}
