"""`python -m tests.fuzz --count 200000 --seed 0 --jobs 2`: bent params against real servers.

Every second server talks to a plain editor, the others to a plugin. Status 1 when a promise was broken; what broke it
is saved below `tests/fuzz/regressions`, where a test plays it again.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.play import Report, one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=200_000, help="messages in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-save", action="store_true", help="do not write regressions")
    options = parser.parse_args()
    began_s = time.monotonic()
    jobs = max(options.jobs, 1)
    share = -(-options.count // jobs)
    total = Report()
    with ProcessPoolExecutor(jobs) as pool:
        seeds = [options.seed * 1000 + number for number in range(jobs)]
        for report in pool.map(one, seeds, [share] * jobs, [not options.no_save] * jobs):
            total.add(report)
    for text in total.violations:
        print(text)
    answers = ", ".join(f"{kind} {count}" for kind, count in total.answers.most_common())
    print(f"answers: {answers}; {total.runs} runs; slowest probe {total.slowest_probe_s * 1000:.0f} ms")
    print(
        f"fuzz: {total.messages} messages, {total.requests} requests, {len(total.violations)} violations, "
        f"{time.monotonic() - began_s:.0f} s, RSS {' | '.join(total.rss)}"
    )
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
