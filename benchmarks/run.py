"""`python -m benchmarks.run`: runs rows of the benchmark and prints tables; `--write` keeps them in docs."""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench import REPOSITORY, Result, serving
from benchmarks.report import machine, markdown, write
from benchmarks.rows import ROWS

FOLDER = REPOSITORY / ".mlc" / "bench"


def run(rows: list[str], *, invoices: int, rounds: int, folder: Path) -> tuple[list[Result], dict[str, str]]:
    """Every result of some rows, one server for them all; and what it was measured on."""
    results: list[Result] = []
    with serving(folder, invoices) as bench:
        facts = machine() | {"invoices": f"{invoices:,}", "JSON": f"{bench.bytes / 1e6:,.0f} MB"}
        for name in rows:
            for result in ROWS[name](bench, rounds):
                results.append(result)
                numbers = {key: round(value, 3) for key, value in result.numbers.items()}
                print(f"{result.row}: {result.case}: {result.client}: {numbers}", file=sys.stderr, flush=True)
    return results, facts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--scale", type=float, default=1, help="1 is 100,000 invoices")
    parser.add_argument("--rounds", type=int, default=3, help="the table shows the median of so many")
    parser.add_argument("--write", action="store_true", help="also write docs/performance.md and its chart")
    options = parser.parse_args()
    rows = options.rows or list(ROWS)
    if unknown := set(rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if options.write and set(rows) != set(ROWS):
        parser.error("--write needs all rows: the document shows one run")
    started = time.monotonic()
    folder = FOLDER / str(os.getpid())
    results, facts = run(rows, invoices=round(100_000 * options.scale), rounds=options.rounds, folder=folder)
    facts["the whole run"] = f"{(time.monotonic() - started) / 60:.0f} minutes"
    (FOLDER / "results.json").write_text(
        json.dumps([facts, [asdict(result) for result in results]], indent=1)
    )
    print(markdown(results, facts))
    if options.write:
        write(results, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
