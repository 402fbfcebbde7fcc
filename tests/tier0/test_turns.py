"""Turns in an editor with no plugin: progress, permission, transcript, prompt document, commands."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.client import Client, Failed
from tests.tier0.plain import CODE, Editor, configure, joined, until_file

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def editor(home, request):
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    async with joined(home / "s.sock", home / "project", "helix") as made:
        made.file = f"{name}.py"
        yield made


def transcript_of(home: Path, session: str) -> Path:
    return home / "data" / "transcripts" / f"{session}.md"


async def held(editor: Editor) -> str:
    """A run that waits for ever; its session."""
    session = (await editor.run("lspAgent.ask", "hold"))["sessionId"]
    await editor.progressed("", "writing")
    return str(session)


async def asked_to_rename(editor: Editor) -> tuple[str, str]:
    """A run whose question has been shown: (session, document)."""
    uri = editor.open(editor.file)
    result = await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri})
    await editor.asked("Edit")
    return result["sessionId"], uri


async def test_no_agent_event_reaches_a_plain_editor_and_its_runs_go_on(editor):
    editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
    _, uri = await asked_to_rename(editor)
    await editor.told("Renamed it.")
    await editor.run("lspAgent.ask", "and now?")
    await editor.told("You said: and now?")
    assert editor.text(uri) == CODE.replace("old_name", "new_name")
    assert not {method for method in editor.sent if method.startswith("agent/")}


async def test_a_run_is_progress_with_a_token_the_editor_made_with_us(editor):
    async def reply(params):
        if "Edit" not in params["message"]:
            return None
        await editor.progressed("", "waiting for permission: Edit")
        return params["actions"][0]

    editor.answer(reply)
    await asked_to_rename(editor)
    end = await editor.progressed("end")
    seen = editor.progress()
    assert {each["token"] for each in seen} == {end["token"]}
    assert seen[0]["value"]["kind"] == "begin"
    assert seen[0]["value"]["cancellable"] is True
    assert end["value"]["message"].startswith("Renamed it. — 1 file changed")
    assert all("\n" not in each["value"].get("message", "") for each in seen)


async def test_cancelling_the_progress_stops_the_run(editor):
    session = await held(editor)
    token = (await editor.progressed("begin"))["token"]
    editor.client.notify("window/workDoneProgress/cancel", {"token": token})
    assert (await editor.progressed("end"))["value"]["message"] == "stopped"
    await editor.told("stopped")
    assert (await editor.client.request("agent/status", {"sessionId": session}))["busy"] is False


async def test_somebody_elses_token_stops_nothing(editor):
    session = await held(editor)
    editor.client.notify("window/workDoneProgress/cancel", {"token": "not ours"})
    assert (await editor.client.request("agent/status", {"sessionId": session}))["busy"] is True
    await editor.run("lspAgent.stop")
    await editor.told("stopped")


async def test_a_token_of_the_command_serves_where_the_editor_makes_none_with_us(home):
    async with joined(home / "s.sock", home / "project", "emacs") as editor:
        await editor.run("lspAgent.ask", "hello", workDoneToken="mine")
        await editor.progressed("end", "You said")
        assert {each["token"] for each in editor.progress()} == {"mine"}


async def test_an_editor_that_refuses_the_token_gets_no_progress_and_its_answer(editor):
    del editor.client.handlers["window/workDoneProgress/create"]
    await editor.run("lspAgent.ask", "hello")
    await editor.told("You said: hello")
    assert editor.progress() == []


async def test_a_run_is_stopped_by_a_code_action(editor):
    uri = editor.open(editor.file)
    assert "Agent: stop" not in [each["title"] for each in await editor.actions(uri)]
    await held(editor)
    await editor.act(uri, "Agent: stop")
    await editor.told("stopped")


async def test_a_dismissed_question_is_answered_by_a_code_action(editor):
    _, uri = await asked_to_rename(editor)
    await editor.act(uri, "Agent: Allow once")
    await editor.told("Renamed it.")
    assert "new_name" in editor.text(uri)


async def test_a_dismissed_question_is_shown_again_on_demand(editor):
    _, uri = await asked_to_rename(editor)
    editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
    await editor.act(uri, "Agent: show the question again")
    await editor.told("Renamed it.")
    assert "new_name" in editor.text(uri)


async def test_a_question_nobody_answers_on_screen_is_answered_by_a_command_and_taken_away(editor):
    never = asyncio.Event()
    editor.answer(lambda _params: never.wait())
    _, uri = await asked_to_rename(editor)
    assert (await editor.run("lspAgent.reject"))["accepted"] is True
    await editor.client.until(lambda m: m.get("method") == "$/cancelRequest")
    await editor.progressed("end")
    assert editor.text(uri) == CODE
    never.set()


async def test_a_rejection_with_a_message_goes_to_the_model_and_the_run_goes_on(editor):
    _, uri = await asked_to_rename(editor)
    await editor.run("lspAgent.reject", None, None, "not that file")
    await editor.told("Renamed it.")  # the script's next answer
    assert editor.text(uri) == CODE


async def test_accepting_where_nothing_is_asked_says_so(editor):
    assert (await editor.run("lspAgent.accept"))["accepted"] is False
    await editor.told("no question waits")
    with pytest.raises(Failed):
        await editor.run("lspAgent.accept", "some-id", "reject_once")


async def test_the_transcript_is_a_file_of_the_state_directory_that_follows_the_run(editor, home):
    editor.open(editor.file)
    session = await held(editor)
    shown = await editor.run("lspAgent.transcript")
    path = transcript_of(home, session)
    assert shown == {"uri": path.as_uri(), "shown": True}
    params = (await editor.client.until(lambda m: m.get("method") == "window/showDocument"))["params"]
    assert params["uri"] == path.as_uri()
    text = await until_file(path, "Working on it.")
    assert "## You" in text
    assert "writing (" in text
    await editor.run("lspAgent.stop")
    await editor.told("stopped")
    await until_file(path, "*")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list((home / "project").rglob("*.md"))


async def test_the_transcript_says_what_waits_and_takes_the_answer(editor, home):
    session, uri = await asked_to_rename(editor)
    await editor.run("lspAgent.transcript")
    path = transcript_of(home, session)
    text = await until_file(path, "Waiting for your permission")
    editor.client.open_document(path.as_uri(), text, language="markdown")
    titles = [each["title"] for each in await editor.actions(path.as_uri())]
    assert any(title.startswith("Agent: Allow once") for title in titles)
    assert "Agent: explain" not in titles
    await editor.act(path.as_uri(), "Agent: Allow once")
    text = await until_file(path, "Renamed it.")
    assert "new_name" in editor.text(uri)
    deadline = asyncio.get_running_loop().time() + 10
    while "Waiting" in path.read_text():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


async def test_the_transcript_is_offered_once_after_the_first_run(editor):
    editor.answer(lambda params: {"title": "Open transcript"} if "opened as a document" in params["message"] else None)
    await editor.run("lspAgent.ask", "hello")
    await editor.client.until(lambda m: m.get("method") == "window/showDocument")
    await editor.run("lspAgent.ask", "again")
    await editor.told("You said: again")
    offers = [m for m in editor.client.messages if m.get("method") == "window/showMessageRequest"]
    assert len(offers) == 1


async def test_an_offer_on_the_screen_makes_way_for_a_permission(editor):
    never = asyncio.Event()
    editor.answer(lambda params: params["actions"][0] if params["message"].startswith("Edit") else never.wait())
    await editor.run("lspAgent.ask", "hello")
    await editor.asked("opened as a document")
    _, uri = await asked_to_rename(editor)
    await editor.told("Renamed it.")
    assert "new_name" in editor.text(uri)
    never.set()


async def test_a_comment_in_the_buffer_is_an_instruction(editor):
    editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
    uri = editor.open(editor.file, f"# agent: rename the function\n{CODE}")
    await editor.act(uri, "Agent: do this: rename the function", line=0)
    await editor.told("Renamed it.")
    assert "def new_name" in editor.text(uri)
    assert not any(each["title"].startswith("Agent: do this") for each in await editor.actions(uri, line=1))


async def test_the_prompt_document_is_opened_and_sent_unsaved_and_emptied(editor, home):
    uri = editor.open(editor.file)
    shown = await editor.act(uri, "Agent: edit with an instruction")
    path = home / "data" / "prompt.md"
    assert shown["uri"] == path.as_uri()
    editor.client.open_document(path.as_uri(), path.read_text(), language="markdown")
    editor.client.change_document(path.as_uri(), path.read_text() + "rename the function\n")
    editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
    await editor.act(path.as_uri(), f"Agent: send (about {editor.file})")
    await editor.told("Renamed it.")
    assert "def new_name" in editor.text(uri)
    assert "rename" not in editor.text(path.as_uri())
    with pytest.raises(Failed, match="empty"):
        await editor.run("lspAgent.send")


async def test_a_prompt_for_a_busy_run_joins_it_and_whoever_wants_can_queue_it(editor):
    session, uri = await asked_to_rename(editor)
    assert (await editor.run("lspAgent.steer", "and be quick"))["state"] == "queued"
    await editor.told("at the next step")
    queued = await editor.run("lspAgent.ask", {"prompt": "something else", "whenBusy": "queue"})
    assert (queued["sessionId"], queued["state"]) == (session, "queued")
    await editor.act(uri, "Agent: Allow once")
    await editor.told("You said: something else")
    messages = (await editor.client.request("agent/session/read", {"sessionId": session}))["messages"]
    said = [part["text"] for m in messages if m["role"] == "user" for part in m["parts"] if part["type"] == "text"]
    assert [text.splitlines()[0] for text in said] == ["rename it", "and be quick", "something else"]
    with pytest.raises(Failed, match="whenBusy"):
        await editor.run("lspAgent.ask", {"prompt": "x", "whenBusy": "later"})


async def test_undo_takes_the_newest_run_back_open_or_closed(editor):
    editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
    _, uri = await asked_to_rename(editor)
    await editor.told("Renamed it.")
    assert (await editor.run("lspAgent.undo"))["undone"] is True
    assert "1 change undone" in await editor.told("undone")
    assert editor.text(uri) == CODE
    assert (await editor.run("lspAgent.redo"))["redone"] is True
    editor.client.close_document(uri)
    (editor.project / editor.file).write_text(CODE.replace("old_name", "new_name"))
    assert (await editor.run("lspAgent.undo"))["undone"] is True
    assert (editor.project / editor.file).read_text() == CODE


async def test_a_failed_run_is_told_in_words(editor):
    await editor.run("lspAgent.ask", "fail")
    message = await editor.client.until(
        lambda m: m.get("method") == "window/showMessage" and "No key" in m["params"]["message"]
    )
    assert message["params"]["type"] == 1


async def test_mode_model_and_session_are_set_by_argument_or_by_choice(editor):
    result = await editor.run("lspAgent.mode")
    assert result["value"] == "ask"
    assert "plan" in result["choices"]
    await editor.asked("without asking")
    await editor.run("lspAgent.mode", "accept-edits")
    await editor.told("mode is accept-edits")
    uri = editor.open(editor.file)
    first = (await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri}))["sessionId"]
    await editor.told("Renamed it.")
    assert not any(
        m["params"]["message"].startswith("Edit")
        for m in editor.client.messages
        if m.get("method") == "window/showMessageRequest"
    )
    assert (await editor.run("lspAgent.mode"))["value"] == "accept-edits"
    elsewhere = {"sessionId": first, "optionId": "mode", "value": "plan"}
    await editor.client.request("agent/session/configure", elsewhere)
    assert (await editor.run("lspAgent.mode"))["value"] == "plan"
    assert (await editor.run("lspAgent.model"))["value"] == "scripted/script"
    with pytest.raises(Failed):
        await editor.run("lspAgent.model", "no/such")
    await editor.run("lspAgent.sessions", "new")
    second = (await editor.run("lspAgent.ask", "hello"))["sessionId"]
    assert second != first
    await editor.run("lspAgent.sessions", first)
    assert (await editor.run("lspAgent.ask", "hello"))["sessionId"] == first


async def test_a_choice_among_sessions_is_one_question(editor):
    await editor.run("lspAgent.ask", "hello one")
    await editor.told("You said")
    editor.answer(lambda params: {"title": "A new one"} if "conversation" in params["message"] else None)
    assert (await editor.run("lspAgent.sessions"))["sessions"]
    await editor.told("starts a new conversation")


async def test_losing_the_editor_cancels_nothing(home):
    async with joined(home / "s.sock", home / "project", "helix") as editor:
        session = await held(editor)
    async with joined(home / "s.sock", home / "project", "helix") as other:
        assert (await other.client.request("agent/status", {"sessionId": session}))["busy"] is True
        await other.run("lspAgent.sessions", session)
        assert (await other.progressed(""))["value"]["kind"] == "begin"
        await other.run("lspAgent.stop")
        await other.told("stopped")


async def test_the_empty_prompt_and_unknown_commands_are_refused(editor):
    for command, arguments in (("lspAgent.ask", []), ("lspAgent.ask", ["  "]), ("lspAgent.nothing", [])):
        with pytest.raises(Failed) as refused:
            await editor.run(command, *arguments)
        assert refused.value.code == -32602


async def test_a_deleted_conversation_is_followed_by_a_new_one(editor):
    first = (await editor.run("lspAgent.ask", "hello"))["sessionId"]
    await editor.told("You said: hello")
    await editor.client.request("agent/session/delete", {"sessionId": first})
    second = (await editor.run("lspAgent.ask", "again"))["sessionId"]
    assert second != first
    await editor.told("You said: again")
    with pytest.raises(Failed):
        await editor.run("lspAgent.transcript", first)


async def test_a_line_without_a_selection_is_named_in_the_prompt(editor):
    uri = editor.open(editor.file)
    result = await editor.run(
        "lspAgent.ask",
        {
            "prompt": "explain",
            "uri": uri,
            "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 0}},
        },
    )
    await editor.told("You said")
    messages = (await editor.client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert "line 2 of the attached file" in messages[0]["parts"][0]["text"]


async def test_a_new_workspace_is_greeted_once_and_a_plugin_never(tmp_path):
    (tmp_path / "project").mkdir()
    env = configure(tmp_path)
    greetings = []
    for number, agent in enumerate((None, {}, {})):
        async with await Client.start(tmp_path, env=env, cwd=tmp_path / "project") as client:
            await client.initialize(agent=agent, root=tmp_path / "project")
            bare = Editor(client, tmp_path / "project", "plain")
            await bare.actions(bare.open("a.py"))
            if number == 1:
                await bare.told("ready. Ask by")
            await client.request("shutdown")
            greetings.append(sum("ready. Ask by" in str(message) for message in client.messages))
    assert greetings == [0, 1, 0]


async def test_a_question_of_an_editor_that_left_is_asked_in_the_one_that_goes_on(home):
    async with joined(home / "s.sock", home / "project", "helix") as editor:
        editor.file = "left.py"
        session, uri = await asked_to_rename(editor)
    async with joined(home / "s.sock", home / "project", "helix") as other:
        other.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
        other.client.open_document(uri, CODE)
        await other.run("lspAgent.sessions", session)
        await other.told("Renamed it.")
        assert "new_name" in (home / "project" / "left.py").read_text() + other.text(uri)


async def test_a_state_directory_in_the_repository_gets_no_document_and_the_run_goes_on(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    env = {**configure(tmp_path), "LSP_AGENT_DATA_DIR": str(project / "state")}
    async with await Client.start(tmp_path, env=env, cwd=project) as client:
        await client.initialize(agent={}, root=project)
        bare = Editor(client, project, "bare")
        await bare.run("lspAgent.ask", "hello")
        await bare.told("You said: hello")
        for command in ("lspAgent.transcript", "lspAgent.prompt"):
            with pytest.raises(Failed, match="outside the workspace"):
                await bare.run(command)
        assert await bare.actions(bare.open("a.py"))
        assert not list(project.rglob("*.md"))
