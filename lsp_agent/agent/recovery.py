"""What the last process left unfinished (PROTOCOL 10.3): runs that were active end as interrupted, queued ones wait.

An interrupted run is closed as a turn would have closed it: its message is finished, every tool call it opened has a
result and a final status, its questions are withdrawn, then its terminal event is written. A sub-agent ends with the
call it was made for, and before it. Each step can be repeated, so a crash in the middle of recovery is recovered from
by the next one.
"""

import logging
from collections.abc import Iterable
from typing import Any

import orjson

from lsp_agent.agent import run_updates
from lsp_agent.agent.cancelled import INTERRUPTED_DETAILS, INTERRUPTED_TITLE, end_unstarted, user_message
from lsp_agent.agent.channel import FINAL_STATUSES
from lsp_agent.agent.child_ids import is_child
from lsp_agent.agent.conductor import Conductor
from lsp_agent.agent.hub import Hub
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import FinishPart, FinishReason, Message, Role, ToolCallPart, ToolResultPart
from lsp_agent.domain.run import Outcome, Run, RunState, StopReason
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.store import DropMessage, PutMessage, Store, StoredRun

_log = logging.getLogger(__name__)

TOOL_INTERRUPTED = "Interrupted: the server stopped before this call was finished. It may have had effects."
_LOOK_BACK_EVENTS = 20_000
_PAGE = 1000


async def recover(store: Store, hub: Hub, clock: Clock, conductor: Conductor) -> int:
    """Close what was active, restore the queues; returns how many runs were interrupted. Call once, before any request.

    Raises: StoreError.
    """
    sessions: dict[str, list[StoredRun]] = {}
    for stored in await store.unfinished_runs():
        sessions.setdefault(stored.run.session_id, []).append(stored)
    interrupted = 0
    # sub-agents first: their ends precede the results of the calls they were made for
    for session_id, found in sorted(sessions.items(), key=lambda item: not is_child(item[0])):
        try:
            await hub.load(session_id)
        except RequestRejected:
            _log.warning("a run of a session that does not exist is ignored")
            continue
        active = [stored.run for stored in found if stored.state is RunState.RUNNING]
        if active:
            folded = [stored.run for stored in found if stored.state is RunState.FOLDED]
            await _interrupt(store, hub, clock, session_id, active, folded)
            interrupted += len(active)
        queued = [stored.run for stored in found if stored.state is RunState.QUEUED]
        if queued and is_child(session_id):
            # nobody waits for it any more: a sub-agent that had not begun never does
            for run in queued:
                end_unstarted(hub, clock, run, reason=StopReason.INTERRUPTED)
            hub.durable(session_id, None, run_updates.idle())
            interrupted += len(queued)
        elif queued:
            conductor.lane(session_id).restore(queued, revision=hub.seq(session_id))
    return interrupted


async def _interrupt(
    store: Store, hub: Hub, clock: Clock, session_id: str, active: list[Run], folded: list[Run]
) -> None:
    messages, _ = await store.messages(session_id)
    present = {message.message_id for message in messages}
    log = await _open_in_log(store, hub, session_id)
    for run in active:
        for prompt in (run, *(folded if run is active[-1] else ())):
            if prompt.message_id not in present:
                _announce_prompt(hub, clock, run, prompt)
        mine = _messages_of(run, messages)
        answered = {result.tool_call_id for message in messages for result in message.tool_results}
        last = _finish_messages(hub, clock, run, mine)
        for message in mine:
            for call in message.tool_calls:
                if call.tool_call_id not in answered:
                    _close_call(hub, clock, run, call, message)
                    log.pop(call.tool_call_id, None)
        for update in log.values():
            hub.durable(session_id, run, update)
        log.clear()
        outcome = Outcome(
            StopReason.INTERRUPTED,
            message_id=last.message_id if last is not None else None,
            text=last.text if last is not None else "",
        )
        hub.complete(run, outcome)
    hub.durable(session_id, None, run_updates.idle())


def _messages_of(run: Run, messages: list[Message]) -> list[Message]:
    ids = [message.message_id for message in messages]
    after = messages[ids.index(run.message_id) + 1 :] if run.message_id in ids else []
    return [message for message in messages if message.run_key == run.run_key or message in after]


def _announce_prompt(hub: Hub, clock: Clock, run: Run, prompt: Run) -> None:
    update = run_updates.user_message(prompt.message_id, prompt.prompt, prompt.attachments)
    hub.durable(run.session_id, run, update, writes=[PutMessage(user_message(prompt, clock.now_ms()))])


def _finish_messages(hub: Hub, clock: Clock, run: Run, messages: Iterable[Message]) -> Message | None:
    """Finish what was being written; a half summary is dropped. Returns the last assistant message."""
    last = None
    for message in messages:
        if message.role is not Role.ASSISTANT:
            continue
        if message.finish is None and message.is_summary:
            update = {"sessionUpdate": "compaction_update", "status": "cancelled", "messageId": message.message_id}
            hub.durable(run.session_id, run, update, writes=[DropMessage(message.message_id)])
            continue
        last = message
        if message.finish is None:
            now_ms = clock.now_ms()
            finish = FinishPart(FinishReason.ERROR, INTERRUPTED_TITLE, INTERRUPTED_DETAILS, now_ms)
            message.set_finish(finish)
            message.updated_at_ms = now_ms
            for call in message.tool_calls:
                call.finished, call.input = True, _json_object(call.input)
            update = run_updates.finished_message(
                message.message_id, message.text, finish, model=message.model, provider=message.provider
            )
            hub.durable(run.session_id, run, update, writes=[PutMessage(message)])
    return last


def _close_call(hub: Hub, clock: Clock, run: Run, call: ToolCallPart, message: Message) -> None:
    now_ms = clock.now_ms()
    result = Message(
        clock.new_id(),
        run.session_id,
        Role.TOOL,
        [
            ToolResultPart(call.tool_call_id, call.name, TOOL_INTERRUPTED, is_error=True),
            FinishPart(FinishReason.STOP, time_ms=now_ms),
        ],
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        run_key=run.run_key,
    )
    update = {
        "sessionUpdate": "tool_call_update",
        "toolCallId": call.tool_call_id,
        "messageId": message.message_id,
        "name": call.name,
        "status": "cancelled",
        "rawOutput": TOOL_INTERRUPTED,
    }
    hub.durable(run.session_id, run, update, writes=[PutMessage(result)])


async def _open_in_log(store: Store, hub: Hub, session_id: str) -> dict[str, dict[str, Any]]:
    """Updates that close what the event log shows as open: tool calls, questions, permissions, by their id."""
    closing: dict[str, dict[str, Any]] = {}
    reached = max(0, hub.seq(session_id) - _LOOK_BACK_EVENTS)
    while True:
        rows, _ = await store.events(session_id, after_seq=reached, limit=_PAGE)
        if not rows:
            return closing
        for row in rows:
            reached = row.seq
            if not row.terminal:
                _follow(closing, orjson.loads(row.payload)["update"])


def _follow(closing: dict[str, dict[str, Any]], update: dict[str, Any]) -> None:
    match update:
        case {"sessionUpdate": "tool_call_update", "toolCallId": call_id, "status": status}:
            if status in FINAL_STATUSES:
                closing.pop(call_id, None)
            else:
                closing[call_id] = {"sessionUpdate": "tool_call_update", "toolCallId": call_id, "status": "cancelled"}
        case {"sessionUpdate": "permission_requested" | "question_requested" as name, "requestId": request_id}:
            closing[request_id] = {
                "sessionUpdate": name.replace("requested", "resolved"),
                "requestId": request_id,
                "outcome": "cancelled",
                "resolvedBy": None,
            }
        case {"sessionUpdate": "permission_resolved" | "question_resolved", "requestId": request_id}:
            closing.pop(request_id, None)
        case _:
            return


def _json_object(text: str) -> str:
    try:
        return text if isinstance(orjson.loads(text), dict) else "{}"
    except orjson.JSONDecodeError:
        return "{}"
