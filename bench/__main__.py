"""All benches in one run, each figure beside its references: `make bench`, or `make bench GROW=1` for growing work.

python -m bench [--grow] [--only gateway ask ...]
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

from bench import ask, boards, cards, gateway, grow, queue, split, start
from bench.measure import have_wrk, machine

TABLE: dict[str, Callable[[], None]] = {
    "gateway": partial(gateway.run, rounds=5, seconds=2),
    "split": partial(split.run, rounds=3, seconds=4),
    "ask": partial(ask.run, rounds=5, seconds=1),
    "queue": partial(queue.run, rounds=5, count=1000),
    "boards": partial(boards.run, streams=1000, rounds=10),
    "cards": partial(cards.run, count=4, rounds=3),
    "start": partial(start.run, rounds=5),
}
GROWING: dict[str, Callable[[], None]] = {
    "connections": grow.connections,
    "streams": grow.streams,
    "users": grow.user_processes,
    "events": partial(queue.run_growing, (1000, 10_000, 100_000, 1_000_000)),
}


def main() -> None:
    parser = argparse.ArgumentParser("bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--grow", action="store_true", help="the cost of growing work, instead of the table")
    parser.add_argument("--only", nargs="+", choices=[*TABLE, *GROWING], help="some of them")
    given = parser.parse_args()
    if not have_wrk():
        sys.exit("bench: wrk is not installed: scripts/setup bench")
    print(machine())
    print("A line is the median of the rounds; ratios are to the first line of a table, round by round.")
    begun, failed = time.monotonic(), list[str]()
    for name, run in (TABLE | GROWING if given.only else GROWING if given.grow else TABLE).items():
        if given.only and name not in given.only:
            continue
        try:
            run()
        except Exception:  # the others are still worth seeing
            traceback.print_exc()
            failed.append(name)
    print(f"\n{machine()}\n{time.monotonic() - begun:.0f} s")
    if failed:
        sys.exit(f"bench: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
