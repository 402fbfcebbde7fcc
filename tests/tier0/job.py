"""A whole job in an editor with no plugin, step by step, and a client that keeps what it asked for the checker.

Each step does what a user of that editor would do, with what that editor has: where it cannot apply edits the file is
closed, where it has no progress none is waited for.
"""

from pathlib import Path
from typing import Any

from tests.harness.client import Client
from tests.tier0.conformance import violations
from tests.tier0.plain import CODE, Editor, capabilities
from tests.tier0.said import Said

NEW = CODE.replace("old_name", "new_name")


class AskingClient(Client):
    """A client that remembers its requests by id, so that an answer can be judged by what was asked."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: dict[Any, tuple[str, Any]] = {}
        self.everything: list[dict[str, Any]] = []
        """All messages of the server, also those a step has forgotten (`recorded.clear()`)."""

    def _dispatch(self, message: dict[str, Any]) -> None:
        self.everything.append(message)
        super()._dispatch(message)

    def begin(self, method: str, params: Any = None) -> Any:
        number, future = super().begin(method, params)
        self.asked[number] = (method, params or {})
        return number, future


class Job:
    """The steps of one editor. `do_all` is the job; `faults` what the server did that the editor did not advertise."""

    def __init__(self, editor: Editor, state: Path) -> None:
        self.editor = editor
        self.state = state
        self.said = Said(capabilities(editor.name)["capabilities"])
        self.can_edit = self.said.has("workspace.applyEdit")

    @property
    def everything(self) -> list[dict[str, Any]]:
        """Every message of the server so far."""
        client = self.editor.client
        assert isinstance(client, AskingClient)
        return client.everything

    def faults(self) -> list[str]:
        """What was used without being advertised."""
        client = self.editor.client
        assert isinstance(client, AskingClient)
        return violations(capabilities(self.editor.name)["capabilities"], client.everything, client.asked)

    async def do_all(self) -> None:
        uri = await self.fix_a_problem()
        await self.review(uri)
        await self.ask_for_tests()
        await self.answer_a_question()
        await self.run_a_command()
        await self.write_a_prompt(uri)
        await self.stop(uri)
        await self.rename_and_list()
        await self.fail()

    async def fix_a_problem(self) -> str:
        """By code action, with an approval; in the open document, or on disk where it cannot be edited."""
        editor = self.editor
        editor.answer(lambda params: params["actions"][0] if "Edit" in params["message"] else None)
        uri = editor.open(f"{editor.name}.py")
        result = await editor.act(uri, "Agent: fix this problem", problems=("rename old_name",))
        assert result["state"] == "running"
        await editor.told("Renamed it.")
        if self.can_edit:
            assert editor.text(uri) == NEW
            return uri
        assert editor.text(uri) == CODE
        editor.client.close_document(uri)
        await editor.run("lspAgent.sessions", "new")
        editor.client.recorded.clear()
        await editor.run("lspAgent.ask", {"prompt": "rename it", "uri": uri})
        await editor.told("Renamed it.")
        text = (editor.project / f"{editor.name}.py").read_text()
        assert text == NEW
        editor.client.open_document(uri, text)
        return uri

    async def review(self, uri: str) -> None:
        """Hints, actions, lenses, a hover; take back, undo that, keep."""
        editor, client = self.editor, self.editor.client
        await self._hints(uri, 1)
        document = {"textDocument": {"uri": uri}}
        if self.said.at("textDocument.codeLens") is not None:
            assert await client.request("textDocument/codeLens", document)
        if self.said.at("textDocument.hover") is not None:
            assert await client.request("textDocument/hover", {**document, "position": {"line": 0, "character": 1}})
        if self.can_edit:
            await editor.act(uri, "Agent: take back this change")
            assert editor.text(uri) == CODE
            client.recorded.clear()
            await editor.run("lspAgent.undo")
            assert editor.text(uri) == NEW
            await self._hints(uri, 1)
        await editor.act(uri, "Agent: keep this change")
        await self._hints(uri, 0)
        await editor.run("lspAgent.undo")
        await editor.run("lspAgent.redo")

    async def _hints(self, uri: str, count: int) -> None:
        client = self.editor.client
        await client.until(
            lambda m: (
                m.get("method") == "textDocument/publishDiagnostics"
                and m["params"]["uri"] == uri
                and len(m["params"]["diagnostics"]) == count
            )
        )

    async def ask_for_tests(self) -> None:
        """A comment marker, and the other actions of a place."""
        uri = self.editor.open(f"more-{self.editor.name}.py", f"# agent: greet me\n{CODE}")
        await self.editor.act(uri, "Agent: do this: greet me")
        await self.editor.told("You said: greet me")
        for title in ("Agent: explain", "Agent: write tests", "Agent: improve this code"):
            await self.editor.act(uri, title, line=1)
        await self.editor.told("You said: Improve this code")

    async def answer_a_question(self) -> None:
        """The model asks two things at once; each is a message with buttons."""
        wanted = {"Which database?": "SQLite", "With tests?": "Yes"}

        def reply(params: dict[str, Any]) -> Any:
            choice = next((answer for part, answer in wanted.items() if part in params["message"]), None)
            return {"title": choice} if choice else None

        self.editor.answer(reply)
        named = {"sessionId": (await self.editor.run("lspAgent.ask", "ask me first"))["sessionId"]}
        await self.editor.told("It said:")
        assert "SQLite" in str(await self.editor.client.request("agent/session/read", named))

    async def run_a_command(self) -> None:
        """A terminal of the agent, refused on the screen and then allowed by a command."""
        self.editor.answer(lambda _: None)
        await self.editor.run("lspAgent.ask", "make a mess")
        await self.editor.asked("mess")
        assert (await self.editor.run("lspAgent.permissions"))["pending"]
        assert (await self.editor.run("lspAgent.accept"))["accepted"] is True
        await self.editor.told("from the terminal")

    async def write_a_prompt(self, uri: str) -> None:
        """The prompt document, with a mention completed; the transcript, opened."""
        editor, client = self.editor, self.editor.client
        await editor.act(uri, "Agent: edit with an instruction")
        path = self.state / "prompt.md"
        client.open_document(path.as_uri(), path.read_text(), language="markdown")
        written = client.change_document(path.as_uri(), path.read_text() + "good morning @")
        lines = written.text.split("\n")
        here = {"line": len(lines) - 1, "character": len(lines[-1])}
        await client.request("textDocument/completion", {"textDocument": {"uri": path.as_uri()}, "position": here})
        await editor.act(path.as_uri(), "Agent: send")
        await editor.told("You said: good morning")
        client.close_document(path.as_uri())
        await editor.act(uri, "Agent: open the transcript")

    async def stop(self, uri: str) -> None:
        """By a code action; and by the progress's button where there is progress."""
        await self._hold()
        await self.editor.act(uri, "Agent: stop")
        await self.editor.told("stopped")
        if self.said.has("window.workDoneProgress"):
            await self._hold()
            token = (await self.editor.progressed("begin"))["token"]
            self.editor.client.notify("window/workDoneProgress/cancel", {"token": token})
            await self.editor.told("stopped")

    async def _hold(self) -> None:
        """A run that waits for ever; what came before it is forgotten."""
        editor = self.editor
        editor.client.recorded.clear()
        session = (await editor.run("lspAgent.ask", "hold"))["sessionId"]
        if self.said.has("window.workDoneProgress"):
            await editor.progressed("", "writing")
        else:
            assert (await editor.client.request("agent/status", {"sessionId": session}))["busy"]

    async def rename_and_list(self) -> None:
        """A new title for the conversation, and everything that can be chosen."""
        editor = self.editor
        sessions = (await editor.run("lspAgent.sessions"))["sessions"]
        named = {"sessionId": sessions[0]["sessionId"], "title": f"named by {editor.name}"}
        await editor.client.request("agent/session/rename", named)
        assert (await editor.run("lspAgent.sessions"))["sessions"][0]["title"] == named["title"]
        for command in ("status", "model", "mode", "permissions"):
            await editor.run(f"lspAgent.{command}")
        await editor.run("lspAgent.mode", "plan")
        await editor.told("mode is plan")

    async def fail(self) -> None:
        """A run that ends in an error, and the progress of every run at its end."""
        editor = self.editor
        await editor.run("lspAgent.ask", "fail please")
        await editor.told("No key")
        if self.said.has("window.workDoneProgress"):

            def all_ended(_: object) -> bool:
                kinds = [m["params"]["value"]["kind"] for m in self.everything if m.get("method") == "$/progress"]
                return kinds.count("begin") == kinds.count("end") >= 1

            await editor.client.until(all_ended)
