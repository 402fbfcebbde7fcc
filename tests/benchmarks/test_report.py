"""The table says what was measured and whether it is good enough; it never decides that a test fails."""

from benchmarks.contender import ASYNCIO, PRODUCT, PYGLS_SDK
from benchmarks.report import Target, print_table


def table(measured: dict[str, dict[str, list[float]]]) -> str:
    lines: list[str] = []
    print_table(measured, 4.0, lines.append)
    return "\n".join(lines)


def test_a_figure_shows_its_spread_the_floors_and_whether_the_target_is_met():
    shown = table({"start → initialize, ms": {PRODUCT.name: [90, 100, 150], ASYNCIO.name: [60, 50, 55]}})
    assert "90.0 / **100** / 150" in shown
    assert "55.0 (1.82×)" in shown
    assert "≤ 2× asyncio = 110 | met |" in shown


def test_a_target_that_is_missed_is_said_so():
    shown = table({"start → initialize, ms": {PRODUCT.name: [200], ASYNCIO.name: [50]}})
    assert "**not met**" in shown


def test_a_floor_that_did_not_run_leaves_its_target_open():
    assert Target(PYGLS_SDK.name, 1.6).limit({PRODUCT.name: [1]}) is None
    assert "met" not in table({"first byte → first update, ms": {PRODUCT.name: [1]}})


def test_a_target_may_allow_for_the_commit_that_the_floors_do_not_make():
    shown = table({"later prompts → request, ms": {PRODUCT.name: [7], PYGLS_SDK.name: [2]}})
    assert "≤ 1.6× pygls+sdk + a commit = 7.20 | met |" in shown
