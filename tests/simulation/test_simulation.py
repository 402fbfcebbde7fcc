import logging

import pytest

from tests.simulation.mutants import MUTANTS, hunt
from tests.simulation.world import simulate


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_G1_no_schedule_breaks_a_promise(first):
    broken = {seed: found for seed in range(first, first + 250) if (found := simulate(seed))}
    assert broken == {}


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_G13_the_simulation_finds_the_planted_defect(name):
    seed, found = hunt(name, simulate, range(4000))
    assert found, f"{name} survives"
    assert seed is not None
