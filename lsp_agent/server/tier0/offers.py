"""Which code actions are offered where. Pure: facts in, offers out; each is a command, computed when it is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.server.tier0.hints import Mark
from lsp_agent.server.tier0.marker import Marker
from lsp_agent.server.tier0.run_line import one_line

QUICK_FIX, REWRITE, AGENT = "quickfix", "refactor.rewrite", "source.agent"
PENDING_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """One code action. `fixes`: it is about the diagnostics of the request."""

    title: str
    kind: str
    command: str
    arguments: Sequence[Any] = ()
    fixes: bool = False
    is_models: bool = True
    """The change comes from a language model (`CodeActionTag.LLMGenerated`)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when code actions are asked for. `place`: `{uri, range}`."""

    place: Mapping[str, Any]
    problems: Sequence[str] = ()
    marker: Marker | None = None
    pending: Sequence[Mapping[str, Any]] = ()
    is_busy: bool = False
    has_session: bool = False
    is_transcript: bool = False
    is_prompt: bool = False
    has_plugin: bool = False
    """The editor has its own chat: no prompt document, no transcript."""
    marks: Sequence[Mark] = ()
    """The agent's changes that wait in this document."""
    about: str = ""
    """Name of what a sent prompt will have attached."""


def offers(facts: Facts, only: Sequence[str] | None) -> list[Offer]:
    """In the order they are shown. `only`: kinds asked for, each with those below it."""
    found = [*_answers(facts.pending), *_reviews(facts)]
    if facts.is_prompt:
        about = f" (about {facts.about})" if facts.about else ""
        found.append(Offer(f"Agent: send{about}", QUICK_FIX, "lspAgent.send"))
    elif not facts.is_transcript:
        found += _about_code(facts)
    if facts.is_busy:
        found.append(Offer("Agent: stop", AGENT, "lspAgent.stop", is_models=False))
    if facts.has_session and not facts.is_transcript and not facts.has_plugin:
        found.append(Offer("Agent: open the transcript", AGENT, "lspAgent.transcript", is_models=False))
    return [offer for offer in found if not only or any(_below(offer.kind, kind) for kind in only)]


def _about_code(facts: Facts) -> list[Offer]:
    found = []
    if facts.marker is not None:
        # the whole file goes along, not the range: the comment tells where
        ask = {"prompt": facts.marker.prompt(), "uri": facts.place["uri"]}
        shown = one_line(facts.marker.text, 40)
        found.append(Offer(f"Agent: do this: {shown}", QUICK_FIX, "lspAgent.ask", [ask]))
    if facts.problems:
        fix = {"prompt": "Fix this problem.", **facts.place, "problems": list(facts.problems)}
        found.append(Offer("Agent: fix this problem", QUICK_FIX, "lspAgent.ask", [fix], fixes=True))
    more = {"problems": list(facts.problems)} if facts.problems else {}
    for title, kind, prompt in (
        ("Agent: improve this code", REWRITE, "Improve this code. Keep its behaviour."),
        ("Agent: explain", AGENT, "Explain this code."),
        ("Agent: write tests", AGENT, "Write tests for this code."),
    ):
        found.append(Offer(title, kind, "lspAgent.ask", [{"prompt": prompt, **facts.place, **more}]))
    if not facts.has_plugin:
        found.append(Offer("Agent: edit with an instruction…", REWRITE, "lspAgent.prompt", [dict(facts.place)]))
    return found


def _answers(pending: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """The open questions as actions, so that a prompt that was replaced or dismissed is not lost."""
    found = []
    for record in pending[:PENDING_SHOWN]:
        what = one_line(str(record["title"]), 60)
        for option in record["options"]:
            command = "lspAgent.accept" if str(option["kind"]).startswith("allow") else "lspAgent.reject"
            arguments = [record["requestId"], option["optionId"]]
            found.append(Offer(f"Agent: {option['name']}: {what}", QUICK_FIX, command, arguments, is_models=False))
    if pending:
        found.append(Offer("Agent: show the question again", QUICK_FIX, "lspAgent.permissions", is_models=False))
    return found


def _reviews(facts: Facts) -> list[Offer]:
    """What the user may decide about the agent's changes: those on the lines asked about, then all of the file."""
    first, last = (int(facts.place["range"][end]["line"]) for end in ("start", "end"))
    found = []
    for mark in [mark for mark in facts.marks if mark.meets(first, last)][:PENDING_SHOWN]:
        where = f"line {mark.start + 1}"
        for word, command in (("keep", "lspAgent.accept"), ("take back", "lspAgent.reject")):
            title = f"Agent: {word} this change ({where})"
            found.append(Offer(title, QUICK_FIX, command, [mark.target], fixes=True, is_models=False))
    sessions = dict.fromkeys(mark.session_id for mark in facts.marks)
    if found and len(facts.marks) > 1:
        for session_id in sessions:
            target = {"uri": facts.place["uri"], "sessionId": session_id}
            for word, command in (("keep", "lspAgent.accept"), ("take back", "lspAgent.reject")):
                title = f"Agent: {word} all changes of this file"
                found.append(Offer(title, QUICK_FIX, command, [target], is_models=False))
    return found


def _below(kind: str, asked: str) -> bool:
    return not asked or kind == asked or kind.startswith(f"{asked}.")
