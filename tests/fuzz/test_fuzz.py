"""Everything that has ever broken the server is played again, and a few thousand new messages."""

from pathlib import Path

import pytest

from tests.fuzz.play import REGRESSIONS, one, replay

pytestmark = pytest.mark.process


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_what_broke_the_server_once_is_answered_now(path: Path, tmp_path: Path) -> None:
    assert replay(path, tmp_path / "home") == []


@pytest.mark.parametrize("seed", [70, 71], ids=["plugin", "plain editor"])
def test_bent_params_are_answered_one_by_one_and_the_server_lives(seed: int) -> None:
    report = one(seed, 1500)
    assert report.violations == []
    assert report.requests > 1000
    assert report.runs > 10
