"""`todos`: the model's plan, kept on the session and shown to the user."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.session import Todo
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.store import PatchSession
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import object_schema, text_argument

STATUSES = ("pending", "in_progress", "completed")
_MAX_TODOS = 200


class Todos:
    """Replaces the session's whole list. Needs no permission: it changes nothing but the plan."""

    kind = "think"
    parallel = False
    read_only = True
    spec = ToolSpec(
        name="todos",
        description=(
            "Keep a list of the steps of a longer task. The list given replaces the one before, so always send all "
            "entries. Statuses: pending, in_progress (the one being worked on), completed. `content` says what to do, "
            f"`active_form` what is being done. At most {_MAX_TODOS} entries. Not worth it for one or two simple steps."
        ),
        input_schema=object_schema(
            {
                "todos": {
                    "type": "array",
                    "items": object_schema(
                        {
                            "content": {"type": "string"},
                            "status": {"type": "string", "description": "pending, in_progress or completed."},
                            "active_form": {"type": "string"},
                        },
                        ["content", "status"],
                    ),
                }
            },
            ["todos"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        entries = arguments.get("todos")
        return f"Plan ({len(entries)} steps)" if isinstance(entries, list) else "Plan"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        todos = _parsed(arguments.get("todos"))
        before = list(context.todos())
        context.events.durable(
            context.session_id,
            context.run,
            {"sessionUpdate": "plan_update", "entries": [_entry(todo) for todo in todos]},
            writes=[PatchSession(context.session_id, context.clock.now_ms(), {"todos": tuple(todos)}, {})],
        )
        counts = Counter(todo.status for todo in todos)
        return ToolResult(content=_summary(todos, counts), metadata=_metadata(before, todos, counts))


def _parsed(entries: Any) -> list[Todo]:
    if not isinstance(entries, list) or len(entries) > _MAX_TODOS:
        raise ToolError(f"todos must be a list of at most {_MAX_TODOS} entries.")
    todos = []
    for number, entry in enumerate(entries, start=1):
        values = entry if isinstance(entry, Mapping) else {}
        status, content = text_argument(values, "status"), text_argument(values, "content")
        if status not in STATUSES:
            raise ToolError(
                f"Entry {number} has the invalid status {status!r}; it must be one of {', '.join(STATUSES)}."
            )
        if not content.strip():
            raise ToolError(f"Entry {number} has no content.")
        todos.append(Todo(content, status, text_argument(values, "active_form")))
    return todos


def _entry(todo: Todo) -> dict[str, Any]:
    return {"content": todo.content, "status": todo.status, "activeForm": todo.active_form}


def _summary(todos: Sequence[Todo], counts: Mapping[str, int]) -> str:
    if not todos:
        return "The todo list is empty now."
    numbers = ", ".join([f"{counts.get(status, 0)} {status.replace('_', ' ')}" for status in STATUSES])
    return f"Todo list updated: {len(todos)} entries ({numbers}). Go on with the current step."


def _metadata(before: Sequence[Todo], todos: Sequence[Todo], counts: Mapping[str, int]) -> dict[str, Any]:
    earlier = {todo.content: todo.status for todo in before}
    changed = [todo for todo in todos if earlier.get(todo.content) != todo.status]
    started = [todo for todo in changed if todo.status == "in_progress"]
    return {
        "is_new": not before,
        "todos": [{"content": todo.content, "status": todo.status, "active_form": todo.active_form} for todo in todos],
        "just_completed": [todo.content for todo in changed if todo.status == "completed" and before],
        "just_started": (started[0].active_form or started[0].content) if started else "",
        "completed": counts.get("completed", 0),
        "total": len(todos),
    }
