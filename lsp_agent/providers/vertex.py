"""Where models live at Vertex: the addresses of a project and a location. Pure.

The key is an OAuth access token, usually `api_key = "$(gcloud auth print-access-token)"`; it lives for an hour and is
read again when the service refuses it. Source: Vertex AI, `streamGenerateContent` and `streamRawPredict`.
"""

from collections.abc import Mapping
from typing import Any

from lsp_agent.domain.errors import ProviderError

ANTHROPIC_VERSION = "vertex-2023-10-16"
_PROJECT_NAMES = ("GOOGLE_CLOUD_PROJECT", "VERTEXAI_PROJECT")
_LOCATION_NAMES = ("GOOGLE_CLOUD_LOCATION", "VERTEXAI_LOCATION")
_MULTI_REGIONS = frozenset({"us", "eu"})


def vertex_address(
    provider_id: str, options: Mapping[str, Any], base_url: str, env: Mapping[str, str]
) -> tuple[str, str]:
    """Base address, and the path of the project's publishers below it.

    `options.project` and `options.location`, else the environment's `GOOGLE_CLOUD_PROJECT` and `GOOGLE_CLOUD_LOCATION`;
    the location defaults to `global`. Raises: ProviderError that names what is missing.
    """
    project = str(options.get("project") or _first(_PROJECT_NAMES, env))
    location = str(options.get("location") or _first(_LOCATION_NAMES, env) or "global")
    if not project:
        message = f"providers.{provider_id}.options.project is missing (or set {_PROJECT_NAMES[0]})."
        raise ProviderError("Provider", "No project", message)
    if location == "global":
        host = "https://aiplatform.googleapis.com"
    elif location in _MULTI_REGIONS:
        host = f"https://aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"https://{location}-aiplatform.googleapis.com"
    return base_url or f"{host}/v1", f"/projects/{project}/locations/{location}/publishers"


def _first(names: tuple[str, ...], env: Mapping[str, str]) -> str:
    return next((env[name] for name in names if env.get(name)), "")
