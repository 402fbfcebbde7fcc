"""PI-07: the user is not worn down by questions."""

import asyncio
import json
from dataclasses import replace

from lsp_agent.agent.approvals import Approvals
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.tools import ToolResult
from tests.agent_turn.doubles import World, call, calls, say, tool
from tests.hooks.bench import Bench


def ask_for(path):
    changes = {"type": "edit", "changes": []}
    return PermissionAsk("edit", "write", f"Edit {path}", changes, path=f"/work/project/{path}", pattern=path)


async def edit(arguments, context):
    decision = await context.approver.ask(
        context.run, context.call.tool_call_id, context.mode, ask_for(arguments["text"])
    )
    return ToolResult(decision.message or "edited", is_error=not decision.allowed)


def with_approvals(world):
    approvals = Approvals(
        store=world.store,
        events=world.events,
        clock=world.clock,
        decide=Policy().decide_ask,
        roots=lambda: list(world.services.workspace.roots),
    )
    world.services = replace(world.services, approver=approvals)
    world.runner = TurnRunner(world.services)
    return approvals


class Refuser:
    """A user who says no, with a word why, to whatever is asked."""

    def __init__(self, approvals):
        self.approvals = approvals
        self.records = []
        approvals.add_surface(self)

    def can_answer(self, session_id):
        return True

    def asked(self, record):
        self.records.append(record)
        outcome = {"type": "selected", "optionId": "reject_once", "message": "no"}
        asyncio.get_running_loop().call_soon(self.approvals.respond, record["requestId"], outcome, "editor")

    def closed(self, request_id):
        pass


async def test_PI_07_a_model_that_asks_for_the_same_again_and_again_is_not_let_through_to_the_user():
    world = World(tools=[tool("edit", edit)])
    user = Refuser(with_approvals(world))
    # another wish in between must not make the first one new
    paths = ["a.py", "b.py"] * 20
    world.script(*[calls(call(f"c{n}", "edit", json.dumps({"text": path}))) for n, path in enumerate(paths)], say("ok"))
    await world.play()
    assert sorted(record["title"] for record in user.records) == ["Edit a.py"] * 2 + ["Edit b.py"] * 2
    last = [part for row in world.store.all() for part in row.tool_results][-1]
    assert "more than once" in last.content


async def test_PI_07_no_answer_that_is_offered_allows_more_than_what_it_names():
    world = World(tools=[tool("edit", edit)])
    user = Refuser(with_approvals(world))
    asked = [call(f"c{n}", "edit", json.dumps({"text": f"f{n}.py"})) for n in range(200)]
    world.script(calls(*asked), say("ok"))
    await world.play()
    assert len(user.records) == 200
    for number, record in enumerate(user.records):
        lasting = [option for option in record["options"] if option["kind"] not in ("allow_once", "reject_once")]
        assert {option["pattern"] for option in lasting} == {f"f{number}.py"}
        assert all(f"f{number}.py" in option["name"] for option in lasting)


async def test_PI_07_a_hook_that_refuses_spares_the_user_the_question(tmp_path):
    bench = Bench(tmp_path, tmp_path)
    bench.configure(PreToolUse=[{"matcher": "Edit", "command": "echo never >&2; exit 2"}])
    world = bench.turn(World(tools=[tool("edit", edit)]))
    world.script(*[calls(call(f"c{n}", "edit", '{"text": "a.py"}')) for n in range(3)], say("ok"))
    await world.play()
    await bench.hooks.close()
    assert world.events.of("permission_requested") == []
