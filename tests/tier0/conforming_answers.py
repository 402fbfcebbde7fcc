"""The parts of `conformance` about answers of a server, and about edits and diagnostics wherever they are sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.tier0.said import Said

EDIT, ACTION, ITEM = "workspace.workspaceEdit", "textDocument.codeAction", "textDocument.completion.completionItem"
DIAGNOSTIC = "textDocument.publishDiagnostics"
OLD_KINDS = 18
"""Completion kinds every client knows."""


def answer_faults(said: Said, method: str, params: Mapping[str, Any], result: Any) -> Iterator[str]:
    """What a response holds that the client did not say it takes."""
    found: Iterator[str] = iter(())
    if result is not None:
        match method:
            case "initialize":
                found = _server_faults(said, result["capabilities"])
            case "textDocument/codeAction":
                found = (fault for action in result for fault in _action_faults(said, action))
            case "textDocument/hover":
                found = _hover_faults(said, result)
            case "textDocument/completion":
                found = _completion_faults(said, result)
            case "textDocument/codeLens":
                found = _lens_faults(said)
            case _:
                pass
    for fault in found:
        yield f"answer to {method}: {fault}"


def edit_faults(said: Said, edit: Mapping[str, Any]) -> Iterator[str]:
    """A `WorkspaceEdit`."""
    steps = edit.get("documentChanges")
    if steps is not None and not said.has(f"{EDIT}.documentChanges"):
        yield "documentChanges without workspaceEdit.documentChanges"
    edits = [one for many in (edit.get("changes") or {}).values() for one in many]
    for step in steps or ():
        if "kind" in step and not said.lists(f"{EDIT}.resourceOperations", step["kind"]):
            yield f"resource operation {step['kind']} without resourceOperations"
        edits += step.get("edits") or ()
    annotated = "changeAnnotations" in edit or any("annotationId" in one for one in [*edits, *(steps or ())])
    if annotated and not said.has(f"{EDIT}.changeAnnotationSupport"):
        yield "change annotations without changeAnnotationSupport"
    if any("snippet" in one for one in edits) and not said.has(f"{EDIT}.snippetEditSupport"):
        yield "a snippet without snippetEditSupport"


def diagnostic_faults(said: Said, diagnostic: Mapping[str, Any]) -> Iterator[str]:
    """One diagnostic that is published."""
    for tag in diagnostic.get("tags") or ():
        if not said.lists(f"{DIAGNOSTIC}.tagSupport.valueSet", tag):
            yield f"tag {tag} without tagSupport"
    needs = {"relatedInformation": "relatedInformation", "codeDescription": "codeDescriptionSupport"}
    for name, support in {**needs, "data": "dataSupport"}.items():
        if diagnostic.get(name) is not None and not said.has(f"{DIAGNOSTIC}.{support}"):
            yield f"{name} without {support}"
    if not isinstance(diagnostic["message"], str) and not said.has("textDocument.diagnostic.markupMessageSupport"):
        yield "a message that is no string"


def _server_faults(said: Said, offered: Mapping[str, Any]) -> Iterator[str]:
    encoding = offered.get("positionEncoding", "utf-16")
    if encoding != "utf-16" and not said.lists("general.positionEncodings", encoding):
        yield f"position encoding {encoding}"
    actions = offered.get("codeActionProvider")
    if isinstance(actions, Mapping):
        if not said.has(f"{ACTION}.codeActionLiteralSupport"):
            yield "CodeActionOptions without codeActionLiteralSupport"
        if actions.get("resolveProvider") and not said.has(f"{ACTION}.resolveSupport"):
            yield "codeAction/resolve without resolveSupport"
    renames = offered.get("renameProvider")
    if isinstance(renames, Mapping) and not said.has("textDocument.rename.prepareSupport"):
        yield "RenameOptions without prepareSupport"
    for name, path in {
        "codeLensProvider": "textDocument.codeLens",
        "hoverProvider": "textDocument.hover",
        "diagnosticProvider": "textDocument.diagnostic",
        "inlineCompletionProvider": "textDocument.inlineCompletion",
    }.items():
        if offered.get(name) and said.at(path) is None:
            yield f"{name} without {path}"
    workspace = offered.get("workspace") or {}
    for name in ("textDocumentContent", "fileOperations"):
        if workspace.get(name) and said.at(f"workspace.{name}") is None:
            yield f"workspace.{name} without it"


def _action_faults(said: Said, action: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(action.get("command"), str):
        return  # a Command, which every client takes
    if not said.has(f"{ACTION}.codeActionLiteralSupport"):
        yield "a CodeAction without codeActionLiteralSupport"
    needs = {"isPreferred": "isPreferredSupport", "disabled": "disabledSupport", "data": "dataSupport"}
    for name, support in needs.items():
        if action.get(name) is not None and not said.has(f"{ACTION}.{support}"):
            yield f"{name} without {support}"
    for tag in action.get("tags") or ():
        if not said.lists(f"{ACTION}.tagSupport.valueSet", tag):
            yield f"tag {tag} without tagSupport"
    if action.get("edit") is not None:
        yield from edit_faults(said, action["edit"])
    elif action.get("command") is None and not said.lists(f"{ACTION}.resolveSupport.properties", "edit"):
        yield "an action to be resolved without resolveSupport"


def _hover_faults(said: Said, hover: Mapping[str, Any]) -> Iterator[str]:
    contents = hover["contents"]
    form = contents.get("kind") if isinstance(contents, Mapping) else None
    if form is not None and not said.lists("textDocument.hover.contentFormat", form):
        yield f"{form} without contentFormat"


def _lens_faults(said: Said) -> Iterator[str]:
    if said.at("textDocument.codeLens") is None:
        yield "lenses without textDocument.codeLens"


def _completion_faults(said: Said, result: Any) -> Iterator[str]:
    items = result if isinstance(result, list) else result["items"]
    if isinstance(result, Mapping):
        for name in result.get("itemDefaults") or {}:
            if not said.lists("textDocument.completion.completionList.itemDefaults", name):
                yield f"itemDefaults.{name}"
    for item in items:
        yield from _item_faults(said, item)


def _item_faults(said: Said, item: Mapping[str, Any]) -> Iterator[str]:
    needs = {"labelDetails": "labelDetailsSupport", "deprecated": "deprecatedSupport", "preselect": "preselectSupport"}
    for name, support in {**needs, "commitCharacters": "commitCharactersSupport"}.items():
        if item.get(name) is not None and not said.has(f"{ITEM}.{support}"):
            yield f"{name} without {support}"
    if item.get("insertTextFormat", 1) == 2 and not said.has(f"{ITEM}.snippetSupport"):
        yield "a snippet without snippetSupport"
    if "insert" in (item.get("textEdit") or {}) and not said.has(f"{ITEM}.insertReplaceSupport"):
        yield "InsertReplaceEdit without insertReplaceSupport"
    kinds = "textDocument.completion.completionItemKind.valueSet"
    if item.get("kind", 1) > OLD_KINDS and not said.lists(kinds, item["kind"]):
        yield f"kind {item['kind']}"
    documentation = item.get("documentation")
    form = documentation["kind"] if isinstance(documentation, Mapping) else None
    if form is not None and not said.lists(f"{ITEM}.documentationFormat", form):
        yield f"documentation in {form}"
    for tag in item.get("tags") or ():
        if not said.lists(f"{ITEM}.tagSupport.valueSet", tag):
            yield f"tag {tag} without tagSupport"
