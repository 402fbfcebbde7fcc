import pytest

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.session import Todo
from lsp_agent.ports.store import PatchSession
from lsp_agent.tools.registry import BuiltinTools
from lsp_agent.tools.todos import Todos


def names(tools):
    return [tool.spec.name for tool in tools]


def built(**options):
    return BuiltinTools(withhold=lambda path: False, **options)


async def test_todos_replace_the_list_and_tell_what_changed(world):
    world.todos = (Todo("a", "in_progress", "doing a"), Todo("b", "pending"))
    result = await world.call(
        Todos(),
        todos=[
            {"content": "a", "status": "completed", "active_form": "doing a"},
            {"content": "b", "status": "in_progress", "active_form": "doing b"},
        ],
    )
    assert result.content.startswith("Todo list updated: 2 entries (0 pending, 1 in progress, 1 completed)")
    assert {
        key: result.metadata[key] for key in ("is_new", "just_completed", "just_started", "completed", "total")
    } == {
        "is_new": False,
        "just_completed": ["a"],
        "just_started": "doing b",
        "completed": 1,
        "total": 2,
    }
    assert world.events.updates == [
        {
            "sessionUpdate": "plan_update",
            "entries": [
                {"content": "a", "status": "completed", "activeForm": "doing a"},
                {"content": "b", "status": "in_progress", "activeForm": "doing b"},
            ],
        }
    ]
    [patch] = world.store.of(PatchSession)
    assert patch.changes == {"todos": (Todo("a", "completed", "doing a"), Todo("b", "in_progress", "doing b"))}
    assert world.approver.asks == []


@pytest.mark.parametrize(
    "entry", [{"content": "a", "status": "done"}, {"content": " ", "status": "pending"}, "text", {}]
)
async def test_an_invalid_todo_is_an_error_and_changes_nothing(world, entry):
    with pytest.raises(ToolError, match="Entry 1"):
        await world.call(Todos(), todos=[entry])
    assert world.events.updates == []


def test_tools_are_sorted_and_plan_mode_offers_only_those_that_change_nothing():
    assert names(built().for_turn(mode="ask", interactive=True)) == [
        "edit", "glob", "grep", "ls", "multiedit", "todos", "view", "write",
    ]  # fmt: skip
    assert names(built().for_turn(mode="plan", interactive=True)) == ["glob", "grep", "ls", "todos", "view"]


def test_disabled_tools_are_not_offered():
    assert "write" not in names(built(disabled=lambda: ["write"]).for_turn(mode="ask", interactive=False))


def test_every_schema_refuses_unknown_keys_and_knows_what_is_required():
    def check(schema):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) <= set(schema["properties"])
        for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
            check(inner)

    for tool in built().for_turn(mode="ask", interactive=True):
        check(tool.spec.input_schema)
        assert tool.title({})
        for value in (None, 3, [], {}, "x\ny"):
            assert "\n" not in tool.title(dict.fromkeys(tool.spec.input_schema["properties"], value))
