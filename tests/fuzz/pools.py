"""The names that are real at the moment: sessions, runs, open questions, messages, files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = 200


@dataclass
class Pools:
    """Filled by what the server says, drawn from by the generator."""

    project: Path
    sessions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=lambda: ["run-first"])
    permissions: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)
    started: int = 0
    """Runs that were accepted."""
    made: int = 0
    """Sessions that were made."""
    _numbers: int = 0

    def __post_init__(self) -> None:
        (self.project / "sub").mkdir(parents=True, exist_ok=True)
        for name in ("a.py", "sub/b.txt", "ü ñ.md"):
            (self.project / name).write_text("one\ntwo é\nthree \U0001f600\n")
        (self.project / "binary.bin").write_bytes(bytes(range(256)) * 8)
        base = self.project.as_uri()
        names = ("a.py", "sub/b.txt", "%C3%BC%20%C3%B1.md", "binary.bin", "sub", "missing.py", "f0.txt", "a.py/../a.py")
        self.uris = [f"{base}/{name}" for name in names] + [
            *("file:///etc/passwd", "file:///dev/zero", "file:///proc/self/environ", "file:///", "file://host/share/x"),
            *(
                "untitled:Untitled-1",
                "http://[::1",
                "file:///a%00b",
                "file:///%ff%fe",
                "file:///C:/x.py",
                "x",
                "file:x",
            ),
            *("file:///" + "d/" * 600, "file:///" + "n" * 5000, "FILE:///etc/hosts", f"{base}/../../../etc/passwd"),
        ]

    def new_run_id(self) -> str:
        """One nobody has used."""
        self._numbers += 1
        return f"run-{self._numbers}"

    def learn(self, method: str, result: Any) -> None:
        """Look at the result of a request of `method`."""
        if not isinstance(result, dict):
            return
        session = result.get("sessionId")
        if isinstance(session, str) and session not in self.sessions[-KEPT:]:
            self._keep(self.sessions, session)
            self.made += 1
        if method in ("agent/run", "agent/steer", "workspace/executeCommand") and "state" in result:
            self.started += 1
            for names, key in ((self.runs, "runId"), (self.messages, "messageId")):
                if isinstance(result.get(key), str):
                    self._keep(names, result[key])
        if isinstance(result.get("nextCursor"), str):
            self._keep(self.cursors, result["nextCursor"])

    def learn_event(self, update: dict[str, Any]) -> None:
        """Look at an `agent/event`."""
        if isinstance(update.get("requestId"), str):
            self._keep(self.permissions, update["requestId"])
        if isinstance(update.get("messageId"), str) and self.messages[-1:] != [update["messageId"]]:
            self._keep(self.messages, update["messageId"])

    def _keep(self, names: list[str], name: str) -> None:
        names.append(name)
        del names[:-KEPT]
