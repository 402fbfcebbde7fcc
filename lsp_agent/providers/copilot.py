"""GitHub Copilot: logged in with a device code, called with a token that lives for half an hour, in Chat's dialect.

What GitHub gives out at the login is only good for asking for that token; both are kept together.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lsp_agent import __version__
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import AttachmentPart, Message, Role
from lsp_agent.ports.provider import Request
from lsp_agent.providers.oauth import LoginDue, OAuthService, Show, Token, exchange, secure

PROVIDER_IDS = ("copilot", "github-copilot")
_HOST = "githubcopilot.com"
# the client that GitHub's own plugins for other editors use; it is no secret
_CLIENT_ID = "Iv1.b507a08c87ecfe98"
_TOKEN_URL = "https://api.github.com/copilot_internal/v2/token"
HEADERS: Mapping[str, str] = {
    "Copilot-Integration-Id": "vscode-chat",
    "Editor-Version": f"lsp-agent/{__version__}",
    "Editor-Plugin-Version": f"lsp-agent/{__version__}",
    "Openai-Intent": "conversation-edits",
}
"""The service refuses clients that do not say what editor they are in."""


def _github() -> OAuthService:
    return OAuthService(
        "copilot",
        _CLIENT_ID,
        token_url="https://github.com/login/oauth/access_token",
        device_url="https://github.com/login/device/code",
        scopes=("read:user",),
    )


@dataclass(frozen=True, slots=True)
class Copilot:
    """`LoginService` of Copilot. `github` is where the person logs in; its access token is our refresh token."""

    provider_id: str = "copilot"
    github: OAuthService = field(default_factory=_github)
    token_url: str = _TOKEN_URL
    now_s: Callable[[], float] = time.time

    async def login(self, show: Show) -> Token:
        github = await self.github.login(show)
        return await self.renewed(Token("", github.access))

    async def renewed(self, token: Token) -> Token:
        headers = {"authorization": f"token {token.refresh}", **HEADERS}
        status, said = await exchange(self.provider_id, "GET", self.token_url, headers=headers)
        if status in (401, 403, 404):
            why = "GitHub does not accept the login, or this account has no Copilot"
            raise LoginDue(self.provider_id, why)
        access, expires = said.get("token"), said.get("expires_at")
        if status != 200 or not isinstance(access, str) or not access:
            message = f"{self.provider_id}: GitHub gave no token (status {status})."
            raise ProviderError("ProviderAuth", "Login failed", message, retryable=status >= 500)
        now_s = self.now_s()
        lasts = float(expires) if isinstance(expires, int | float) and expires > now_s else now_s + 1500
        return Token(access, token.refresh, now_s, lasts, self._address(said.get("endpoints")))

    def _address(self, endpoints: object) -> str:
        """Where this account is served: its own host of the service, or the usual one."""
        url = endpoints.get("api") if isinstance(endpoints, Mapping) else None
        if not isinstance(url, str):
            return ""
        host = urlsplit(url).hostname or ""
        trusted = host == _HOST or host.endswith(f".{_HOST}") or host == urlsplit(self.token_url).hostname
        return secure(self.provider_id, url).rstrip("/") if trusted else ""


def is_copilot(provider_id: str, base_url: str) -> bool:
    """By id or by the host of the address."""
    host = urlsplit(base_url).hostname or ""
    return provider_id in PROVIDER_IDS or host == _HOST or host.endswith(f".{_HOST}")


def request_headers(request: Request) -> dict[str, str]:
    """Who began: a request that a person caused is counted against the quota, a step of the agent's own is not."""
    last = request.messages[-1] if request.messages else None
    by_user = request.purpose == "turn" and last is not None and last.role is Role.USER and not last.tool_results
    headers = {"X-Initiator": "user" if by_user else "agent"}
    if any(_shows_image(message) for message in request.messages):
        headers["Copilot-Vision-Request"] = "true"
    return headers


def _shows_image(message: Message) -> bool:
    return any(isinstance(part, AttachmentPart) and part.mime_type.startswith("image/") for part in message.parts)
