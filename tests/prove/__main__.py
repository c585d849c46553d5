"""`python -m tests.prove`: the campaigns of docs/reliability.md, from the command line."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Event

from tests.prove import campaign, engine

MEMORY = Path("/dev/shm")
Rounds = Iterable[tuple[int, Counter[str], list[str]]]


def main() -> int:
    """Run what was asked for; 1 when a round ended with a difference. A signal: no more begin."""
    options = _parser().parse_args()
    # Memory, where the machine has it as a folder: a disk that syncs is most of a round's time.
    folder = Path(tempfile.mkdtemp(prefix="mlc-prove-", dir=MEMORY if MEMORY.is_dir() else None))
    first, failed = options.seed, 0
    if options.engine:
        last = first + options.engine - 1
        print(f"engine, seeds {first} to {last}", flush=True)
        failed += _run("engine", engine.rounds(folder, first, options.engine), "ROUNDS=0 ENGINE=1")
    if options.rounds:
        ending = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
        lives = campaign.Campaign(folder, options.postgres).rounds(
            first, options.rounds, options.at_once, ending
        )
        # As many beside it as before: how fast processes are decides what a kill meets.
        again = f"ROUNDS={options.at_once} AT_ONCE={options.at_once} ENGINE=0"
        again += " POSTGRES=1" if options.postgres else ""
        failed += _run("processes", lives, again)
    if failed:
        print(f"What the rounds with differences left behind is in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


def _run(name: str, rounds: Rounds, again: str) -> int:
    """Tell of each round with differences, and of all together; returns how many had some."""
    done: Counter[str] = Counter()
    started, count, failed = time.monotonic(), 0, 0
    for seed, happened, wrong in rounds:
        done += happened
        count += 1
        failed += bool(wrong)
        if name == "processes" or wrong:
            outcome = f"{len(wrong)} differences" if wrong else "equal"
            print(f"{name}, seed {seed}: {outcome}, after {time.monotonic() - started:.0f} s", flush=True)
        for line in wrong:
            print(f"  {line}", flush=True)
        if wrong:
            print(f"  again: make prove SEED={seed} {again}", flush=True)
    print(f"{name}: {count} rounds in {time.monotonic() - started:.0f} s, {failed} with differences.")
    for what, times in sorted(done.items()):
        print(f"  {times:>6} {what}")
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next one has one more")
    parser.add_argument("--engine", type=int, default=200, help="rounds over the engine (200)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds over processes, all pairs (4)")
    parser.add_argument("--at-once", type=int, default=2, help="of them side by side (2)")
    parser.add_argument(
        "--postgres", action="store_true", default=None, help="all of them on PostgreSQL, not every fourth"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
