"""A whole job in each of seven editors (and Vim): the server uses nothing that the client did not advertise."""

import contextlib
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from lsp_agent.server.negotiation import COMMANDS, negotiate
from tests.harness.client import Client
from tests.tier0.conformance import NEEDS
from tests.tier0.job import AskingClient, Job
from tests.tier0.plain import EDITORS, Editor, capabilities, configure, joined
from tests.tier0.said import Said

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


async def test_there_are_seven_editors_and_each_says_how_it_is_known():
    assert {"emacs", "helix", "kate", "neovim", "sublime", "vscode", "zed"} <= set(EDITORS)
    how = {name: capabilities(name)["_how"] for name in EDITORS}
    assert {name for name, way in how.items() if way == "recorded"} >= {"emacs", "kate", "neovim", "vscode", "vim"}
    assert all(way in ("recorded", "read") for way in how.values())
    assert all(capabilities(name)["_about"] for name in EDITORS)


@pytest.mark.parametrize("name", EDITORS)
async def test_a_whole_job_uses_only_what_the_editor_advertised(home, name):
    async with joined(home / "s.sock", home / "project", name, AskingClient.connect) as editor:
        assert set(COMMANDS) <= set(editor.client.server["capabilities"]["executeCommandProvider"]["commands"])
        job = Job(editor, home / "data")
        await job.do_all()
        assert job.faults() == []
        assert not {method for method in editor.sent if method.startswith("agent/")}


@pytest.mark.parametrize("name", EDITORS)
async def test_the_guard_agrees_with_the_specification(name):
    said = capabilities(name)["capabilities"]
    agreed = negotiate({"capabilities": said})
    for method, needs in NEEDS.items():
        assert not agreed.allows(method) or Said(said).has(needs), method
    for method in ("workspace/applyEdit", "window/workDoneProgress/create", "window/showDocument"):
        assert agreed.allows(method) == Said(said).has(NEEDS[method])
    assert agreed.allows("window/showMessageRequest")
    assert not agreed.allows("agent/editor/lsp")


async def test_edits_go_in_the_shape_the_editor_understands(home):
    shapes = {}
    for name in EDITORS:
        async with joined(home / "s.sock", home / "project", name) as editor:
            editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
            uri = editor.open(f"shape-{name}.py")
            await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri})
            await editor.told("Renamed it.")
            edits = [m for m in editor.client.messages if m.get("method") == "workspace/applyEdit"]
            shapes[name] = {key for message in edits for key in message["params"]["edit"]}
    assert shapes["neovim"] == {"changes"}
    assert shapes["helix"] == shapes["emacs"] == shapes["zed"] == {"documentChanges"}
    assert shapes["vscode"] == shapes["sublime"] == {"documentChanges", "changeAnnotations"}
    assert shapes["kate"] == shapes["vim"] == set(), "they do not say that they can apply edits"


async def test_a_client_without_code_action_literals_gets_commands(home):
    async with joined(home / "s.sock", home / "project", "kate") as editor:
        uri = editor.open("kate-actions.py")
        assert all(isinstance(each["command"], dict) for each in await editor.actions(uri))
    client = await type(editor.client).connect(home / "s.sock")
    async with client:
        plain = await client.request("initialize", {"processId": None, "capabilities": {}, "rootUri": None})
        assert plain["capabilities"]["codeActionProvider"] is True
        client.notify("initialized")
        bare = Editor(client, home / "project", "bare")
        found = await bare.actions(bare.open("bare.py"))
        assert found
        assert all(isinstance(each["command"], str) for each in found)


async def test_actions_of_the_model_are_tagged_where_the_editor_knows_the_tag(home):
    tagged = {}
    for name in ("vscode", "helix"):
        async with joined(home / "s.sock", home / "project", name) as editor:
            found = await editor.actions(editor.open(f"tags-{name}.py"))
            tagged[name] = {each["title"] for each in found if each.get("tags") == [1]}
    assert "Agent: explain" in tagged["vscode"]
    assert tagged["helix"] == set()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("emacs", "window/showDocument: without window.showDocument.support"),
        ("emacs", "window/workDoneProgress/create: without window.workDoneProgress"),
        ("emacs", "workspace/applyEdit: change annotations without changeAnnotationSupport"),
        ("emacs", "answer to initialize: position encoding utf-8"),
        ("emacs", "answer to initialize: codeLensProvider without textDocument.codeLens"),
        ("emacs", "answer to textDocument/hover: markdown without contentFormat"),
        ("emacs", "answer to textDocument/codeAction: tag 1 without tagSupport"),
        ("emacs", "textDocument/publishDiagnostics: version without versionSupport"),
        ("neovim", "workspace/applyEdit: documentChanges without workspaceEdit.documentChanges"),
        ("kate", "workspace/applyEdit: without workspace.applyEdit"),
    ],
)
async def test_a_server_that_takes_every_editor_for_the_richest_is_found_out(careless, name, fault):
    assert fault in careless[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def careless(tmp_path_factory):
    """What the checker says of a server with one planted fault, by editor: it believes that every client can do all."""
    folder = tmp_path_factory.mktemp("careless")
    (folder / "project").mkdir()
    start = [sys.executable, str(Path(__file__).with_name("careless.py")), "serve"]
    faults = {}
    async with await Client.start(
        folder, "--socket", str(folder / "s.sock"), command=start, env=configure(folder), cwd=folder / "project"
    ) as client:
        await client.initialize(root=folder / "project")
        for name in ("emacs", "kate", "neovim"):
            async with joined(folder / "s.sock", folder / "project", name, AskingClient.connect) as editor:
                job = Job(editor, folder / "data")
                with contextlib.suppress(AssertionError):  # Kate's document must not be edited, and now it is
                    await job.do_all()
                faults[name] = job.faults()
    return faults
