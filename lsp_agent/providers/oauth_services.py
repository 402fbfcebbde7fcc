"""Which providers are logged in at, and how: those we know, and `options.oauth` of a block of the user's file.

[providers.gateway.options.oauth]
client_id = "…"
token_url = "https://…"
authorize_url = "https://…"      # or device_url
scopes = ["models"]
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.copilot import PROVIDER_IDS, Copilot
from lsp_agent.providers.oauth import LOGIN_S, LoginDue, LoginService, OAuthService, Prompt, Show, Token, exchange
from lsp_agent.providers.oauth_answer import listening
from lsp_agent.providers.settings import ProvidersSettings


def login_services(settings: ProvidersSettings) -> Mapping[str, LoginService]:
    """By provider id. A block whose `options.oauth` does not describe a login is left out."""
    found: dict[str, LoginService] = {name: Copilot(name) for name in PROVIDER_IDS}
    found["openrouter"] = OpenRouter()
    for block in settings.providers:
        told = block.options.get("oauth")
        service = described(block.provider_id, told) if isinstance(told, Mapping) else None
        if service is not None:
            found[block.provider_id] = service
    return found


def described(provider_id: str, told: Mapping[str, Any]) -> OAuthService | None:
    """The service that `options.oauth` describes; None when something is missing or of another type."""
    texts = {name: told.get(name, "") for name in ("client_id", "token_url", "authorize_url", "device_url")}
    scopes, port, extra = told.get("scopes", []), told.get("redirect_port", 0), told.get("extra", {})
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(port, int):
        return None
    if not isinstance(scopes, list | tuple) or not isinstance(extra, Mapping) or not 0 <= port < 65_536:
        return None
    if not texts["client_id"] or not texts["token_url"] or not (texts["authorize_url"] or texts["device_url"]):
        return None
    return OAuthService(
        provider_id,
        texts["client_id"],
        texts["token_url"],
        authorize_url=texts["authorize_url"],
        device_url=texts["device_url"],
        scopes=tuple([str(scope) for scope in scopes]),
        redirect_port=port,
        extra={str(name): str(value) for name, value in extra.items()},
    )


@dataclass(frozen=True, slots=True)
class OpenRouter:
    """OpenRouter gives a key of the user's account for a code with PKCE; it lasts until it is revoked."""

    provider_id: str = "openrouter"
    authorize_url: str = "https://openrouter.ai/auth"
    token_url: str = "https://openrouter.ai/api/v1/auth/keys"
    redirect_port: int = 3000

    async def login(self, show: Show) -> Token:
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        try:
            async with asyncio.timeout(LOGIN_S), listening(self.redirect_port, state) as answer:
                # it hands nothing back but what the address to come back to holds
                query = {"callback_url": f"{answer.redirect_uri}?state={state}", "code_challenge": challenge}
                show(Prompt(f"{self.authorize_url}?{urlencode({**query, 'code_challenge_method': 'S256'})}"))
                code, _ = await answer.come
        except TimeoutError as error:
            raise _failed("openrouter: nobody answered the login in time.") from error
        proof = {"code": code, "code_verifier": verifier, "code_challenge_method": "S256"}
        status, said = await exchange(self.provider_id, "POST", self.token_url, json=proof)
        key = said.get("key")
        if status != 200 or not isinstance(key, str) or not key:
            raise _failed(f"openrouter: no key was given (status {status}).")
        return Token(key)

    async def renewed(self, token: Token) -> Token:
        raise LoginDue(self.provider_id, "the key of the login is not accepted any more")


def _failed(message: str) -> ProviderError:
    return ProviderError("ProviderAuth", "Login failed", message)
