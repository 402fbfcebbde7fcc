"""Questions of the model as a row of prompts with a few actions each, for clients that have nothing better. Pure.

A yes or no and a choice of one are asked as they are; of a choice of several one can be taken; what wants a text is
told to be answered in the prompt document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_ACTIONS = 5
SKIP, DECLINE = "skip", "decline"
_PREFIX = "question"


@dataclass(slots=True)
class QuestionPrompts:
    """One record on its way through a user's prompts. `current` is shown, `take` brings the next."""

    record: Mapping[str, Any]
    _at: int = 0
    _content: dict[str, Any] = field(default_factory=dict)

    @property
    def request_id(self) -> str:
        """Of the record."""
        return str(self.record["requestId"])

    def current(self) -> dict[str, Any]:
        """The prompt to show now, in the shape of a permission record."""
        questions = self._questions()
        question = questions[self._at] if questions else {"text": self.record["message"], "type": "form"}
        number = f" ({self._at + 1}/{len(questions)})" if len(questions) > 1 else ""
        lines = [f"Agent asks{number}: {question['text']}"]
        about = question.get("description") or (self.record.get("description") if not questions else "")
        lines += [about] if about else []
        options = self._options(question)
        if [option["optionId"] for option in options] == [DECLINE]:
            lines.append("This needs an answer in words: decline here, and write it in the prompt document.")
        return {
            "requestId": f"{_PREFIX}:{self.request_id}:{self._at}",
            "sessionId": self.record["sessionId"],
            "title": "\n".join(lines),
            "options": options,
        }

    def take(self, option_id: str) -> tuple[str, dict[str, Any] | None] | None:
        """The user's choice. None = show `current` again, it is the next; else the action and content of the answer."""
        questions = self._questions()
        if option_id == DECLINE or not questions:
            return "decline", None
        question = questions[self._at]
        if option_id != SKIP:
            value: Any = option_id
            if question["type"] == "yes_no":
                value = option_id == "yes"
            elif question["type"] == "multi_choice":
                value = [option_id]
            self._content[question["key"]] = value
        self._at += 1
        return None if self._at < len(questions) else ("accept", self._content)

    def _questions(self) -> list[Mapping[str, Any]]:
        return list(self.record.get("questions") or ())

    def _options(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        match question["type"]:
            case "yes_no":
                found = [{"optionId": "yes", "name": "Yes"}, {"optionId": "no", "name": "No"}]
            case "single_choice" | "multi_choice":
                found = [{"optionId": one["id"], "name": one["label"]} for one in question["choices"]]
            case _ if len(self._questions()) > 1:
                return [{"optionId": SKIP, "name": "Skip (needs words)"}, {"optionId": DECLINE, "name": "Decline all"}]
            case _:
                return [{"optionId": DECLINE, "name": "Decline"}]
        if len(found) < MAX_ACTIONS and "Skip" not in [option["name"] for option in found]:
            found.append({"optionId": SKIP, "name": "Skip"})
        return found


def request_of(prompt_id: str) -> str | None:
    """The record a prompt belongs to; None when it is no prompt of a question."""
    prefix, _, rest = prompt_id.partition(":")
    return rest.rpartition(":")[0] if prefix == _PREFIX and rest else None
