"""What a validated `agent/run` or `agent/steer` means to the agent: text, attachments, options, content hash."""

import base64
from collections.abc import Sequence
from typing import Any

from lsp_agent.domain.model import Sampling
from lsp_agent.domain.run import RunOptions
from lsp_agent.protocol import content
from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.errors import invalid_params
from lsp_agent.protocol.run_request import RunRequest, Submitted, hash_of
from lsp_agent.protocol.runs import RunOptions as WireOptions
from lsp_agent.protocol.runs import RunParams, SteerParams


def typed_run(raw: Any) -> RunRequest:
    """`agent/run`, validated. Raises: RequestRejected(InvalidParams)."""
    params = decode(RunParams, raw)
    return RunRequest(submitted(params), params.session_id, params.run_id, params.when_busy)


def submitted(params: RunParams | SteerParams) -> Submitted:
    """Flatten the prompt, translate the options, hash the content.

    Raises: RequestRejected(InvalidParams) for a resource that is neither text nor an image.
    """
    text, from_blocks = flatten(params.prompt)
    own = [item.model_dump(by_alias=True, exclude_none=True) for item in params.attachments or ()]
    options = params.options if isinstance(params, RunParams) else None
    return Submitted(
        prompt=text,
        attachments=(*own, *from_blocks),
        options=run_options(options),
        content_hash=content_hash(params),
    )


def flatten(prompt: str | Sequence[content.ContentBlock]) -> tuple[str, list[dict[str, Any]]]:
    """The text of a prompt, and its other blocks as attachments (see `protocol.content`).

    Raises: RequestRejected(InvalidParams).
    """
    if isinstance(prompt, str):
        return prompt, []
    texts: list[str] = []
    attachments: list[dict[str, Any]] = []
    for index, block in enumerate(prompt):
        match block:
            case content.TextBlock():
                texts.append(block.text)
            case content.ImageBlock():
                attachments.append({"type": "image", "data": block.data, "mimeType": block.mime_type})
            case content.ResourceLinkBlock():
                attachments.append({"type": "buffer", "uri": block.uri})
            case content.ResourceBlock():
                attachments.append(_embedded(block.resource, f"prompt[{index}].resource"))
    return "\n".join(texts), attachments


def run_options(options: WireOptions | None) -> RunOptions:
    """The wire's options in the domain's terms; absent fields keep the domain's "not said"."""
    if options is None:
        return RunOptions()
    return RunOptions(
        model=options.model,
        mode=options.mode,
        sampling=Sampling(
            max_output_tokens=options.max_output_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k,
            frequency_penalty=options.frequency_penalty,
            presence_penalty=options.presence_penalty,
        ),
        provider_options=options.provider_options or {},
        max_steps=options.max_steps or 0,
        max_cost_usd=options.max_cost_usd or 0.0,
        non_interactive=bool(options.non_interactive),
        title=options.title,
    )


def content_hash(params: RunParams | SteerParams) -> str:
    """Hex XXH3-128 of prompt, attachments and options as understood: spelling (`null`, field order) does not matter."""
    fields = params.model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"prompt", "attachments", "options"}
    )
    fields = {key: value for key, value in fields.items() if value not in ([], {})}
    return hash_of(fields)


def _embedded(resource: content.EmbeddedResource, path: str) -> dict[str, Any]:
    if resource.text is not None:
        return {"type": "text", "text": resource.text, "name": resource.uri}
    mime_type = resource.mime_type or ""
    if mime_type.startswith("image/"):
        return {"type": "image", "data": resource.blob, "mimeType": mime_type}
    if mime_type.startswith("text/"):
        try:
            text = base64.b64decode(resource.blob or "", validate=True).decode("utf-8")
        except ValueError:
            raise invalid_params(f"{path}.blob", "is not UTF-8 text in base64") from None
        return {"type": "text", "text": text, "name": resource.uri}
    raise invalid_params(f"{path}.mimeType", "must be a text or an image type")
