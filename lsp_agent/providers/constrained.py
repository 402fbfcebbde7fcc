"""A model that cannot call tools, led by the hand: it chooses from a few things, and the calls are made for it.

A turn is at most three steps. The model says, in JSON that cannot be anything else, whether a file must be looked at or
changed, and which; that becomes an ordinary `view` call. With the text before it, it answers in free words, or writes
one function again in a code block, from which an ordinary `edit` call is made. Permission, events, undo and everything
else is as with any model. The last step says, without asking the model, what became of the change.

What the model wanted travels in the id of the `view` call, so nothing is remembered here between two requests.
"""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from lsp_agent.domain.message import FinishReason, Message, Role, TextPart
from lsp_agent.domain.model import Sampling
from lsp_agent.domain.stream import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import Request
from lsp_agent.providers import constrained_prompts as prompts
from lsp_agent.providers import constrained_rewrite as rewriting
from lsp_agent.providers.constrained_prompts import REWRITE, SAY, VIEW
from lsp_agent.providers.constrained_summary import mechanical_summary
from lsp_agent.providers.constrained_view import Done, Seen, Situation, situation_of
from lsp_agent.providers.content import body_bytes, input_object
from lsp_agent.providers.settings import OWN_MODEL_OPTIONS

if TYPE_CHECKING:
    from lsp_agent.providers.adapters import Preloadable

MAX_STEPS = 3
_WANTS_CHANGE = "call_change_"
_WANTS_ANSWER = "call_answer_"
_DECISION_TOKENS = 200
_TITLE_TOKENS = 60
_TITLE_PROMPT_CHARS = 1_500
_MAX_PARTS = 60
_TEMPERATURE = 0.2
"""Higher, small models lose the thread; at 0 they repeat themselves."""
_PENALTY = 0.3
"""Against saying the same for ever."""


@dataclass(slots=True)
class _Heard:
    """What one question to the model brought."""

    pieces: list[str] = field(default_factory=list)
    usage: Usage = Usage()
    finished: Finished = Finished(FinishReason.END_TURN)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ConstrainedProvider:
    """Leads the models of `chat`, an adapter of the Chat Completions dialect whose service knows `json_schema`."""

    def __init__(self, chat: "Preloadable") -> None:
        self.provider_id = chat.provider_id
        self.media_in_tool_results = False
        self._chat = chat

    async def preload(self) -> None:
        """As the adapter inside."""
        await self._chat.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        guide = _Guide(self._chat, request)
        steps = {"title": guide.title, "summary": guide.summary}.get(request.purpose, guide.turn)
        async with aclosing(steps()) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._chat.close()


class _Guide:
    """One request."""

    def __init__(self, chat: "Preloadable", request: Request) -> None:
        self._chat = chat
        self._request = request
        self._tools = {tool.name for tool in request.tools}
        self._window = request.model.context_window
        self._usage = Usage()

    # ------------------------------------------------------------------------------------------------------- a turn

    async def turn(self) -> AsyncGenerator[Sequence[StreamEvent], None]:
        situation = situation_of(self._request)
        last = situation.done[-1] if situation.done else None
        if last is not None and last.call.name == "edit":
            yield [TextDelta(_what_became(last)), Finished(FinishReason.END_TURN)]
            return
        action, path = SAY, ""
        if last is None and situation.paths and "view" in self._tools:
            heard = _Heard()
            actions, paths = self._actions(situation), situation.paths
            if len(actions) * len(paths) > 1:
                schema = prompts.decision_schema(actions, paths)
                async for _ in self._ask(prompts.decision_prompt(situation, actions, paths), heard, schema=schema):
                    yield []
            action, path = _decided(heard.text, actions, paths)
        elif last is not None and last.call.tool_call_id.startswith(_WANTS_CHANGE) and "edit" in self._tools:
            action = REWRITE if situation.seen and situation.steps < MAX_STEPS else SAY
        steps = self._say(situation)
        if path:
            steps = self._view(situation, path, changing=action == REWRITE)
        elif action == REWRITE:
            steps = self._rewrite(situation, situation.seen[-1])
        async with aclosing(steps) as batches:
            async for batch in batches:
                yield batch

    def _actions(self, situation: Situation) -> list[str]:
        """What the model may choose. Where something is attached, looking at it is never wrong; small models take
        many a question for a wish, so a question is never taken for one."""
        actions = [VIEW]
        if "edit" in self._tools and not prompts.is_question(situation.question):
            actions.append(REWRITE)
        return actions if situation.attached else [*actions, SAY]

    async def _view(
        self, situation: Situation, path: str, *, changing: bool
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        arguments: dict[str, Any] = {"file_path": path}
        part = situation.selection(path)
        if part is not None and part.start is not None and part.start > 100:
            arguments["offset"] = part.start - 100
        yield self._call("view", arguments, _WANTS_CHANGE if changing else _WANTS_ANSWER)

    async def _say(self, situation: Situation) -> AsyncGenerator[Sequence[StreamEvent], None]:
        files, _ = prompts.room_chars(self._window)
        pieces = []
        for seen in situation.seen:
            part = situation.selection(seen.path)
            around = part.start if part is not None else None
            pieces.append((seen, prompts.excerpt(seen, around, files // len(situation.seen))))
        shown = {seen.path for seen in situation.seen}
        for item in situation.attached:
            # what has no file, or could not be looked at, is there all the same
            if item.path not in shown and item.text and not situation.seen:
                seen = Seen(item.path, tuple(item.text.split("\n")), item.start or 0, item.start is not None)
                pieces.append((seen, prompts.excerpt(seen, None, files // len(situation.attached))))
        troubles = [
            f"Note: {done.result.content[:300]}" for done in situation.done if done.failed and done.result is not None
        ]
        heard = _Heard()
        asking = self._ask(prompts.answer_prompt(situation, pieces, troubles), heard, situation, loudly=True)
        async for batch in asking:
            yield batch
        yield [UsageReport(self._usage), heard.finished]

    # ---------------------------------------------------------------------------------------------------- a rewrite

    async def _rewrite(self, situation: Situation, seen: Seen) -> AsyncGenerator[Sequence[StreamEvent], None]:
        found, choices = _parts(situation, seen)
        if found is None and choices:
            heard = _Heard()
            names = [part.name for part in choices]
            async for _ in self._ask(
                prompts.choice_prompt(situation, seen, names), heard, schema=prompts.choice_schema(names)
            ):
                yield []
            name = input_object(heard.text).get("name")
            found = next((part for part in choices if part.name == name), choices[0])
        if found is None:
            trouble = f"I found no function in `{seen.path}` that I could write again; select the lines to change."
            yield [TextDelta(trouble), UsageReport(self._usage), Finished(FinishReason.END_TURN)]
            return
        old = found.text(seen.lines)
        heard = _Heard()
        prompt = prompts.rewrite_prompt(situation, seen.path, found.name, old)
        async for batch in self._ask(prompt, heard, max_tokens=_rewrite_tokens(old), loudly=True):
            # the draft is shown as thinking: it is not said to anybody yet
            yield [ReasoningDelta(event.text) for event in batch if isinstance(event, TextDelta)]
        yield [ReasoningEnd()]
        new, trouble = rewriting.fitted(old, heard.text, seen.path, found.name)
        if new is not None and any(len(line) > 500 and line.endswith("...") for line in old.split("\n")):
            new, trouble = None, "a line of it is too long to be shown whole"
        if new == old:
            # the model sees nothing to change: it may say why
            async with aclosing(self._say(situation)) as batches:
                async for batch in batches:
                    yield batch
            return
        if new is None:
            text = f"I tried to write {found.name} of `{seen.path}` again, but {trouble}. Nothing was changed."
            yield [TextDelta(text), UsageReport(self._usage), Finished(FinishReason.END_TURN)]
            return
        yield self._call("edit", _edit(seen, found, new), "call_")

    # ---------------------------------------------------------------------------------------------- titles, summaries

    async def title(self) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """A title that fits, whatever the model would like to add."""
        words = self._request.messages[-1].text if self._request.messages else ""
        heard = _Heard()
        prompt = f"Give this request a title of a few words, in its language.\n\n{words[:_TITLE_PROMPT_CHARS]}"
        async for _ in self._ask(prompt, heard, schema=prompts.title_schema(), max_tokens=_TITLE_TOKENS):
            yield []
        title = input_object(heard.text).get("title")
        text = " ".join(title.split())[: prompts.TITLE_CHARS] if isinstance(title, str) else ""
        yield [TextDelta(text), UsageReport(self._usage), Finished(FinishReason.END_TURN)]

    async def summary(self) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """Larger models write one; for small ones it is put together from what was said and done."""
        if self._request.provider_options.get("mechanical_summary"):
            text = mechanical_summary(self._request.messages, self._window)
            yield [TextDelta(text), UsageReport(Usage(estimated=True)), Finished(FinishReason.END_TURN)]
            return
        plain = replace(self._request, provider_options=_without_own_options(self._request))
        stream: Any = self._chat.stream(plain)
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield batch

    # --------------------------------------------------------------------------------------------------- the model

    async def _ask(
        self,
        prompt: str,
        heard: _Heard,
        situation: Situation | None = None,
        *,
        schema: dict[str, Any] | None = None,
        max_tokens: int = 0,
        loudly: bool = False,
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """Ask one question, and yield its text (`loudly`) or signs of life. With a situation: after what was said."""
        _, room = prompts.room_chars(self._window)
        earlier = prompts.recent(situation.earlier, room) if situation is not None else []
        said = [_message(Role(role), text) for role, text in earlier]
        options = _without_own_options(self._request)
        sampling = Sampling(max_tokens or _DECISION_TOKENS, 0.0)
        if not max_tokens and schema is None:
            # the answer itself: what the user set counts
            wanted = self._request.sampling
            sampling = replace(
                wanted,
                max_output_tokens=wanted.max_output_tokens or prompts.answer_tokens(self._window),
                temperature=_TEMPERATURE if wanted.temperature is None else wanted.temperature,
                frequency_penalty=_PENALTY if wanted.frequency_penalty is None else wanted.frequency_penalty,
            )
        if schema is not None:
            options["response_format"] = prompts.response_format(schema)
        inner = replace(
            self._request,
            system=(prompts.SYSTEM,),
            messages=[*said, _message(Role.USER, prompt)],
            tools=(),
            sampling=sampling,
            provider_options=options,
        )
        before = self._usage
        stream: Any = self._chat.stream(inner)
        async with aclosing(stream) as batches:
            async for batch in batches:
                out: list[StreamEvent] = []
                for event in batch:
                    self._hear(event, heard, before, out if loudly else [])
                yield out

    def _hear(self, event: StreamEvent, heard: _Heard, before: Usage, out: list[StreamEvent]) -> None:
        match event:
            case TextDelta(text):
                heard.pieces.append(text)
                out.append(event)
            case UsageReport(usage):
                heard.usage = usage
                self._usage = before + usage
                out.append(UsageReport(self._usage))
            case Finished():
                heard.finished = event
            case _:
                out.append(event)

    def _call(self, name: str, arguments: dict[str, Any], prefix: str) -> list[StreamEvent]:
        """An ordinary call, as any model would have made it."""
        call_id, text = f"{prefix}{secrets.token_hex(8)}", body_bytes(arguments).decode()
        return [
            ToolCallStart(call_id, name),
            ToolCallDelta(call_id, text),
            ToolCallEnd(call_id, name, text),
            UsageReport(self._usage),
            Finished(FinishReason.TOOL_USE),
        ]


def _decided(text: str, actions: Sequence[str], paths: Sequence[str]) -> tuple[str, str]:
    """(action, path). An answer that was cut off, or a server that does not keep to the schema: look at the first."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = {}
    value = value if isinstance(value, dict) else {}
    action = value.get("action") if value.get("action") in actions else actions[0]
    path = value.get("path") if value.get("path") in paths else paths[0]
    return (SAY, "") if action == SAY else (str(action), str(path))


def _parts(situation: Situation, seen: Seen) -> tuple[rewriting.Part | None, list[rewriting.Part]]:
    """(the part to write again when that is clear, else None; what there is to choose from)."""
    parts = rewriting.parts_of(seen.lines, seen.path)
    part = situation.selection(seen.path)
    if part is not None and part.start is not None and part.end is not None:
        found = rewriting.selected(seen.lines, parts, part.start - seen.first, part.end - seen.first)
        if found is not None:
            return found, []
    named = rewriting.mentioned(situation.question, parts) or rewriting.likely(situation.question, parts, seen.lines)
    if len(named) == 1:
        return named[0], []
    choices = (named or parts)[:_MAX_PARTS]
    if len(choices) == 1:
        return choices[0], []
    return (None, choices) if choices else (rewriting.whole(seen.lines) if seen.whole else None, [])


def _edit(seen: Seen, found: rewriting.Part, new: str) -> dict[str, Any]:
    """Arguments of `edit`; the old text is made unique by the lines around it."""
    wide = rewriting.unique(seen.lines, found)
    before, after = seen.lines[wide.start : found.start], seen.lines[found.end : wide.end]
    return {
        "file_path": seen.path,
        "old_string": wide.text(seen.lines),
        "new_string": "\n".join([*before, new, *after]),
    }


def _what_became(done: Done) -> str:
    path = done.arguments.get("file_path", "the file")
    said = done.result.content.strip().split("\n")[0][:300] if done.result is not None else ""
    if done.failed:
        return f"`{path}` was not changed: {said or 'there was no answer'}"
    return f"I wrote that part of `{path}` again. A small model did it: please read the change."


def _rewrite_tokens(old: str) -> int:
    return 300 + 2 * len(old) // prompts.CHARS_PER_TOKEN


def _message(role: Role, text: str) -> Message:
    return Message("", "", role, [TextPart(text)])


def _without_own_options(request: Request) -> dict[str, Any]:
    return {name: value for name, value in request.provider_options.items() if name not in OWN_MODEL_OPTIONS}
