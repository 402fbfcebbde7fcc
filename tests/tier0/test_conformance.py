"""The checker itself: each thing a server may do wrong is planted once, and is found only where it is wrong."""

import pytest

from tests.tier0.conformance import violations

RICH = {
    "general": {"positionEncodings": ["utf-8"]},
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "workspaceFolders": True,
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create", "rename", "delete"],
            "changeAnnotationSupport": {"groupsOnLabel": True},
            "snippetEditSupport": True,
            "metadataSupport": True,
        },
        "codeLens": {"refreshSupport": True},
        "diagnostics": {"refreshSupport": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "textDocumentContent": {},
    },
    "textDocument": {
        "synchronization": {"dynamicRegistration": True},
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "isPreferredSupport": True,
            "disabledSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
            "tagSupport": {"valueSet": [1]},
        },
        "codeLens": {},
        "hover": {"contentFormat": ["markdown"]},
        "rename": {"prepareSupport": True},
        "diagnostic": {},
        "completion": {
            "completionItem": {
                "snippetSupport": True,
                "insertReplaceSupport": True,
                "labelDetailsSupport": True,
                "documentationFormat": ["markdown"],
                "tagSupport": {"valueSet": [1]},
            },
            "completionItemKind": {"valueSet": [25]},
            "completionList": {"itemDefaults": ["editRange"]},
        },
        "publishDiagnostics": {
            "versionSupport": True,
            "tagSupport": {"valueSet": [1]},
            "relatedInformation": True,
            "codeDescriptionSupport": True,
            "dataSupport": True,
        },
    },
    "window": {
        "workDoneProgress": True,
        "showDocument": {"support": True},
        "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
    },
}
POOR = {"workspace": {"applyEdit": True}, "textDocument": {"publishDiagnostics": {}}}


def sent(method, params=None):
    return [{"jsonrpc": "2.0", "method": method, "params": params or {}}], {}


def answered(method, result):
    return [{"jsonrpc": "2.0", "id": 1, "result": result}], {1: (method, {})}


def edited(edit, **more):
    return sent("workspace/applyEdit", {"edit": edit, **more})


def published(**diagnostic):
    return sent("textDocument/publishDiagnostics", {"uri": "u", "diagnostics": [{"message": "m", **diagnostic}]})


def offered(**capabilities):
    return answered("initialize", {"capabilities": capabilities})


def acted(**action):
    return answered("textDocument/codeAction", [{"title": "t", "command": {"command": "c"}, **action}])


def completed(**item):
    return answered("textDocument/completion", [{"label": "l", **item}])


PLANTED = {
    "showDocument": sent("window/showDocument", {"uri": "u"}),
    "progress is made": sent("window/workDoneProgress/create", {"token": "t"}),
    "configuration": sent("workspace/configuration", {"items": []}),
    "folders": sent("workspace/workspaceFolders"),
    "lens refresh": sent("workspace/codeLens/refresh"),
    "diagnostic refresh": sent("workspace/diagnostic/refresh"),
    "content refresh": sent("workspace/textDocumentContent/refresh", {"uri": "u"}),
    "registration": sent("client/registerCapability", {"registrations": [{"method": "textDocument/didOpen"}]}),
    "watching": sent("client/registerCapability", {"registrations": [{"method": "workspace/didChangeWatchedFiles"}]}),
    "documentChanges": edited({"documentChanges": []}),
    "a new file": edited({"documentChanges": [{"kind": "create", "uri": "u"}]}),
    "annotations": edited({"changes": {}, "changeAnnotations": {}}),
    "an annotated edit": edited({"changes": {"u": [{"newText": "", "annotationId": "a"}]}}),
    "a snippet edit": edited({"changes": {"u": [{"snippet": {}}]}}),
    "edit metadata": edited({"changes": {}}, metadata={"isRefactoring": True}),
    "a version": sent("textDocument/publishDiagnostics", {"uri": "u", "version": 1, "diagnostics": []}),
    "a diagnostic tag": published(tags=[1]),
    "related information": published(relatedInformation=[]),
    "a code description": published(codeDescription={"href": "h"}),
    "diagnostic data": published(data=1),
    "an action with more": sent("window/showMessageRequest", {"actions": [{"title": "a", "id": 1}]}),
    "an encoding": offered(positionEncoding="utf-8"),
    "action options": offered(codeActionProvider={"codeActionKinds": []}),
    "action resolve": offered(codeActionProvider={"resolveProvider": True}),
    "rename options": offered(renameProvider={"prepareProvider": True}),
    "pull diagnostics": offered(diagnosticProvider={"interFileDependencies": False}),
    "lenses": offered(codeLensProvider={"resolveProvider": False}),
    "hovers": offered(hoverProvider=True),
    "a document scheme": offered(workspace={"textDocumentContent": {"schemes": ["x"]}}),
    "a literal action": acted(),
    "a preferred action": acted(isPreferred=True),
    "a disabled action": acted(disabled={"reason": "r"}),
    "action data": acted(data=1),
    "an action tag": acted(tags=[1]),
    "an action to resolve": acted(command=None),
    "an action with documentChanges": acted(edit={"documentChanges": []}),
    "a markdown hover": answered("textDocument/hover", {"contents": {"kind": "markdown", "value": ""}}),
    "a lens": answered("textDocument/codeLens", []),
    "a snippet item": completed(insertTextFormat=2),
    "insert and replace": completed(textEdit={"insert": {}, "replace": {}, "newText": ""}),
    "label details": completed(labelDetails={}),
    "a new kind": completed(kind=25),
    "documentation": completed(documentation={"kind": "markdown", "value": ""}),
    "an item tag": completed(tags=[1]),
    "item defaults": answered("textDocument/completion", {"items": [], "itemDefaults": {"editRange": {}}}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_a_client_did_not_advertise_is_found_and_only_then(name):
    assert violations(POOR, *PLANTED[name])
    assert violations(RICH, *PLANTED[name]) == []


@pytest.mark.parametrize(
    "messages",
    [
        sent("agent/event", {}),
        sent("textDocument/inventedByUs"),
        sent("window/showMessage", {"type": 9, "message": ""}),
        sent("window/showMessageRequest", {"actions": [{"title": str(n)} for n in range(6)]}),
        sent("window/showMessageRequest", {"actions": [{"title": "a"}, {"title": "a"}]}),
    ],
)
def test_what_no_client_takes_is_found_with_every_client(messages):
    assert violations(RICH, *messages)


def progress(*steps, create=True):
    made = [{"method": "window/workDoneProgress/create", "id": 1, "params": {"token": "t"}}] if create else []
    return [*made, *({"method": "$/progress", "params": {"token": "t", "value": {"kind": kind}}} for kind in steps)]


def test_progress_begins_once_and_says_nothing_after_its_end():
    assert violations(RICH, progress("begin", "report", "report", "end"), {}) == []
    assert violations(RICH, progress("begin", "end", "report"), {})
    assert violations(RICH, progress("begin", "begin"), {})
    assert violations(RICH, progress("report"), {})
    assert violations(RICH, progress("begin", create=False), {})
    asked = {7: ("workspace/executeCommand", {"workDoneToken": "t"})}
    assert violations(POOR, progress("begin", "end", create=False), asked) == []


def test_a_client_that_says_nothing_may_be_spoken_to_all_the_same():
    assert violations({}, *sent("window/showMessage", {"type": 3, "message": "hello"})) == []
    assert violations({}, *sent("window/showMessageRequest", {"actions": [{"title": "a"}]})) == []
    assert violations({}, *answered("textDocument/codeAction", [{"title": "t", "command": "c"}])) == []
    assert violations({}, *sent("workspace/applyEdit", {"edit": {"changes": {}}}))
