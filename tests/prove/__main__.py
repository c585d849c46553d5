"""`python -m tests.prove`: the campaigns of docs/reliability.md, from the command line."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.prove import engine

MEMORY = Path("/dev/shm")


def main() -> int:
    """Run what was asked for; 1 when a round ended with a difference."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="mlc-prove-", dir=_quick()) as folder:
        return _engine(Path(folder), options.seed, options.engine_rounds)


def _engine(folder: Path, seed: int, count: int) -> int:
    done: Counter[str] = Counter()
    started, failed = time.monotonic(), 0
    for number, happened, wrong in engine.rounds(folder, seed, count):
        done += happened
        failed += bool(wrong)
        for line in wrong:
            print(f"engine, seed {number}: {line}", flush=True)
        if wrong:
            print(f"  again: make prove SEED={number} ENGINE=1", flush=True)
    records = done.pop("records", 0)
    print(
        f"Engine: {count} rounds from seed {seed} in {time.monotonic() - started:.0f} s, {records} records, "
        f"{failed} rounds with differences."
    )
    print(f"  happened: {', '.join(f'{name} {times}' for name, times in sorted(done.items()))}")
    return 1 if failed else 0


def _quick() -> Path | None:
    """Memory, where the machine has it as a folder: a disk that syncs is most of a round's time."""
    return MEMORY if MEMORY.is_dir() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next one has one more")
    parser.add_argument("--engine-rounds", type=int, default=200, help="rounds over the engine (200)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
