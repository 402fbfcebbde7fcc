import pytest

from tests.crash.life import Death
from tests.crash.loop import run_world
from tests.crash.points import POINTS


@pytest.mark.timeout(120)
async def test_F01_F04_F32_nothing_acknowledged_is_lost_and_every_run_ends_once_over_six_kills(tmp_path):
    report = await run_world(tmp_path / "w", "pytest", 6)
    assert report.violations == []
    assert report.cycles == 6
    assert report.prompts > 0


@pytest.mark.timeout(120)
async def test_F03_a_first_start_killed_at_any_point_needs_no_repair(tmp_path):
    names = [name for name, point in POINTS.items() if point.first_start or name.startswith("lock")]
    for name in names:
        report = await run_world(tmp_path / name, name, 1, [Death(5.0, crash_at=name)])
        assert report.violations == []


@pytest.mark.timeout(120)
async def test_F01_recovery_killed_at_every_step_is_recovered_from_by_the_next_one(tmp_path):
    names = [name for name in POINTS if name.startswith("recovery")]
    deaths = [Death(0.9), *[death for name in names for death in (Death(2.0, crash_at=name), Death(0.9))]]
    report = await run_world(tmp_path / "w", "recovery", len(deaths), deaths)
    assert report.violations == []
    assert report.prompts > 0


@pytest.mark.timeout(120)
async def test_F02_a_terminal_event_that_was_stored_and_not_sent_is_sent_after_the_restart_and_no_other(tmp_path):
    names = ["terminal.before", "terminal.after", "store.commit.after:25", "frame.before:20", "frame.middle:30"]
    report = await run_world(tmp_path / "w", "terminal", len(names), [Death(3.0, crash_at=name) for name in names])
    assert report.violations == []
