"""What the attachments `changes` and `terminal` show (PROTOCOL 13): a run's changes as a diff, a command's output.

Both are taken when the run is accepted. The output of a command is data from outside and is marked as such.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.server.core import Core
from lsp_agent.untrusted import clean, fence
from lsp_agent.workspace.attachments import Item

MAX_OUTPUT_CHARS = 100_000
"""Of a command's output the end is attached."""
MAX_DIFF_CHARS = 500_000

MAX_SESSIONS = 1_000
Provide = Callable[[Item], Awaitable[str]]


class LastChanges:
    """The run that changed files last, by session: what the mention `@changes` means. Fed by `Hub.listen`."""

    def __init__(self) -> None:
        self._runs: dict[str, str] = {}

    def note(self, session_id: str, update: Mapping[str, Any]) -> None:
        """An event listener: looks at `changes_update`. Never waits."""
        if update.get("sessionUpdate") != "changes_update":
            return
        hunks = [hunk for file in update["files"] for hunk in file["hunks"] if hunk["state"] == "pending"]
        run_ids = [hunk["runId"] for hunk in hunks if hunk["runId"] is not None]
        if run_ids:
            self._runs.pop(session_id, None)
            self._runs[session_id] = run_ids[-1]
        while len(self._runs) > MAX_SESSIONS:
            del self._runs[next(iter(self._runs))]

    def of(self, session_id: str) -> str | None:
        """The run's id; None where nothing was changed in this process, or by a run without an id."""
        return self._runs.get(session_id)


def providers_of(core: Core, session_id: str | None) -> Mapping[str, Provide]:
    """For `AttachmentContext.providers`. `session_id`: the session of the prompt; None = a new one.

    Each raises ValueError with a sentence when there is no such run or terminal.
    """

    async def changes(item: Item) -> str:
        return await _changes(core, str(item["runId"]))

    async def terminal(item: Item) -> str:
        return _terminal(core, session_id, str(item["terminalId"]))

    return {"changes": changes, "terminal": terminal}


async def _changes(core: Core, run_id: str) -> str:
    review = core.changes.review
    stored = await review.store.run(run_id)
    if stored is None:
        raise ValueError("there is no such run")
    files = await review.files(stored.run.session_id, run_id=run_id)
    text = "\n".join([_diff(core, file) for file in files])
    if len(text) > MAX_DIFF_CHARS:
        text = f"{text[:MAX_DIFF_CHARS]}\n… [the rest of the changes is left out] …"
    return text or "This run changed no files."


def _diff(core: Core, file: Mapping[str, Any]) -> str:
    """One file's hunks, like a unified diff; what the user decided about a hunk stands behind its place."""
    name = clean(core.workspace.place(file["uri"]).shown)
    old = "/dev/null" if file["kind"] == "create" else name
    new = "/dev/null" if file["kind"] == "delete" else name
    return "\n".join([f"--- {old}", f"+++ {new}", *[_hunk(hunk) for hunk in file["hunks"]]])


def _hunk(hunk: Mapping[str, Any]) -> str:
    removed, added = (hunk[name].splitlines() for name in ("oldText", "newText"))
    first = hunk["range"]["start"]["line"] + 1
    now = hunk.get("newRange", hunk["range"])["start"]["line"] + 1
    head = f"@@ -{first},{len(removed)} +{now},{len(added)} @@ {hunk['state']}"
    return "\n".join([head, *[f"-{line}" for line in removed], *[f"+{line}" for line in added]])


def _terminal(core: Core, session_id: str | None, terminal_id: str) -> str:
    jobs = core.jobs
    try:
        if session_id is None:
            raise RequestRejected("InvalidParams", "a new session has no terminals")
        end = jobs.read_terminal(session_id, terminal_id, 0)["nextOffset"]
        shown = jobs.read_terminal(session_id, terminal_id, max(0, end - MAX_OUTPUT_CHARS))
    except RequestRejected as error:
        raise ValueError(str(error)) from error
    state = shown["status"] if shown["exitCode"] is None else f"exit code {shown['exitCode']}"
    start = "… [the beginning is left out] …\n" if shown["offset"] > 0 or shown["truncated"] else ""
    text = f"$ {shown['command']}\n{start}{shown['text'].rstrip()}\n({state})"
    return fence(text, f"terminal {terminal_id}", lambda: secrets.token_hex(6))
