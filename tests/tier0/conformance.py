"""What LSP lets a server send to a client that said these capabilities; written from the specification (3.17 and 3.18).

`violations` looks at every message of a server: methods, dynamic registrations, the shape of edits, the properties of
diagnostics, code actions, hovers and completions, the order of progress. It knows nothing of the product.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.tier0.conforming_answers import answer_faults, diagnostic_faults, edit_faults
from tests.tier0.said import Said

Message = Mapping[str, Any]
Asked = Mapping[Any, tuple[str, Mapping[str, Any]]]
"""Requests of the client by id: method and params."""

BASE = frozenset(
    {"window/showMessage", "window/logMessage", "window/showMessageRequest", "$/cancelRequest", "$/logTrace"}
    | {"telemetry/event", "$/progress", "textDocument/publishDiagnostics"}
)
"""Looked at by themselves, or free."""
NEEDS = {
    "workspace/applyEdit": "workspace.applyEdit",
    "workspace/configuration": "workspace.configuration",
    "workspace/workspaceFolders": "workspace.workspaceFolders",
    "window/workDoneProgress/create": "window.workDoneProgress",
    "window/showDocument": "window.showDocument.support",
    "workspace/codeLens/refresh": "workspace.codeLens.refreshSupport",
    "workspace/semanticTokens/refresh": "workspace.semanticTokens.refreshSupport",
    "workspace/inlayHint/refresh": "workspace.inlayHint.refreshSupport",
    "workspace/inlineValue/refresh": "workspace.inlineValue.refreshSupport",
    "workspace/foldingRange/refresh": "workspace.foldingRange.refreshSupport",
    "workspace/diagnostic/refresh": "workspace.diagnostics.refreshSupport",
    "workspace/textDocumentContent/refresh": "workspace.textDocumentContent",
}
"""Requests of a server, and the capability each needs."""
REGISTERED = {
    "textDocument/didOpen": "textDocument.synchronization",
    "textDocument/didChange": "textDocument.synchronization",
    "textDocument/didClose": "textDocument.synchronization",
    "textDocument/didSave": "textDocument.synchronization",
    "textDocument/prepareCallHierarchy": "textDocument.callHierarchy",
}
"""Methods a server may register, where the capability is not named as the method is."""
MAX_ACTIONS = 5
"""EDITORS part 2, recipe 4."""


def violations(capabilities: Mapping[str, Any], sent: Sequence[Message], asked: Asked) -> list[str]:
    """Everything a server sent that this client did not advertise, one line each; empty is good."""
    said = Said(capabilities)
    found: list[str] = []
    for message in sent:
        method, params = message.get("method"), message.get("params") or {}
        if method is None:
            name, given = asked.get(message.get("id"), ("", {}))
            found += answer_faults(said, name, given, message.get("result"))
            continue
        found += _method_faults(said, method, params)
        if method in PARTS:
            found += [f"{method}: {fault}" for fault in PARTS[method](said, params)]
    return [*found, *_progress_faults(sent, asked)]


def _method_faults(said: Said, method: str, params: Mapping[str, Any]) -> Iterator[str]:
    if method in BASE:
        return
    if method in ("client/registerCapability", "client/unregisterCapability"):
        listed = params.get("registrations") or params.get("unregisterations") or ()
        for one in listed:
            path = REGISTERED.get(one["method"], one["method"].replace("/", "."))
            if not said.has(f"{path}.dynamicRegistration"):
                yield f"{method}: {one['method']} without {path}.dynamicRegistration"
    elif method not in NEEDS:
        yield f"{method}: is no method of a server"
    elif not said.has(NEEDS[method]):
        yield f"{method}: without {NEEDS[method]}"


def _applied(said: Said, params: Mapping[str, Any]) -> Iterator[str]:
    yield from edit_faults(said, params["edit"])
    if "metadata" in params and not said.has("workspace.workspaceEdit.metadataSupport"):
        yield "metadata without workspaceEdit.metadataSupport"


def _published(said: Said, params: Mapping[str, Any]) -> Iterator[str]:
    if said.at("textDocument.publishDiagnostics") is None:
        yield "without textDocument.publishDiagnostics"
    if params.get("version") is not None and not said.has("textDocument.publishDiagnostics.versionSupport"):
        yield "version without versionSupport"
    for diagnostic in params["diagnostics"]:
        yield from diagnostic_faults(said, diagnostic)


def _asked_user(said: Said, params: Mapping[str, Any]) -> Iterator[str]:
    actions = params.get("actions") or []
    titles = [action["title"] for action in actions]
    if len(titles) > MAX_ACTIONS:
        yield f"{len(titles)} actions"
    if len(set(titles)) < len(titles):
        yield "two actions with one title: the answer names the title"
    more = {key for action in actions for key in action} - {"title"}
    if more and not said.has("window.showMessage.messageActionItem.additionalPropertiesSupport"):
        yield f"actions with {sorted(more)} without additionalPropertiesSupport"


def _said_to_user(said: Said, params: Mapping[str, Any]) -> Iterator[str]:
    if params.get("type") not in (1, 2, 3, 4):
        yield f"type {params.get('type')}"


PARTS: Mapping[str, Callable[[Said, Mapping[str, Any]], Iterator[str]]] = {
    "workspace/applyEdit": _applied,
    "textDocument/publishDiagnostics": _published,
    "window/showMessageRequest": _asked_user,
    "window/showMessage": _said_to_user,
}


def _progress_faults(sent: Sequence[Message], asked: Asked) -> Iterator[str]:
    """A token is made with the client or comes from it; begin, reports, end, and nothing after."""
    known = {params.get(key) for _, params in asked.values() for key in ("workDoneToken", "partialResultToken")}
    state: dict[Any, str] = {}
    for message in sent:
        method, params = message.get("method"), message.get("params") or {}
        if method == "window/workDoneProgress/create":
            known.add(params["token"])
        if method != "$/progress":
            continue
        token, kind = params["token"], params["value"]["kind"]
        before = state.get(token)
        if token not in known:
            yield f"$/progress: token {token} was never made"
        if (kind == "begin") != (before is None) or before == "end":
            yield f"$/progress: {kind} after {before}"
        state[token] = kind
