"""What every tool of the web does first: the URL is read strictly, looked through for secrets, and put to the user.

Only then is anything resolved. The user sees the whole address as it will be requested; a grant covers one host.
"""

import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import one_line
from lsp_agent.tools.gate import refusal
from lsp_agent.untrusted import clean, fence
from lsp_agent.web.conversion import Converter
from lsp_agent.web.fetching import Fetcher, NewHost
from lsp_agent.web.leaks import Secrets, refuse_secrets
from lsp_agent.web.urls import Target, parse_url

_TITLE_CHARS = 300


class Refused(ToolError):
    """The user or the rules said no; `result` is what the model gets."""

    def __init__(self, result: ToolResult) -> None:
        super().__init__(result.content)
        self.result = result


@dataclass(frozen=True, slots=True)
class Web:
    """What the tools of the web share. `directory`: private, for pages that are too long to be shown."""

    fetcher: Fetcher
    converter: Converter
    secrets: Secrets
    directory: Path

    def read_url(self, text: str) -> Target:
        """The target of a URL the model wrote, as far as it can be judged without the network.

        Raises: UrlRefused; SecretInside.
        """
        refuse_secrets("URL", text, self.secrets())
        target = parse_url(text)
        refuse_secrets("URL", target.url, self.secrets())
        self.fetcher.guard.check(target)
        return target

    def refuse_secrets(self, what: str, text: str) -> None:
        """See `leaks.refuse_secrets`."""
        refuse_secrets(what, text, self.secrets())


async def ask(context: ToolContext, tool: str, target: Target, *, place: Place | None = None, title: str = "") -> None:
    """Ask to request `target`; with `place`, to save it there. Returns when it is allowed.

    Raises: Refused.
    """
    where = f" to {one_line(place.shown, 200)}" if place is not None else ""
    decision = await context.approver.ask(
        context.run,
        context.call.tool_call_id,
        context.mode,
        PermissionAsk(
            tool=tool,
            action="download" if place is not None else "fetch",
            title=title
            or f"{'Download' if place is not None else 'Fetch'} {one_line(target.url, _TITLE_CHARS)}{where}",
            subject={"type": "url", "url": target.url},
            path=str(place.path) if place is not None else None,
            inside_workspace=place is None or place.inside,
            description=f"Saved as {place.path}" if place is not None else None,
            # a grant for a host must not cover files outside the workspace
            pattern=target.origin if place is None or place.inside else None,
        ),
    )
    if not decision.allowed:
        raise Refused(refusal(decision))


def asking_again(context: ToolContext, tool: str, web: Web, *, place: Place | None = None) -> NewHost:
    """Permission for the host a redirect leads to; Refused ends the request, so nothing was sent there."""

    async def new_host(target: Target) -> bool:
        web.refuse_secrets("redirect", target.url)
        title = f"Follow a redirect to {one_line(target.url, _TITLE_CHARS)}"
        await ask(context, tool, target, place=place, title=title)
        return True

    return new_host


def fenced(text: str, what: str, *, note: str = "", metadata: Mapping[str, Any] | None = None) -> ToolResult:
    """Text from outside as a result; `what` says what it is (`a web page: URL`), `note` is ours and stands below."""
    content = fence(text, what, lambda: randomness.token_hex(6))
    return ToolResult(f"{content}\n{note}" if note else content, metadata=dict(metadata or {}))


def shown_error(text: str, limit_chars: int = 300) -> str:
    """A few words of what a server said, fit for a message of ours."""
    return one_line(clean(text), limit_chars)
