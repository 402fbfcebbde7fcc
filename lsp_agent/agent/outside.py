"""What the user attached from outside the roots: asked about once its prompt is in the conversation (PROTOCOL 13).

The answer never decides over the run: what was refused, or cannot be read, is said to the model in place of the content
and to the user in a notice, and the turn goes on. What has been settled is stored with the message, so no retry, fork
or replay asks again; a turn that ends while it asks leaves a part that says it was not read.
"""

from collections.abc import Sequence
from dataclasses import replace

from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.domain.message import AttachmentPart, Message
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.ports.store import PutMessage
from lsp_agent.ports.workspace import Place

TOOL = "view"
"""Reading is reading: rules and grants are those of the tool that shows files."""


async def settle_attachments(state: TurnState, message: Message) -> Sequence[AttachmentPart]:
    """Ask for what `message` still waits for, read what is allowed, and store it. Returns its attachments.

    Waits for the user; a cancellation passes through and withdraws the question.
    """
    attachments = [part for part in message.parts if isinstance(part, AttachmentPart)]
    if not any(part.deferred for part in attachments):
        return attachments
    settling = _Settling(state)
    for index, part in enumerate(message.parts):
        if isinstance(part, AttachmentPart) and part.deferred:
            message.parts[index] = await settling.settled(part)
            message.updated_at_ms = state.services.clock.now_ms()
            state.save(PutMessage(message.copy()))
    return [part for part in message.parts if isinstance(part, AttachmentPart)]


class _Settling:
    """The parts of one message; a path is asked about once."""

    def __init__(self, state: TurnState) -> None:
        self._state = state
        self._decided: dict[str, Decision] = {}

    async def settled(self, part: AttachmentPart) -> AttachmentPart:
        """The part with its content, or with the reason why there is none."""
        outside = self._state.services.outside
        try:
            place = outside.place(part)
            decision = await self._ask(place)
            if decision.allowed:
                return await outside.read(part, place)
        except WorkspaceError as error:
            return self._without(part, f"{error}")
        where, said = f"{_line(place.shown)} lies outside the workspace", decision.message or ""
        if decision.asked:
            return self._without(part, f"{where} and the user did not allow it.{f' They say: {said}' if said else ''}")
        return self._without(part, f"{where}. {said}".rstrip())

    async def _ask(self, place: Place) -> Decision:
        path = str(place.path)
        if place.inside:  # its folder was added since
            return Decision(True)
        if path not in self._decided:
            state = self._state
            ask = PermissionAsk(
                tool=TOOL,
                action="read",
                title=f"Attach {_line(place.shown)}",
                subject={"type": "path", "path": path},
                path=path,
                inside_workspace=False,
                description="You attached this from outside the workspace. The model gets to read it.",
                pattern=place.shown,
            )
            self._decided[path] = await state.services.approver.ask(state.run, "", state.mode, ask)
        return self._decided[path]

    def _without(self, part: AttachmentPart, why: str) -> AttachmentPart:
        text = why if why.endswith((".", "!", "?")) else f"{why}."
        self._state.notice("attachment", f"Not attached: {text}")
        return replace(part, mime_type="text/plain", text=f"[Not attached: {text}]", deferred={}, held=None)


def _line(shown: str) -> str:
    line = " ".join(shown.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
