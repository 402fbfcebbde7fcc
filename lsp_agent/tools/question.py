"""`question`: the model asks the user and waits for the answer (CORE 24)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.asker import KINDS, Answered, Asker, Choice, Form, Question
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.untrusted import clean

MAX_QUESTIONS = 5
MIN_CHOICES, MAX_CHOICES = 2, 5
MAX_TEXT_BYTES, MAX_DESCRIPTION_BYTES = 240, 600
MAX_LABEL_BYTES = MAX_CHOICE_DESCRIPTION_BYTES = 200
CANCELLED = "The user closed the question without answering."
SKIPPED = "Not answered: the user skipped this question."

_CHOICE = object_schema(
    {
        "id": {"type": "string", "description": "Short name of the choice; told back when it is chosen."},
        "label": {"type": "string", "description": f"What the user reads, at most {MAX_LABEL_BYTES} bytes."},
        "description": {"type": "string", "description": "What choosing it means."},
    },
    ["label"],
)
_QUESTION = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": f"One of {', '.join(KINDS)}."},
        "text": {"type": "string", "description": f"The question, at most {MAX_TEXT_BYTES} bytes."},
        "description": {
            "type": "string",
            "description": f"Why it is asked and what hangs on it, at most {MAX_DESCRIPTION_BYTES} bytes.",
        },
        "choices": {
            "type": "array",
            "items": _CHOICE,
            "description": f"{MIN_CHOICES} to {MAX_CHOICES}, for the two kinds of choice.",
        },
    },
    "required": ["type", "text", "description"],
}


class AskUser:
    """Several calls may wait at once, and each is answered by itself."""

    kind = "other"
    parallel = True
    read_only = True
    spec = ToolSpec(
        name="question",
        description=(
            "Ask the user and wait for the answer. Use it when two readings of the request would lead to different "
            f"work and the files do not settle it. At most {MAX_QUESTIONS} questions in a call, of the types yes_no, "
            f"single_choice, multi_choice ({MIN_CHOICES} to {MAX_CHOICES} choices) and free_text. Beside a choice the "
            "user can always answer in their own words, add a note, or skip a question."
        ),
        input_schema=object_schema(
            {
                "questions": {"type": ["array", "string"], "items": _QUESTION},
                "title": {"type": "string", "description": "What the questions are about together, one line."},
                "description": {"type": "string"},
            },
            ["questions"],
        ),
    )

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def title(self, arguments: Mapping[str, Any]) -> str:
        found = arguments.get("questions")
        first = found[0] if isinstance(found, list) and found and isinstance(found[0], Mapping) else {}
        return f"Ask: {one_line(text_argument(first, 'text', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        form = read_form(arguments)
        reply = await self._asker.ask(context.run, form, tool_call_id=context.call.tool_call_id)
        match reply.action:
            case "accept":
                return ToolResult(answers_text(form.questions, reply.answers), metadata={"outcome": "accept"})
            case "decline":
                text = "The user declined to answer. Go on with what you know, or say what you cannot do without it."
                return ToolResult(text, metadata={"outcome": "decline"})
            case "nobody":
                raise ToolError("Nobody can be asked in this run. Decide by yourself, and say what you assumed.")
            case "timeout":
                raise ToolError("Nobody answered the question in time. Decide by yourself, and say what you assumed.")
            case _:
                return ToolResult(CANCELLED, is_error=True, stop_turn=True, metadata={"outcome": "cancel"})


def read_form(arguments: Mapping[str, Any]) -> Form:
    """The questions as asked. Raises: ToolError that says which question is wrong and how."""
    questions = [_question(item, number) for number, item in enumerate(_items(arguments.get("questions")), 1)]
    if len(questions) == 1:
        return Form(questions[0].text, questions[0].description, tuple(questions))
    title = _text(arguments, "title", "title", MAX_TEXT_BYTES, default=f"{len(questions)} questions")
    about = _text(
        arguments,
        "description",
        "description",
        MAX_DESCRIPTION_BYTES,
        default="Answer what you can; the rest may stay open.",
    )
    return Form(title, about, tuple(questions))


def answers_text(questions: Sequence[Question], answers: Sequence[Answered]) -> str:
    """What the model reads; with several questions each answer follows its question."""
    pairs = list(zip(questions, answers, strict=True))
    if len(pairs) == 1:
        return _answer_text(pairs[0][1])
    return "\n\n".join([f"Question: {question.text}\n{_answer_text(answer)}" for question, answer in pairs])


def _answer_text(answer: Answered) -> str:
    lines: list[str] = []
    if answer.yes is not None:
        lines.append(f"The user answered: {'yes' if answer.yes else 'no'}")
    if answer.selected:
        lines.append(f"The user chose: {json.dumps(list(answer.selected), ensure_ascii=False)}")
    if answer.text:
        lines.append(f"In the user's own words: {clean(answer.text)}")
    lines = lines or [SKIPPED]
    if answer.notes:
        lines.append(f"Note of the user: {clean(answer.notes)}")
    return "\n".join(lines)


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value.strip())
        except ValueError as error:
            raise ToolError(f"questions is a string that holds no JSON list ({error}).") from error
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_QUESTIONS:
        raise ToolError(f"questions must be a list of 1 to {MAX_QUESTIONS} questions.")
    return value


def _question(item: Any, number: int) -> Question:
    where = f"Question {number}"
    if not isinstance(item, Mapping):
        raise ToolError(f"{where} must be an object.")
    kind = item.get("type")
    if kind not in KINDS:
        raise ToolError(f"{where}: type must be one of {', '.join(KINDS)}.")
    text = _text(item, "text", where, MAX_TEXT_BYTES)
    description = _text(item, "description", where, MAX_DESCRIPTION_BYTES)
    given = item.get("choices", item.get("options"))
    if kind in ("yes_no", "free_text"):
        if given:
            raise ToolError(f"{where}: a {kind} question has no choices.")
        return Question(kind, text, description)
    if not isinstance(given, list) or not MIN_CHOICES <= len(given) <= MAX_CHOICES:
        raise ToolError(f"{where}: choices must be a list of {MIN_CHOICES} to {MAX_CHOICES}.")
    choices = [_choice(choice, f"{where}, choice {at}") for at, choice in enumerate(given, 1)]
    for name, values in (("id", [one.choice_id for one in choices]), ("label", [one.label for one in choices])):
        if len(set(values)) < len(values):
            raise ToolError(f"{where}: no two choices may have the same {name}.")
    return Question(kind, text, description, tuple(choices))


def _choice(item: Any, where: str) -> Choice:
    if isinstance(item, str):
        item = {"label": item}
    if not isinstance(item, Mapping):
        raise ToolError(f"{where} must be an object with id and label.")
    label = _text(item, "label", where, MAX_LABEL_BYTES)
    choice_id = _text(item, "id", where, MAX_LABEL_BYTES, default=label)
    return Choice(choice_id, label, _text(item, "description", where, MAX_CHOICE_DESCRIPTION_BYTES, default=""))


def _text(item: Mapping[str, Any], name: str, where: str, limit_bytes: int, *, default: str | None = None) -> str:
    """A text as people are shown it. Raises: ToolError when it is missing, empty without a `default`, or too long."""
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise ToolError(f"{where}: {name} must be a string.")
    text = clean(value or "").strip()
    if not text:
        if default is None:
            raise ToolError(f"{where}: {name} must not be empty.")
        return default
    if len(text.encode("utf-8", "replace")) > limit_bytes:
        raise ToolError(f"{where}: {name} is longer than {limit_bytes} bytes.")
    return text
