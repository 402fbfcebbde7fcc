"""A question as data: the record clients are shown, the schema of its answer, and what an answer means. Pure.

The answer's `content` is a flat object. The first question's answer is `answer`, with `answer_other` (own words beside
or instead of a choice) and `answer_notes`; of several questions they are `answer_1`, `answer_1_other`, … What is
missing was skipped. For one question the bare value, or `{"optionId": …}`, will do.
"""

from collections.abc import Mapping
from typing import Any

from lsp_agent.agent.approval_records import timestamp
from lsp_agent.agent.arguments import problems
from lsp_agent.domain.run import Run
from lsp_agent.ports.asker import Answered, Form, Question, Reply

_MAX_ANSWER_CHARS = 100_000


def question_record(request_id: str, run: Run, tool_call_id: str | None, form: Form, *, now_ms: int) -> dict[str, Any]:
    """The record of PROTOCOL 5, with `questions` and `schema` beside."""
    record: dict[str, Any] = {
        "requestId": request_id,
        "sessionId": run.session_id,
        "runId": run.run_id,
        "toolCallId": tool_call_id,
        "message": form.message,
        "schema": answer_schema(form),
        "createdAt": timestamp(now_ms),
    }
    if form.description:
        record["description"] = form.description
    if form.questions:
        record["questions"] = [
            _question(question, key) for question, key in zip(form.questions, _keys(form), strict=True)
        ]
    if len(form.questions) == 1 and (options := _options(form.questions[0])):
        record["options"] = options
    return record


def answer_schema(form: Form) -> dict[str, Any]:
    """The flat JSON Schema object an answer fits."""
    if not form.questions:
        return dict(form.schema or {"type": "object", "properties": {}})
    properties: dict[str, Any] = {}
    for question, key in zip(form.questions, _keys(form), strict=True):
        properties[key] = {"title": question.text, **_value_schema(question)}
        if question.choices:
            properties[f"{key}_other"] = {"type": "string", "title": "In your own words"}
        properties[f"{key}_notes"] = {"type": "string", "title": "Notes"}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def read_reply(form: Form, content: object) -> Reply | None:
    """The accepted answer in a client's `content`; None when it does not fit, and then it is no answer."""
    if not form.questions:
        value = {} if content is None else content
        fits = isinstance(value, dict) and not problems(value, answer_schema(form))
        return Reply("accept", content=value) if fits and isinstance(value, dict) else None
    fields = _fields(form, content)
    if fields is None or problems(fields, answer_schema(form)):
        return None
    if any(len(text) > _MAX_ANSWER_CHARS for text in fields.values() if isinstance(text, str)):
        return None
    pairs = zip(form.questions, _keys(form), strict=True)
    return Reply("accept", tuple([_answered(question, key, fields) for question, key in pairs]))


def _keys(form: Form) -> list[str]:
    count = len(form.questions)
    return ["answer"] if count == 1 else [f"answer_{number}" for number in range(1, count + 1)]


def _question(question: Question, key: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"key": key, "type": question.kind, "text": question.text}
    if question.description:
        shown["description"] = question.description
    if question.choices:
        shown["choices"] = [
            {"id": choice.choice_id, "label": choice.label, "description": choice.description}
            for choice in question.choices
        ]
    return shown


def _options(question: Question) -> list[dict[str, Any]]:
    if question.kind == "yes_no":
        return [{"optionId": "yes", "name": "Yes"}, {"optionId": "no", "name": "No"}]
    if question.kind != "single_choice":
        return []
    return [
        {"optionId": choice.choice_id, "name": choice.label, "description": choice.description}
        for choice in question.choices
    ]


def _value_schema(question: Question) -> dict[str, Any]:
    ids = [choice.choice_id for choice in question.choices]
    one = {"type": "string", "enum": ids, "enumNames": [choice.label for choice in question.choices]}
    match question.kind:
        case "yes_no":
            return {"type": "boolean"}
        case "single_choice":
            return one
        case "multi_choice":
            return {"type": "array", "items": one, "maxItems": len(ids)}
        case _:
            return {"type": "string"}


def _fields(form: Form, content: object) -> dict[str, Any] | None:
    """The content as a flat object, in whichever of its shapes it came."""
    if content is None:
        return {}
    single = form.questions[0] if len(form.questions) == 1 else None
    if isinstance(content, Mapping):
        fields = dict(content)
        if single is not None and "optionId" in fields:
            fields["answer"] = fields.pop("optionId")
    elif single is not None:
        fields = {"answer": content}
    else:
        return None
    if single is not None and single.kind == "yes_no" and fields.get("answer") in ("yes", "no"):
        fields["answer"] = fields["answer"] == "yes"
    return {key: value for key, value in fields.items() if value is not None}


def _answered(question: Question, key: str, fields: Mapping[str, Any]) -> Answered:
    value, other = fields.get(key), str(fields.get(f"{key}_other", "")).strip()
    notes = str(fields.get(f"{key}_notes", "")).strip()
    match question.kind:
        case "yes_no":
            return Answered(yes=value, notes=notes)
        case "single_choice":
            return Answered((value,) if value is not None else (), other, notes=notes)
        case "multi_choice":
            return Answered(tuple(dict.fromkeys(value or ())), other, notes=notes)
        case _:
            return Answered(text=str(value or "").strip(), notes=notes)
