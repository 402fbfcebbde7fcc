"""`python -m tests.crash --cycles 200 --seed 0 --jobs 2`: kill -9 at random times, frames and named points.

Status 1 when a promise was broken. `--world SEED/NUMBER` plays one world again.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.crash.loop import LIVES, Report, one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--world", help="play this world only, as a violation names it")
    parser.add_argument("--keep", type=Path, help="keep the directories of worlds with violations here")
    parser.add_argument("--verbose", action="store_true", help="say how often each named point was met")
    options = parser.parse_args()
    began_s = time.monotonic()
    total = Report()
    if options.world:
        plan = [(options.world, LIVES)]
    else:
        counts = [LIVES] * (options.cycles // LIVES) + [options.cycles % LIVES]
        plan = [(f"{options.seed}/{number}", lives) for number, lives in enumerate(counts) if lives]
    with ProcessPoolExecutor(max(options.jobs, 1)) as pool:
        for done in as_completed([pool.submit(one, seed, lives, options.keep) for seed, lives in plan]):
            total.add(done.result())
    for text in total.violations:
        print(text)
    took_s = time.monotonic() - began_s
    kinds = f"{total.deaths['time']} by time, {total.deaths['frame']} by frame"
    named = {name: count for name, count in total.deaths.items() if name not in ("time", "frame")}
    points = f"{sum(named.values())} at {len(named)}"
    if options.verbose:
        print(", ".join(f"{name} {count}" for name, count in sorted(named.items())))
    print(
        f"killloop: {total.cycles} cycles ({kinds}, {points} named points), {total.prompts} prompts, "
        f"{total.events} events, {len(total.violations)} violations, {took_s:.0f} s"
    )
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
