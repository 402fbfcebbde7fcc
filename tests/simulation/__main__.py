"""`python -m tests.simulation --schedules 200000 --seed 0 [--jobs 2] [--mutants]`: many schedules, then the count."""

import argparse
import logging
import multiprocessing
import sys
import time

from tests.simulation.mutants import MUTANTS, hunt
from tests.simulation.world import simulate

BATCH = 500


def batch(first_last):
    logging.disable(logging.CRITICAL)
    found = []
    for seed in range(*first_last):
        try:
            violations = simulate(seed)
        except Exception as error:
            violations = [f"the simulation crashed: {error!r}"]
        if violations:
            found.append((seed, violations))
    return first_last[1] - first_last[0], found


def schedules(count, seed, jobs):
    started = time.perf_counter()
    ranges = [(at, min(at + BATCH, seed + count)) for at in range(seed, seed + count, BATCH)]
    done, found = 0, []
    with multiprocessing.Pool(jobs) as pool:
        for played, violations in pool.imap_unordered(batch, ranges):
            done += played
            found += violations
    for at, violations in sorted(found)[:20]:
        print(f"seed {at}: {violations}")
    took = time.perf_counter() - started
    print(f"{done} schedules, {len(found)} with violations, {took:.0f} s, {done / took:.0f}/s")
    return 1 if found else 0


def mutants(limit):
    logging.disable(logging.CRITICAL)
    survivors = 0
    for name in MUTANTS:
        seed, found = hunt(name, simulate, range(limit))
        survivors += seed is None
        print(f"{name}: {'SURVIVES' if seed is None else f'seed {seed}: {found[0]}'}")
    print(f"{len(MUTANTS)} mutants, {survivors} survive")
    return 1 if survivors else 0


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--schedules", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--mutants", action="store_true", help="plant each defect and look for it instead")
    chosen = parser.parse_args()
    return mutants(3000) if chosen.mutants else schedules(chosen.schedules, chosen.seed, chosen.jobs)


if __name__ == "__main__":
    sys.exit(main())
