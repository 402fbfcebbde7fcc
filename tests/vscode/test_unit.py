"""The extension's own checks, from here: generated types, lint, compiler, unit tests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.vscode.code_server import EXTENSION, NODE_VENV

pytestmark = [pytest.mark.editor, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_extension_passes_its_own(browser: Any, script: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{NODE_VENV / 'bin'}:{os.environ['PATH']}",
        "LSP_AGENT_TEST_PYTHON": sys.executable,
    }
    command = ["npm", "run", script]
    done = subprocess.run(command, cwd=EXTENSION, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
