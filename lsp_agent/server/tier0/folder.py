"""The documents we write for an editor without a plugin: transcripts and the prompt. In the state directory, never in a
repository, readable by the user alone, replaced atomically so that no editor reads half a file.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from lsp_agent.config.paths import prepare_data_dir

TRANSCRIPTS_KEPT = 50
PROMPT_HEAD = (
    '<!-- Write below what the agent shall do. Then choose the code action "Agent: send", or run the command '
    "lspAgent.send. -->\n\n"
)


class Folder:
    """Raises: DataDirRefused (an AgentError) when there is no place outside the workspace; OSError when it is full."""

    def __init__(self, env: Mapping[str, str], roots: Iterable[Path]) -> None:
        self._data = prepare_data_dir(env, roots)

    @property
    def prompt(self) -> Path:
        """The prompt document."""
        return self._data / "prompt.md"

    def transcript(self, session_id: str) -> Path:
        """The transcript of a session. Session ids are ours: letters and digits."""
        return self._data / "transcripts" / f"{session_id}.md"

    def write(self, path: Path, text: str) -> None:
        """Replace a document. Waits for the disk: call it in a thread."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def write_transcript(self, session_id: str, text: str) -> None:
        """Replace a transcript; a new one makes the oldest of many go."""
        path = self.transcript(session_id)
        if not path.exists() and path.parent.is_dir():
            others = sorted(path.parent.glob("*.md"), key=lambda each: each.stat().st_mtime)
            for old in others[: max(len(others) - TRANSCRIPTS_KEPT + 1, 0)]:
                with contextlib.suppress(OSError):
                    old.unlink()
        self.write(path, text)

    def is_new(self, roots: Iterable[Path]) -> bool:
        """Whether this workspace is seen for the first time; it is not any more after the call."""
        name = hashlib.sha256("\0".join([str(root) for root in roots]).encode("utf-8", "surrogateescape")).hexdigest()
        mark = self._data / "greeted" / name[:32]
        if mark.exists():
            return False
        self.write(mark, "")
        return True

    def ready_prompt(self) -> None:
        """Make the prompt document if there is none."""
        if not self.prompt.exists():
            self.write(self.prompt, PROMPT_HEAD)

    def read_prompt(self) -> str:
        """The prompt document's text on disk; empty when there is none."""
        try:
            return self.prompt.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""


def prompt_of(text: str) -> str:
    """What the user wrote: the document without our comments."""
    lines = [line for line in text.splitlines() if not (line.startswith("<!--") and line.rstrip().endswith("-->"))]
    return "\n".join(lines).strip()
