"""A real Emacs with eglot and no plugin of ours (Debian: emacs-nox elpa-eglot)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.client import isolated_environment
from tests.tier0.plain import block_of, configure

ROOT = Path(__file__).parents[2]
EMACS = shutil.which("emacs")
LISP = Path(__file__).with_name("agent.el")

pytestmark = [
    pytest.mark.editor,
    pytest.mark.process,
    pytest.mark.timeout(180),
    pytest.mark.skipif(EMACS is None, reason="Emacs is not installed: apt-get install emacs-nox elpa-eglot"),
]


def emacs(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # HOME is not the project folder: eglot does not find a project under an abbreviated path
    project = home / "project"
    project.mkdir(exist_ok=True)
    page = home / "page.el"
    page.write_text(block_of("emacs.md", "elisp"))
    env = {
        **isolated_environment(home / "home", configure(home)),
        "AGENT_PAGE": str(page),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AGENT_PROJECT": str(project),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TERM": "dumb",
    }
    command = [str(EMACS), "-q", "--batch", "-l", str(LISP), *arguments]
    return subprocess.run(command, env=env, cwd=project, capture_output=True, text=True, timeout=150)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "test",
    [
        "a-diagnostic-is-fixed-by-a-code-action-with-an-approval-and-undone",
        "the-edit-of-the-agent-is-one-step-of-undo-and-what-was-typed-before-stays",
        "a-run-is-stopped-by-a-code-action",
        "a-dismissed-question-is-answered-by-a-code-action",
        "the-transcript-is-a-file-whose-place-is-told",
    ],
)
def test_in_emacs(home, test):
    done = emacs(home, "--eval", f"(ert-run-tests-batch-and-exit '(member {test}))")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert "1 unexpected" not in done.stderr
    assert f"passed  1/1  {test}" in done.stderr, done.stderr[-3000:]
