"""A real Vim with ALE and no plugin of ours (Debian: vim vim-ale). ALE can ask and answer, but not apply edits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.client import isolated_environment
from tests.tier0.plain import block_of, configure

ROOT = Path(__file__).parents[2]
VIM = shutil.which("vim")
ALE = Path("/usr/share/vim-ale/plugin/ale.vim")
SCRIPT = Path(__file__).with_name("agent.vim")

pytestmark = [
    pytest.mark.editor,
    pytest.mark.process,
    pytest.mark.timeout(120),
    pytest.mark.skipif(VIM is None or not ALE.exists(), reason="not installed: apt-get install vim vim-ale"),
]


def test_in_vim_a_question_is_answered_by_a_code_action_and_an_open_file_stays_as_it_is(tmp_path):
    project, report = tmp_path / "project", tmp_path / "report"
    project.mkdir()
    (tmp_path / "home").mkdir()
    code = "def old_name():\n    return 1\n# agent: rename the function\n"
    (project / "fix.py").write_text(code)
    page = tmp_path / "page.vim"
    page.write_text(block_of("vim.md", "vim"))
    env = {
        **isolated_environment(tmp_path / "home", configure(tmp_path)),
        "AGENT_PAGE": str(page),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AGENT_PROJECT": str(project),
        "AGENT_REPORT": str(report),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TERM": "dumb",
    }
    command = [str(VIM), "-u", "NONE", "-N", "-es", "-S", str(SCRIPT)]
    subprocess.run(command, env=env, cwd=project, capture_output=True, timeout=90, stdin=subprocess.DEVNULL)
    assert report.read_text().splitlines() == [
        "chose Agent: do this: rename the function",
        "chose Agent: Allow once: Edit fix.py (+1 −1)",
        "said Agent: Renamed it.",
        "first line def old_name():",
    ]
    assert (project / "fix.py").read_text() == code
