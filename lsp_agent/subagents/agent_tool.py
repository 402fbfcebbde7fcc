"""`agent`: hand a task to a sub-agent and read its answer. Several run beside each other."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.agent.system_prompt import prompt_text
from lsp_agent.domain.errors import ProviderError, ToolError
from lsp_agent.domain.model import Model
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.subagents.definitions import Definition
from lsp_agent.subagents.running import Assignment, ChildTools, Runner
from lsp_agent.tools.arguments import object_schema, one_line, text_argument

TITLE = "New Agent Session"
_READERS = frozenset({"view", "ls", "glob", "grep"})
_MAX_PROMPT_CHARS = 200_000
_SHOWN_CHARS = 300
_DESCRIPTION = (
    "Give a task to a sub-agent, which works on its own and answers once. It sees nothing of this conversation, so the "
    "prompt must say everything: what to find out, where, and what to answer. Without `agent` it is a searcher that "
    "can look at files and change nothing: good for open questions over many files (how does X work, where is Y done); "
    "for a known file or name the search tools are quicker. Start several in one step when they are independent. "
    "The answer is not shown to the user; say what matters of it yourself. It may be wrong: check what you rely on."
)


def _reads(tool: Tool) -> bool:
    return tool.read_only and (tool.spec.name in _READERS or tool.spec.name.startswith("lsp_"))


class AgentTool:
    """Knows the definitions as they are now; made anew when they change."""

    kind = "think"
    parallel = True
    read_only = True

    def __init__(self, runner: Runner, definitions: Mapping[str, Definition]) -> None:
        self._runner = runner
        self._definitions = definitions
        properties: dict[str, Any] = {"prompt": {"type": "string", "description": "The whole task."}}
        lines = [_DESCRIPTION]
        if definitions:
            properties["agent"] = {"type": "string", "enum": list(definitions), "description": "Which sub-agent."}
            lines += ["", "Sub-agents that can be named in `agent`:"]
            lines += [f"- {one.name}: {one_line(one.description, _SHOWN_CHARS)}" for one in definitions.values()]
        self.spec = ToolSpec("agent", "\n".join(lines), object_schema(properties, ["prompt"]))

    def title(self, arguments: Mapping[str, Any]) -> str:
        name = text_argument(arguments, "agent")
        return f"{name or 'Agent'}: {one_line(text_argument(arguments, 'prompt', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        prompt = text_argument(arguments, "prompt")
        if not prompt.strip() or len(prompt) > _MAX_PROMPT_CHARS:
            raise ToolError(f"prompt must be a text of 1 to {_MAX_PROMPT_CHARS} characters.")
        name = text_argument(arguments, "agent")
        return await self._runner.run(self._assignment(name, prompt, context), context)

    def _assignment(self, name: str, prompt: str, context: ToolContext) -> Assignment:
        tools = self._runner.services.tools
        if not name:
            return Assignment(
                TITLE, prompt, prompt_text("task"), context.model, ChildTools(tools, _reads), "a sub-agent"
            )
        definition = self._definitions[name]
        return Assignment(
            definition.name,
            prompt,
            f"{definition.prompt}\n\n{prompt_text('subagent_rules')}",
            self._model(definition, context),
            ChildTools(tools, lambda tool: definition.allows(tool.spec.name)),
            f"the sub-agent {definition.name}",
            mode=definition.mode,
            with_context=True,
        )

    def _model(self, definition: Definition, context: ToolContext) -> Model:
        if not definition.model:
            return context.model
        ref = None if definition.model == "small" else definition.model
        try:
            return self._runner.services.providers.resolve(ref, role="large" if ref else "small")
        except ProviderError as error:
            raise ToolError(f"The model of the sub-agent {definition.name} cannot be used: {error.message}") from error
