"""Garbage is not collected while everything is imported, and what was imported is left alone afterwards."""

import gc
import sys

import pytest

from lsp_agent.server import interpreter


@pytest.fixture(autouse=True)
def _as_before():
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval_s)


def test_nothing_is_collected_from_prepare_to_settle():
    interpreter.prepare()
    assert not gc.isenabled()
    interpreter.settle()
    assert gc.isenabled()


def test_what_exists_at_settle_is_not_walked_again():
    kept = [[] for _ in range(10)]
    interpreter.settle()
    frozen = gc.get_freeze_count()
    assert frozen > len(kept)
    assert not any(found is kept for found in gc.get_objects())


def test_cycles_made_later_are_still_collected():
    interpreter.prepare()
    interpreter.settle()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
