import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("escape_harness.py")
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def stage_of():
    """A directory that a plain user may own too; not below a directory only root may enter."""
    made = []

    def make(owner: int) -> Path:
        path = Path(tempfile.mkdtemp(prefix="escape-", dir="/var/tmp")).resolve()
        os.chown(path, owner, owner)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the tiers are Linux's")
@pytest.mark.parametrize("kind", ["working", "reading"])
@pytest.mark.parametrize("user", ["this user", "nobody"])
@pytest.mark.parametrize("tier", ["bubblewrap", "landlock"])
def test_SH_16_nothing_gets_out(stage_of, tier, user, kind):
    launcher, owner = [sys.executable], os.geteuid()
    if user == "nobody":
        if os.geteuid() != 0 or not shutil.which("setpriv") or not Path(SYSTEM_PYTHON).exists():
            pytest.skip("only root can become nobody")
        owner = 65534
        launcher = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SYSTEM_PYTHON]
    base = stage_of(owner)
    done = subprocess.run(
        [*launcher, str(HARNESS), tier, str(base), kind],
        capture_output=True, text=True, timeout=50, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": str(base)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    if result["tier"] != tier:
        pytest.skip(f"{tier} is not to be had here as {user}: {result['why']}")
    assert "got_out" in result, result
    out = sorted(name for name, got in result["got_out"].items() if got)
    print(f"\nescapes: {len(out)} of {len(result['got_out'])} ({tier}, uid {result['user']}, {kind})")
    assert result["works"]
    assert result["outlet"] is (tier == "bubblewrap" and kind == "working")
    assert not result["outlet"] or result["refused"]
    assert out == []
    assert len(result["got_out"]) >= 60
