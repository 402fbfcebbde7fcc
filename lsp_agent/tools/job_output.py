"""`job_output`: what a background command has printed, and whether it still runs."""

import asyncio
from collections.abc import Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.shell.jobs import Jobs
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.tools.job_text import job_metadata, job_text

_WAIT_S = 600.0


class JobOutput:
    """Reads; needs no permission: the command was allowed when it started."""

    kind = "read"
    parallel = False
    read_only = True

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.spec = ToolSpec(
            name="job_output",
            description=(
                "Show the output so far and the status of a command that runs in the background, by the id that bash "
                f"gave. With `wait` it waits until the command ends, at most {_WAIT_S / 60:.0f} minutes."
            ),
            input_schema=object_schema(
                {
                    "shell_id": {"type": "string", "description": "The id of the background command."},
                    "wait": {"type": "boolean", "description": "Wait until it has ended."},
                },
                ["shell_id"],
            ),
        )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Output of {one_line(text_argument(arguments, 'shell_id', '…'), 20)}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        shell_id = text_argument(arguments, "shell_id")
        job = self._jobs.get(context.session_id, shell_id)
        if job is None:
            raise ToolError(f"There is no background command {one_line(shell_id, 20)!r}.")
        if arguments.get("wait") is True and job.ended is None:
            try:
                async with asyncio.timeout(_WAIT_S):
                    await job.done.wait()
            except TimeoutError:
                pass  # it still runs, and the status says so
        status = "running" if job.ended is None else "completed"
        return ToolResult(f"Status: {status}\n\n{job_text(job)}", metadata=job_metadata(job))
