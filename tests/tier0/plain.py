"""A plain LSP editor for the tests: the capabilities of a real one, no `agent` block, commands and code actions."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness.client import Client

FIXTURES = Path(__file__).parents[1] / "fixtures" / "capabilities"
EDITORS = sorted(path.stem for path in FIXTURES.glob("*.json"))
SCRIPT = """
[[turn]]
when = "hold"
after = "user"
times = 0
do = [ { text = "Working on it. ", deltas = 3 }, { hold = "never" } ]

[[turn]]
when = "fail"
after = "user"
times = 0
do = [ { error = { kind = "ProviderAuth", title = "No key", message = "The key is missing", status = 401 } } ]

[[turn]]
when = "ask me"
after = "user"
times = 0
do = [ { tool = "question", input = { questions = [
  { type = "single_choice", text = "Which database?", description = "The schema differs.", choices = [
    { id = "pg", label = "Postgres", description = "a server" },
    { id = "lite", label = "SQLite", description = "a file" } ] },
  { type = "yes_no", text = "With tests?", description = "They take time." } ] } } ]

[[turn]]
when = "make a mess"
after = "user"
times = 0
do = [ { tool = "bash", input = { command = "mkdir -p mess && echo from the terminal", description = "a folder" } } ]

[[turn]]
when = "leave a note"
after = "user"
times = 0
do = [ { tool = "write", input = { file_path = "note.py", content = "# remember\\nx = 2\\n" } } ]

[[turn]]
when = "ask me|make a mess"
after = "tool"
times = 0
do = [ { text = "It said: {{tool_result}}" } ]

[[turn]]
when = "rename"
after = "user"
times = 0
do = [ { tool = "view", input = { file_path = "{{attachment_path}}" } } ]

[[turn]]
when = "rename"
after = "tool"
do = [
  { text = "I will rename it. ", deltas = 3 },
  { tool = "edit", input = { file_path = "{{attachment_path}}", old_string = "old_name", new_string = "new_name" } },
  { usage = { input = 1200, output = 30 } },
]

[[turn]]
after = "tool"
times = 0
do = [ { text = "Renamed it.\\n\\nAnd a second line." } ]

[[turn]]
after = "user"
times = 0
do = [ { text = "You said: {{last_user}}" } ]
"""
CODE = "def old_name():\n    return 1\n"


def configure(home: Path) -> dict[str, str]:
    """Write the scripted configuration; the environment for the server."""
    (home / "script.toml").write_text(SCRIPT)
    config = home / "config.toml"
    config.write_text(
        '[models]\nlarge = "scripted/script"\n\n[providers.scripted]\ntype = "scripted"\n'
        f'script = "{home}/script.toml"\n'
    )
    return {"LSP_AGENT_CONFIG": str(config)}


class Editor:
    """One connection without an `agent` block. `sent` is every method the server has used towards it."""

    def __init__(self, client: Client, project: Path, name: str) -> None:
        self.client = client
        self.project = project
        self.name = name

    @property
    def sent(self) -> set[str]:
        return {message["method"] for message in self.client.messages if "method" in message}

    def open(self, name: str, text: str = CODE, language: str = "python") -> str:
        path = self.project / name
        path.write_text(text)
        self.client.open_document(path.as_uri(), text, language=language)
        return path.as_uri()

    def text(self, uri: str) -> str:
        return self.client.documents.open[uri].text

    async def actions(self, uri: str, line: int = 0, problems: tuple[str, ...] = (), only: Any = None) -> list[Any]:
        span = {"start": {"line": line, "character": 0}, "end": {"line": line, "character": 3}}
        context = {"diagnostics": [{"range": span, "message": text} for text in problems]}
        if only is not None:
            context["only"] = only
        params = {"textDocument": {"uri": uri}, "range": span, "context": context}
        return list(await self.client.request("textDocument/codeAction", params))

    async def act(self, uri: str, title: str, **how: Any) -> Any:
        """Choose the code action whose title begins with `title`, the way an editor does."""
        found = await self.actions(uri, **how)
        action = next((each for each in found if each["title"].startswith(title)), None)
        assert action is not None, f"{title!r} is not offered, only {[each['title'] for each in found]}"
        command = action["command"] if isinstance(action["command"], dict) else action
        return await self.run(command["command"], *command.get("arguments") or [])

    async def run(self, command: str, *arguments: Any, **more: Any) -> Any:
        params = {"command": command, "arguments": list(arguments), **more}
        return await self.client.request("workspace/executeCommand", params)

    async def told(self, part: str) -> str:
        """Wait for a `window/showMessage` that holds `part`."""
        message = await self.client.until(
            lambda m: m.get("method") == "window/showMessage" and part in m["params"]["message"]
        )
        return str(message["params"]["message"])

    def progress(self) -> list[dict[str, Any]]:
        """Every `$/progress` so far."""
        return [m["params"] for m in self.client.messages if m.get("method") == "$/progress"]

    async def progressed(self, kind: str, part: str = "") -> dict[str, Any]:
        """Wait for a `$/progress` of that kind (`""`: any) whose message holds `part`."""
        message = await self.client.until(
            lambda m: (
                m.get("method") == "$/progress"
                and kind in ("", m["params"]["value"]["kind"])
                and part in m["params"]["value"].get("message", "")
            )
        )
        return dict(message["params"])

    def answer(self, reply: Callable[[dict[str, Any]], Any]) -> None:
        """How the user answers `window/showMessageRequest`."""
        self.client.handlers["window/showMessageRequest"] = reply

    async def asked(self, part: str) -> dict[str, Any]:
        message = await self.client.until(
            lambda m: m.get("method") == "window/showMessageRequest" and part in m["params"]["message"]
        )
        return dict(message["params"])


def capabilities(name: str) -> dict[str, Any]:
    """What a real editor says in `initialize`."""
    return dict(json.loads((FIXTURES / f"{name}.json").read_text()))


async def introduce(client: Client, project: Path, name: str) -> Editor:
    """`initialize` as that editor does, without any option of ours."""
    fixture = capabilities(name)
    params = {
        "processId": None,
        "clientInfo": fixture["clientInfo"],
        "rootUri": project.as_uri(),
        "workspaceFolders": [{"uri": project.as_uri(), "name": project.name}],
        "capabilities": fixture["capabilities"],
    }
    client.server = await client.request("initialize", params)
    client.documents.encoding = client.server["capabilities"]["positionEncoding"]
    client.notify("initialized")
    return Editor(client, project, name)


@asynccontextmanager
async def joined(
    socket: Path, project: Path, name: str, connect: Callable[[Path], Awaitable[Client]] = Client.connect
) -> AsyncIterator[Editor]:
    """One more editor on a server that runs."""
    client = await connect(socket)
    try:
        yield await introduce(client, project, name)
    finally:
        await client.aclose()


def block_of(page: str, language: str) -> str:
    """The one block of code of a set-up page: what users paste is what the tests run."""
    text = (Path(__file__).parents[2] / "docs" / "editors" / page).read_text("utf-8")
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]


async def until_file(path: Path, part: str, timeout_s: float = 10.0) -> str:
    """Wait until a file holds a text."""
    deadline = time.monotonic() + timeout_s
    while True:
        text = path.read_text() if path.exists() else ""
        if part in text:
            return text
        assert time.monotonic() < deadline, f"{part!r} did not come into {path}:\n{text}"
        await asyncio.sleep(0.02)
