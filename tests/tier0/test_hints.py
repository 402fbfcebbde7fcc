"""The agent's changes in an editor with no plugin: hints, code actions, lenses, hovers, commands."""

import pytest
import pytest_asyncio

from tests.tier0.plain import CODE, joined

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]
NEW = CODE.replace("old_name", "new_name")


@pytest_asyncio.fixture(loop_scope="module")
async def editor(home, request):
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    async with joined(home / "s.sock", home / "project", "helix") as made:
        made.file = f"hint-{name}.py"
        made.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
        yield made


async def hinted(editor, count: int = 1):
    """Wait for a publication of so many hints; its params."""
    message = await editor.client.until(
        lambda m: (
            m.get("method") == "textDocument/publishDiagnostics"
            and m["params"]["uri"].endswith(editor.file)
            and len(m["params"]["diagnostics"]) == count
        )
    )
    return message["params"]


async def renamed(editor) -> str:
    uri = editor.open(editor.file)
    await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri})
    await editor.told("Renamed it.")
    return uri


async def titles(editor, uri, **how):
    return [each["title"] for each in await editor.actions(uri, **how)]


async def test_a_change_is_a_hint_and_is_taken_back_by_a_code_action(editor):
    uri = await renamed(editor)
    params = await hinted(editor)
    [hint] = params["diagnostics"]
    assert (hint["severity"], hint["source"]) == (4, "lsp-agent")
    assert hint["message"] == "The agent changed this, it was: def old_name():"
    assert params["version"] == 2
    assert hint["range"] == {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
    assert "Agent: take back this change (line 1)" in await titles(editor, uri)
    assert not [title for title in await titles(editor, uri, line=1) if "this change" in title]
    answer = await editor.act(uri, "Agent: take back this change")
    assert answer["accepted"] is True
    await editor.told("1 change rejected")
    assert editor.text(uri) == CODE
    editor.client.recorded.clear()
    await editor.run("lspAgent.undo")
    assert editor.text(uri) == NEW
    await hinted(editor, 1)
    await editor.act(uri, "Agent: keep this change")
    await hinted(editor, 0)
    assert editor.text(uri) == NEW


async def test_the_hint_moves_with_the_text_and_goes_when_its_lines_are_changed(editor):
    uri = await renamed(editor)
    await hinted(editor)
    editor.client.recorded.clear()
    editor.client.change_document(uri, "# mine\n" + editor.text(uri))
    params = await hinted(editor)
    assert params["diagnostics"][0]["range"]["start"]["line"] == 1
    editor.client.recorded.clear()
    editor.client.change_document(uri, editor.text(uri).replace("new_name", "my_name"))
    await hinted(editor, 0)
    answer = await editor.run("lspAgent.reject")
    assert answer["conflicts"][0]["current"] == "# mine\ndef my_name():\n"
    assert "left as it is" in await editor.told("left as it is")


async def test_our_own_hints_are_no_problems_to_fix(editor):
    uri = await renamed(editor)
    [hint] = (await hinted(editor))["diagnostics"]
    span = hint["range"]
    params = {"textDocument": {"uri": uri}, "range": span, "context": {"diagnostics": [hint]}}
    found = await editor.client.request("textDocument/codeAction", params)
    assert "Agent: fix this problem" not in [each["title"] for each in found]


async def test_undo_and_redo_without_an_argument_walk_through_the_run(editor):
    uri = await renamed(editor)
    assert (await editor.run("lspAgent.undo"))["undone"] is True
    assert editor.text(uri) == CODE
    assert (await editor.run("lspAgent.undo"))["undone"] is False
    assert "nothing to undo" in await editor.told("nothing to undo")
    assert (await editor.run("lspAgent.redo"))["redone"] is True
    assert editor.text(uri) == NEW


async def test_a_hover_shows_what_stood_there_and_lenses_offer_both(editor):
    uri = await renamed(editor)
    await hinted(editor)
    here = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 2}}
    hover = await editor.client.request("textDocument/hover", here)
    assert "def old_name():" in hover["contents"]["value"]
    nowhere = {**here, "position": {"line": 1, "character": 0}}
    assert await editor.client.request("textDocument/hover", nowhere) is None
    lenses = await editor.client.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
    assert [each["command"]["title"] for each in lenses] == ["Keep", "Take back"]
    command = lenses[1]["command"]
    await editor.run(command["command"], *command["arguments"])
    assert editor.text(uri) == CODE


async def test_a_question_goes_before_changes(editor):
    await renamed(editor)
    editor.answer(lambda _: None)
    await editor.run("lspAgent.sessions", "new")
    other = editor.project / f"other-{editor.file}"
    editor.open(other.name)
    await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": other.as_uri()})
    await editor.asked(f"Edit {other.name}")
    answer = await editor.run("lspAgent.reject")
    assert "done" not in answer
    assert editor.text(other.as_uri()) == CODE


async def test_a_hover_over_a_marked_comment_says_what_it_is_for(editor):
    uri = editor.open(editor.file, f"# agent: rename the function\n{CODE}")
    here = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 4}}
    hover = await editor.client.request("textDocument/hover", here)
    assert "Agent: do this" in hover["contents"]["value"]
    assert await editor.client.request("textDocument/hover", {**here, "position": {"line": 2, "character": 0}}) is None


async def test_the_prompt_document_has_a_lens_that_sends_it(editor, home):
    uri = editor.open(editor.file)
    await editor.act(uri, "Agent: edit with an instruction")
    path = home / "data" / "prompt.md"
    editor.client.open_document(path.as_uri(), f"{path.read_text()}hello there\n", language="markdown")
    [lens] = await editor.client.request("textDocument/codeLens", {"textDocument": {"uri": path.as_uri()}})
    assert lens["command"]["title"] == f"Send to the agent (about {editor.file})"
    await editor.run(lens["command"]["command"], *lens["command"].get("arguments") or [])
    await editor.told("You said: hello there")


async def test_lenses_are_asked_for_again_where_the_editor_can_be_told_and_only_there(home):
    for name, can_be_told in (("zed", True), ("helix", False)):
        async with joined(home / "s.sock", home / "project", name) as editor:
            editor.file = f"lenses-{name}.py"
            editor.client.handlers["workspace/codeLens/refresh"] = lambda _: None
            editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
            uri = await renamed(editor)
            await hinted(editor, 1)
            await editor.act(uri, "Agent: keep this change")
            await hinted(editor, 0)
            if can_be_told:
                await editor.client.until(lambda m: m.get("method") == "workspace/codeLens/refresh")
            assert ("workspace/codeLens/refresh" in editor.sent) == can_be_told
