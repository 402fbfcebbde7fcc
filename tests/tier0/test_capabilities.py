"""A whole turn in each of seven editors: the server uses no method the client did not advertise."""

import pytest

from lsp_agent.server.negotiation import COMMANDS, negotiate
from tests.tier0.plain import EDITORS, capabilities, joined

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

BASE = {"window/showMessage", "window/logMessage", "window/showMessageRequest", "$/cancelRequest", "telemetry/event"}


def advertised(name: str) -> set[str]:
    """What LSP 3.17 lets a server send to a client with these capabilities; written from the specification."""
    said = capabilities(name)["capabilities"]
    workspace, window = said.get("workspace", {}), said.get("window", {})
    may = set(BASE)
    if workspace.get("applyEdit"):
        may.add("workspace/applyEdit")
    if window.get("workDoneProgress"):
        may |= {"window/workDoneProgress/create", "$/progress"}
    if window.get("showDocument", {}).get("support"):
        may.add("window/showDocument")
    if workspace.get("configuration"):
        may.add("workspace/configuration")
    if said.get("textDocument", {}).get("publishDiagnostics") is not None:
        may.add("textDocument/publishDiagnostics")
    return may


async def test_there_are_seven_editors():
    assert EDITORS == ["emacs", "helix", "kate", "neovim", "sublime", "vscode", "zed"]


@pytest.mark.parametrize("name", EDITORS)
async def test_a_whole_turn_uses_only_what_the_editor_advertised(home, name):
    async with joined(home / "s.sock", home / "project", name) as editor:
        assert set(COMMANDS) <= set(editor.client.server["capabilities"]["executeCommandProvider"]["commands"])
        editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
        uri = editor.open(f"{name}.py")
        result = await editor.act(uri, "Agent: fix this problem", problems=("rename old_name",))
        assert result["state"] == "running"
        assert "Renamed it." in await editor.told("Renamed it.")
        assert editor.text(uri).startswith("def new_name")
        await editor.run("lspAgent.transcript")
        await editor.run("lspAgent.prompt")
        await editor.run("lspAgent.status")
        await editor.run("lspAgent.sessions")
        await editor.run("lspAgent.model")
        await editor.run("lspAgent.mode")
        await editor.run("lspAgent.undo")
        await editor.run("lspAgent.ask", "fail please")
        await editor.told("No key")
        assert editor.sent <= advertised(name), editor.sent - advertised(name)
        if "window/workDoneProgress/create" in advertised(name):
            # the failed run may be over before the editor has made a token for it; then there is nothing to end

            def all_ended(_: object) -> bool:
                kinds = [each["value"]["kind"] for each in editor.progress()]
                return kinds.count("begin") == kinds.count("end") >= 1

            await editor.client.until(all_ended)


@pytest.mark.parametrize("name", EDITORS)
async def test_the_guard_agrees_with_the_specification(name):
    agreed = negotiate({"capabilities": capabilities(name)["capabilities"]})
    for method in ("workspace/applyEdit", "window/workDoneProgress/create", "window/showDocument"):
        assert agreed.allows(method) == (method in advertised(name))
    assert agreed.allows("window/showMessageRequest")
    assert not agreed.allows("agent/editor/lsp")
    assert not agreed.allows("workspace/codeLens/refresh")


async def test_edits_go_in_the_shape_the_editor_understands(home):
    shapes = {}
    for name in EDITORS:
        async with joined(home / "s.sock", home / "project", name) as editor:
            editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
            uri = editor.open(f"shape-{name}.py")
            await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri})
            await editor.told("Renamed it.")
            message = await editor.client.until(lambda m: m.get("method") == "workspace/applyEdit")
            shapes[name] = set(message["params"]["edit"])
    assert shapes["kate"] == shapes["neovim"] == {"changes"}
    assert shapes["helix"] == shapes["emacs"] == shapes["zed"] == {"documentChanges"}
    assert shapes["vscode"] == shapes["sublime"] == {"documentChanges", "changeAnnotations"}
