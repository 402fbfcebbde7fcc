"""Asking the user something that is not a permission: what the model wants to know, or a server of the user's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lsp_agent.domain.run import Run

KINDS = ("yes_no", "single_choice", "multi_choice", "free_text")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to choose."""

    choice_id: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `kind` is one of `KINDS`; `choices` for the two kinds that have them."""

    kind: str
    text: str
    description: str = ""
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """What is put before the user at once: questions, or a flat JSON Schema object to fill in, never both."""

    message: str
    """One line; with who asks when that is not the model."""
    description: str = ""
    questions: tuple[Question, ...] = ()
    schema: Mapping[str, Any] | None = None
    """For a form without questions: `content` of the answer fits it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one question; everything empty = skipped."""

    selected: tuple[str, ...] = ()
    """Ids of choices."""
    text: str = ""
    yes: bool | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    `action`: accept, decline, cancel, `nobody` (there is nobody to ask), `timeout`. With `accept`: `answers`, one a
    question, or `content` for a form of a schema.
    """

    action: str
    answers: tuple[Answered, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)


class Asker(Protocol):
    """Asks and waits. Several forms may be open at once, also in one session."""

    async def ask(self, run: Run, form: Form, *, tool_call_id: str | None = None) -> Reply:
        """Put `form` before whoever follows the run's session.

        Waits until answered or the deadline. Cancellation withdraws it and passes through. Never raises.
        """
        ...
