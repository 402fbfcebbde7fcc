"""`job_kill`: end a background command with everything it started."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.shell.jobs import Jobs
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.tools.job_text import job_metadata


class JobKill:
    """Ends only what the model of this session has started, so it needs no permission."""

    kind = "execute"
    parallel = False
    read_only = True

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.spec = ToolSpec(
            name="job_kill",
            description="End a command that runs in the background, by the id that bash gave, with all its processes.",
            input_schema=object_schema(
                {"shell_id": {"type": "string", "description": "The id of the background command."}}, ["shell_id"]
            ),
        )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"End {one_line(text_argument(arguments, 'shell_id', '…'), 20)}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        shell_id = text_argument(arguments, "shell_id")
        job = self._jobs.get(context.session_id, shell_id)
        if job is None:
            raise ToolError(f"There is no background command {one_line(shell_id, 20)!r}.")
        if job.ended is not None:
            return ToolResult(f"{job.job_id} has ended already.", metadata=job_metadata(job))
        await self._jobs.stop(job)
        return ToolResult(f"Ended {job.job_id}.", metadata=job_metadata(job))
