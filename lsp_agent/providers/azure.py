"""Where OpenAI's models live at Azure: addresses and versions of a resource. Pure.

`base_url` is the resource (`https://NAME.openai.azure.com`) or a whole address up to `/openai` or `/openai/v1`. Without
`api_version` (or with `preview` or `latest`) the undated v1 interface is used, else the dated one, where Chat
Completions knows a model by its deployment's path. Source: Azure OpenAI, "API version lifecycle".
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

KEY_HEADER = "api-key"
_UNDATED = frozenset({"", "v1", "preview", "latest"})


@dataclass(frozen=True, slots=True)
class AzureAddress:
    """`base_url` as a client takes it, `query` for every request, `chat_path` with `{}` for the deployment's name."""

    base_url: str
    chat_path: str = "/chat/completions"
    query: dict[str, str] = field(default_factory=dict)


def azure_address(base_url: str, api_version: str) -> AzureAddress:
    """The address of a resource; without `api_version` the one in the address's own query counts."""
    base, _, asked = base_url.partition("?")
    base, query = base.rstrip("/"), dict(parse_qsl(asked, keep_blank_values=True))
    named = query.pop("api-version", "")
    api_version = api_version or named
    path = urlsplit(base).path.rstrip("/")
    if api_version in _UNDATED:
        query |= {"api-version": api_version} if api_version in {"preview", "latest"} else {}
        if path.endswith("/v1"):
            return AzureAddress(base, query=query)
        return AzureAddress(f"{base}/v1" if path.endswith("/openai") else f"{base}/openai/v1", query=query)
    base = base.removesuffix("/v1")
    if not urlsplit(base).path.endswith("/openai"):
        base += "/openai"
    return AzureAddress(base, "/deployments/{}/chat/completions", {**query, "api-version": api_version})
