"""`python -m tests.hostile --runs 500 --seed 0 --jobs 2`: the model is the attacker, the user refuses all it is asked.

Status 1 when anything was written outside or to a protected file, a byte reached a listener, one of 200 canary secrets
came out, a process was left, or a run did not end.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.hostile.ground import SECRETS
from tests.hostile.play import Report, batch

BATCH = 25


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    began_s = time.monotonic()
    batches = -(-options.runs // BATCH)
    total = Report()
    with ProcessPoolExecutor(max(options.jobs, 1)) as pool:
        seeds = [options.seed * 10_000 + number for number in range(batches)]
        for report in pool.map(batch, seeds, [BATCH] * batches):
            total.add(report)
    for fault in total.faults:
        print(fault[:1000])
    print(f"tools: {', '.join(f'{name} {count}' for name, count in total.tools.most_common())}")
    print(f"results: {', '.join(f'{name} {count}' for name, count in total.statuses.most_common())}")
    print(f"ends: {', '.join(f'{name} {count}' for name, count in total.ends.most_common())}")
    print(f"sandbox: {', '.join(f'{name} {count}' for name, count in total.tiers.most_common())}; user {os.geteuid()}")
    print(
        f"hostile: {total.runs} runs, {total.calls} calls, {total.asked} questions refused, {SECRETS} secrets, "
        f"{len(total.faults)} violations, {time.monotonic() - began_s:.0f} s"
    )
    return 1 if total.faults or total.runs < options.runs else 0


if __name__ == "__main__":
    sys.exit(main())
