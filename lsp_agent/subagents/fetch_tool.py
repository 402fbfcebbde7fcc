"""`agentic_fetch`: a sub-agent reads the web and answers a question about it (CORE 18).

The user is asked once, for the research as a whole; inside it pages are fetched without asking, but nothing a rule
forbids. The sub-agent sees a directory of its own that is deleted afterwards, and nothing of the workspace.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.agent.system_prompt import prompt_text
from lsp_agent.agent.waiting import ended
from lsp_agent.domain.errors import ProviderError, ToolError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import Approver, Decision, PermissionAsk
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult, Tools
from lsp_agent.ports.workspace import Workspace
from lsp_agent.subagents.running import Assignment, ChildTools, Runner, nonce
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.tools.gate import refusal
from lsp_agent.untrusted import clean, fence

_log = logging.getLogger(__name__)

TITLE = "Fetch Analysis"
MAX_INLINE_BYTES = 50_000
PREFIX = "fetch-"
DELETE_S = 0.3
_LOCAL = frozenset({"glob", "grep", "view"})
_MAX_PROMPT_CHARS = 50_000

Forbids = Callable[[Run, str, PermissionAsk], str | None]
"""(run, mode, ask) → why a rule rules it out, or None: `Approvals.forbids`."""
ResearchTools = Callable[[Path], Sequence[Tool]]
"""`web_fetch` and `web_search`, saving long pages in the directory given."""


class PrivateWorkspace(Workspace, Protocol):
    """A workspace for one sub-agent."""

    def close(self) -> None:
        """Take no more work. Does not wait."""
        ...


class ResearchApprover:
    """Implements `ports.approver.Approver` for a research the user has allowed: the web, and its own directory."""

    def __init__(self, outer: Approver, forbids: Forbids, directory: Path) -> None:
        self._outer = outer
        self._forbids = forbids
        self._directory = directory

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        is_own = ask.path is not None and Path(ask.path).is_relative_to(self._directory)
        if ask.action == "fetch" or (ask.action in ("read", "list") and is_own):
            reason = self._forbids(run, mode, ask)
            return Decision(reason is None, reason)
        return await self._outer.ask(run, tool_call_id, mode, ask)


class AgenticFetch:
    """`directory`: where the private directories are made; ours alone."""

    kind = "fetch"
    parallel = True
    read_only = True
    spec = ToolSpec(
        name="agentic_fetch",
        description=(
            "Have a question answered from the web by a sub-agent that searches and reads pages. Give `url` when the "
            "answer is on a known page or begins there; without it the sub-agent searches. The prompt says what to "
            "find out and what to answer; the sub-agent sees nothing of this conversation and no file of the "
            "workspace. For the bare text of one page use fetch."
        ),
        input_schema=object_schema(
            {
                "prompt": {"type": "string", "description": "What to find out."},
                "url": {"type": "string", "description": "The page to begin with, http or https."},
            },
            ["prompt"],
        ),
    )

    def __init__(
        self,
        runner: Runner,
        *,
        research_tools: ResearchTools,
        workspace_at: Callable[[Path], PrivateWorkspace],
        directory: Path,
        forbids: Forbids,
    ) -> None:
        self._runner = runner
        self._research_tools = research_tools
        self._workspace_at = workspace_at
        self._directory = directory
        self._forbids = forbids
        self._deleting: set[asyncio.Future[None]] = set()

    def title(self, arguments: Mapping[str, Any]) -> str:
        url = text_argument(arguments, "url")
        return f"Research{f' {one_line(url)}' if url else ''}: {one_line(text_argument(arguments, 'prompt', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        prompt, url = text_argument(arguments, "prompt"), text_argument(arguments, "url").strip()
        if not prompt.strip() or len(prompt) > _MAX_PROMPT_CHARS:
            raise ToolError(f"prompt must be a text of 1 to {_MAX_PROMPT_CHARS} characters.")
        decision = await context.approver.ask(
            context.run, context.call.tool_call_id, context.mode, _permission(prompt, url)
        )
        if not decision.allowed:
            return refusal(decision)
        model = await self._small_model(context)
        directory = await asyncio.to_thread(_make_directory, self._directory)
        try:
            return await self._research(prompt, url, directory, model, context)
        finally:
            await self._delete(directory)

    async def _delete(self, directory: Path) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))
        self._deleting.add(work)
        work.add_done_callback(self._deleting.discard)
        if not await ended([work], DELETE_S):
            _log.warning("a directory of a sub-agent is still being deleted")

    async def _research(self, prompt: str, url: str, directory: Path, model: Model, context: ToolContext) -> ToolResult:
        services = self._runner.services
        approver = ResearchApprover(services.approver, self._forbids, directory)
        workspace = self._workspace_at(directory)
        web = list(self._research_tools(directory))
        try:
            if url:
                inside = replace(context, approver=approver, workspace=workspace)
                page = await _fetch(web, url, inside)
                if page.is_error:
                    return ToolResult(f"The page could not be fetched: {page.content}", is_error=True)
                prompt = f"{prompt}\n\n{await _page_text(url, page.content, directory)}"
            else:
                prompt += "\n\nNo page is given: find some with web_search, then read them with web_fetch."
            return await self._runner.run(
                Assignment(
                    TITLE,
                    prompt,
                    prompt_text("agentic_fetch"),
                    model,
                    _ResearchTools(services.tools, web),
                    "a sub-agent that read web pages",
                    workspace=workspace,
                    approver=approver,
                ),
                context,
            )
        finally:
            workspace.close()

    async def _small_model(self, context: ToolContext) -> Model:
        services = self._runner.services
        session = await services.store.session(context.session_id)
        wanted = session.options.get("model.small") if session is not None else None
        try:
            return services.providers.resolve(str(wanted) if wanted else None, role="small")
        except ProviderError as error:
            raise ToolError(f"No model for research on the web: {error.message}") from error


class _ResearchTools:
    """The tools for the web, and those of the coder that look at files, on whose directory the workspace is rooted."""

    def __init__(self, base: Tools, web: Sequence[Tool]) -> None:
        self._local = ChildTools(base, lambda tool: tool.spec.name in _LOCAL)
        self._web = web

    def for_turn(self, *, mode: str, interactive: bool) -> Sequence[Tool]:
        found = [*self._local.for_turn(mode=mode, interactive=interactive), *self._web]
        return sorted(found, key=lambda tool: tool.spec.name)


def _permission(prompt: str, url: str) -> PermissionAsk:
    if url:
        subject: dict[str, Any] = {"type": "url", "url": url}
        title = f"Research on the web, beginning at {one_line(url, 200)}"
    else:
        subject = {"type": "tool", "name": "agentic_fetch", "input": {"prompt": prompt}}
        title = f"Research on the web: {one_line(prompt, 200)}"
    return PermissionAsk(
        tool="agentic_fetch",
        action="fetch",
        title=title,
        subject=subject,
        description="A sub-agent searches and reads any public page it finds useful, without asking for each.",
        pattern="research on any public page",
    )


async def _fetch(web: Sequence[Tool], url: str, context: ToolContext) -> ToolResult:
    tool = next((tool for tool in web if tool.spec.name == "web_fetch"), None)
    if tool is None:
        raise ToolError("No page can be fetched here; leave `url` out.")
    return await tool.run({"url": url}, context)


async def _page_text(url: str, content: str, directory: Path) -> str:
    """The page for the prompt: itself, or where it is kept when it is long."""
    data = clean(content).encode("utf-8", "replace")
    if len(data) <= MAX_INLINE_BYTES:
        return "The page is this:\n" + fence(content, f"a web page: {url}", nonce)
    path = directory / f"page-{nonce()}.md"
    await asyncio.to_thread(path.write_bytes, data)
    return f"The page has {len(data)} bytes and is kept as {path.name}: look into it with grep and view."


def _make_directory(parent: Path) -> Path:
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()


def sweep(parent: Path) -> None:
    """Delete what an earlier process left behind; call before the first research, in a thread."""
    if parent.is_dir():
        for left in parent.glob(f"{PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
