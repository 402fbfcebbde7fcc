"""The tools of this product, in one list. A new tool is a file of its own and a line in `_built`."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from lsp_agent.ports.tools import Tool
from lsp_agent.shell.jobs import Jobs
from lsp_agent.tools.bash import Bash, Judgement
from lsp_agent.tools.edit import Edit
from lsp_agent.tools.glob import Glob
from lsp_agent.tools.grep import Grep
from lsp_agent.tools.job_kill import JobKill
from lsp_agent.tools.job_output import JobOutput
from lsp_agent.tools.ls import Ls
from lsp_agent.tools.multiedit import MultiEdit
from lsp_agent.tools.reaching import Allows
from lsp_agent.tools.ripgrep import find_ripgrep
from lsp_agent.tools.todos import Todos
from lsp_agent.tools.view import View
from lsp_agent.tools.write import Write

ASKING = frozenset({"question"})
"""Tools that need a person: not offered in a run that nobody watches."""


class BuiltinTools:
    """Implements `ports.tools.Tools`.

    `disabled`: names that are not offered, asked for before every step. `withhold`: files whose text a search over a
    directory must not show, because reading them needs permission or is denied (`policy.rules.Policy.withholds`).
    `changing`: tools that come and go (of MCP servers), asked for before every step; none takes the name of another.
    `is_open`: files outside the roots that may be viewed without asking. `wrap`: puts something around each tool of
    ours.
    """

    def __init__(
        self,
        *,
        withhold: Callable[[Path], bool],
        disabled: Callable[[], Collection[str]] = tuple,
        more: Sequence[Tool] = (),
        changing: Callable[[], Sequence[Tool]] = tuple,
        is_open: Callable[[Path], bool] = lambda _path: False,
        wrap: Callable[[Tool], Tool] = lambda tool: tool,
        ripgrep: Path | None = None,
        use_ripgrep: bool = True,
    ) -> None:
        binary = (ripgrep or find_ripgrep()) if use_ripgrep else None
        tools = [*[wrap(tool) for tool in _built(binary, withhold, is_open)], *more]
        self._disabled = disabled
        self._tools = {tool.spec.name: tool for tool in tools}
        self._changing = changing

    def for_turn(self, *, mode: str, interactive: bool) -> Sequence[Tool]:
        offered = {tool.spec.name: tool for tool in self._changing()} | self._tools
        absent = frozenset(self._disabled()) | (frozenset() if interactive else ASKING)
        tools = sorted([tool for name, tool in offered.items() if name not in absent], key=_name)
        return [tool for tool in tools if tool.read_only] if mode == "plan" else tools


def shell_tools(
    jobs: Jobs, judge: Callable[[str], Judgement], *, allows: Allows = lambda run, mode, ask: False
) -> list[Tool]:
    """The tools that run commands, for `more`; none where there is no bash. `judge`: `policy.shell.judge`."""
    if not jobs.sandbox.has_shell:
        return []
    return [Bash(jobs, judge, allows=allows), JobOutput(jobs), JobKill(jobs)]


def _built(ripgrep: Path | None, withhold: Callable[[Path], bool], is_open: Callable[[Path], bool]) -> list[Tool]:
    return [
        Edit(),
        Glob(ripgrep),
        Grep(ripgrep, withhold),
        Ls(ripgrep),
        MultiEdit(),
        Todos(),
        View(is_open),
        Write(),
    ]


def _name(tool: Tool) -> str:
    return tool.spec.name
