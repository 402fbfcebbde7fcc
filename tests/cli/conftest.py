import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.client import isolated_environment

CONFIG = """
[models]
large = "play/demo"
[providers.play]
type = "scripted"
script = "script.json"
[[providers.play.models]]
id = "demo"
[permissions]
mode = "{mode}"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cli/" in item.path.as_posix():
            item.add_marker(pytest.mark.process)


@dataclass
class Shell:
    """A user at a terminal: a home, a project to stand in, and `lsp-agent`."""

    home: Path
    project: Path

    def script(self, *turns: list[dict[str, object]], mode: str = "accept-edits") -> None:
        """What the model says, one list of steps a request."""
        aside = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
        (self.home / "script.json").write_text(json.dumps({"turn": [aside, *({"do": steps} for steps in turns)]}))
        (self.home / "config.toml").write_text(CONFIG.format(mode=mode))

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        return isolated_environment(self.home, {"LSP_AGENT_CONFIG": str(self.home / "config.toml"), **env})

    def start(self, *arguments: str, cwd: Path | None = None, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "lsp_agent", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd or self.project,
            env=self.environment(env),
        )

    def run(self, *arguments: str, cwd: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, cwd=cwd, **env)
        out, err = process.communicate(timeout=30)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.write_text(text)
        return path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    project = tmp_path / "project"
    project.mkdir()
    made = Shell(tmp_path, project)
    made.script([{"text": "Hello there.", "deltas": 3}])
    return made
