import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
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


def copied(place: Path) -> Path:
    """What the harness needs, where anybody may read it: a clone may lie below a directory of root's."""
    place.chmod(0o755)
    for part in ("lsp_agent", "tests/shell"):
        shutil.copytree(SOURCE / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    return place


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
    base, source = stage_of(owner), SOURCE if user == "this user" else copied(stage_of(0))
    done = subprocess.run(
        [*launcher, str(source / "tests/shell/escape_harness.py"), tier, str(base), kind],
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
