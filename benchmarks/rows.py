"""The rows of the benchmark: what is run, in which order, and what must have come of it."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.bench import DLT_PYTHON, HALF, LARGE, SMALL, Bench, Result, postgres

MONTH, YEARS = timedelta(days=30), timedelta(days=3 * 365)
SUPPLIERS = "anaplan/suppliers"
INVOICES, LINES = "anaplan/supplier_invoices", "anaplan/supplier_invoice_lines"
FACTS = "powerbi/supplier_invoices"
FULL, HALF_LOAD, DELTA, SAME = "full load", "half as many", "1 % changed", "no changes"
FILES = "*.parquet"
# Ours also puts pages aside as Arrow files, from which a read that was cut off goes on.
OURS = "**/*.[ap]*"

# Of an extract: see clients/extract.py.
WRITERS = ("ours", "parquet")

# Client, destination, numbers: see clients/dlt_pipeline.py.
DLT = (
    ("dlt files", "filesystem", "doubles"),
    ("dlt DuckDB", "duckdb", "doubles"),
    ("dlt files, exact", "filesystem", "exact"),
)


class Untrue(Exception):
    """A client did not do what it was measured for."""


def read(bench: Bench, rounds: int) -> Iterator[Result]:
    """Two floors, ours and dlt: a full load, 1 % changed, no changes; round by round, in turn."""
    for number in range(rounds):
        loads = _loads(bench, number)
        for case in (FULL, DELTA, SAME):
            expected = {FULL: bench.invoices, DELTA: bench.invoices // 100, SAME: 0}[case]
            if case == DELTA:
                bench.ask("change", company=LARGE, count=expected, round=number)
            for name, load in loads.items():
                if case != FULL and name == "floor 1":
                    continue
                yield _held(load(case), changed=expected)
        yield _held(_half(bench, number), changed=bench.invoices // 2)


def _loads(bench: Bench, number: int) -> dict[str, Callable[[str], Result]]:
    """How each client loads; what it has loaded it keeps for the next case."""
    erp, folder = str(bench.bare()), bench.folder / f"round-{number}"
    home = bench.home(f"round-{number}/ours", axis=MONTH)
    floor, dlt = folder / "floor", folder / "dlt"

    def load(name: str, command: list[str], env: dict[str, str], watch: tuple[Path, str] | None):  # type: ignore[no-untyped-def]
        return lambda case: bench.run("read", case, name, command, env=env, watch=watch)

    loads = {
        "floor 1": load("floor 1", bench.script("floor_parse", erp), {}, None),
        "floor 2": load("floor 2", bench.script("floor_ledger", erp, str(floor)), {}, (floor, FILES)),
        "ours": load("ours", bench.script("ours", LARGE), home, (Path(home["MLC_LAKE_URL"]), OURS)),
    }
    if DLT_PYTHON.exists():
        for name, kind, numbers in DLT:
            command = bench.script(
                "dlt_pipeline", erp, str(dlt / name), kind, numbers, python=str(DLT_PYTHON)
            )
            watch = (dlt / name / "files", f"**/{FILES}") if kind == "filesystem" else None
            loads[name] = load(name, command, {}, watch)
    return loads


def _half(bench: Bench, number: int) -> Result:
    """Ours with half as many invoices: is the peak of memory flat?"""
    home = bench.home(f"round-{number}/half", axis=MONTH)
    watch = (Path(home["MLC_LAKE_URL"]), OURS)
    return bench.run("read", HALF_LOAD, "ours", bench.script("ours", HALF), env=home, watch=watch)


def deliver(bench: Bench, rounds: int) -> Iterator[Result]:
    """Rows of every invoice and line; all delivered as new; all planned as unchanged.

    Into Anaplan with the ledger on both databases, and into Power BI.
    """
    home = bench.home("deliver", axis=MONTH)
    everything = bench.script("ours", LARGE, "suppliers", "gl_accounts", "supplier_invoices")
    _held(bench.run("prepare", FULL, "ours", everything, env=home), changed=bench.invoices)
    for number in range(rounds):
        for model, count in ((INVOICES, 1), (LINES, 3)):
            fresh = {**home, "MLC_DATABASE_URL": f"sqlite:///{bench.folder}/deliver/rows-{number}.db"}
            for kept in (bench.folder / "deliver" / "lake" / "_rows").rglob(FILES):
                kept.unlink()
            result = bench.run(
                "deliver", f"map {model}", "ours", bench.script("deliver", "rows", model), env=fresh
            )
            yield _held(result, rows=count * bench.invoices)
        # Mapped before, as in every run: what is delivered is what the rows' asset kept.
        _held(bench.run("prepare", "map", "ours", bench.script("deliver", "rows", INVOICES), env=home))
        yield from _delivered(
            bench, home, "Anaplan, SQLite", f"sqlite:///{bench.folder}/deliver/ledger-{number}.db"
        )
        with postgres() as url:
            yield from _delivered(bench, home, "Anaplan, PostgreSQL", url)
        yield from _loaded(bench, home, f"sqlite:///{bench.folder}/deliver/facts-{number}.db")


def _delivered(bench: Bench, home: dict[str, str], name: str, url: str) -> Iterator[Result]:
    bench.ask("empty", really=True)
    env = home | {"MLC_DATABASE_URL": url}
    # Anaplan refuses an invoice whose supplier it does not know.
    bench.run("prepare", f"suppliers, {name}", "ours", bench.script("deliver", "send", SUPPLIERS), env=env)
    yield from _sent(bench, env, INVOICES, name)


def _loaded(bench: Bench, home: dict[str, str], url: str) -> Iterator[Result]:
    """The same invoices as facts of the Power BI pair, into a dataset that was just created."""
    bench.ask("empty", really=True)
    env = home | {"MLC_DATABASE_URL": url}
    bench.run("prepare", "dataset", "ours", bench.script("deliver", "set-up"), env=env)
    bench.run("prepare", "map facts", "ours", bench.script("deliver", "rows", FACTS), env=env)
    yield from _sent(bench, env, FACTS, "Power BI")


def _sent(bench: Bench, env: dict[str, str], model: str, name: str) -> Iterator[Result]:
    for case, step, expected in (
        ("deliver as new", "send", "created"),
        ("plan unchanged", "plan", "unchanged"),
    ):
        result = bench.run(
            "deliver", f"{case}, {name}", "ours", bench.script("deliver", step, model), env=env
        )
        yield _held(result, **{expected: bench.invoices})


def history(bench: Bench, rounds: int) -> Iterator[Result]:
    """Three years of daily partitions in months: the newest versions, and the rows of a small delta."""
    home = bench.home("history", axis=YEARS)
    first = bench.run("history", "load three years of days", "ours", bench.script("ours", LARGE), env=home)
    yield _held(first, changed=bench.invoices)
    bench.ask("change", company=LARGE, count=bench.invoices // 100, round=rounds)
    _held(
        bench.run("prepare", DELTA, "ours", bench.script("ours", LARGE), env=home),
        changed=bench.invoices // 100,
    )
    for _ in range(rounds):
        result = bench.run("history", "latest", "ours", bench.script("deliver", "latest"), env=home)
        yield _held(result, rows=bench.invoices)
        yield bench.run(
            "history",
            "map the newest day",
            "ours",
            bench.script("deliver", "changed-rows", INVOICES),
            env=home,
        )


def startup(bench: Bench, rounds: int) -> Iterator[Result]:
    """The commands people wait for: help, validation, and one partition of the whole pair."""
    programs = Path(sys.executable).parent
    select = ["--select", '+group:"visma_anaplan"', "--partition", f"{SMALL}|{bench.today()}"]
    dagster = [str(programs / "dagster")]
    pair = [*dagster, "asset", "materialize", "-m", "mlc_dagster.definitions", *select]
    for number in range(rounds):
        home = bench.home(f"startup-{number}", axis=timedelta(0))  # the partition is everything
        bench.ask("empty", really=True)
        cases = {
            "mlc --help": [str(programs / "mlc"), "--help"],
            "dagster definitions validate": [
                *dagster,
                "definitions",
                "validate",
                "-m",
                "mlc_dagster.definitions",
            ],
            "one partition of the pair, cold": pair,
            "one partition of the pair, warm": pair,
        }
        for case, command in cases.items():
            yield bench.run("startup", case, "ours", command, env=home)


def extract(bench: Bench, rounds: int) -> Iterator[Result]:
    """A Tableau extract of as many rows as there are invoices, and of ten times as many.

    By our writer, and by the fastest route of the vendor's sheet.
    """
    for _ in range(rounds):
        for count in (bench.invoices, 10 * bench.invoices):
            for writer in WRITERS:
                command = bench.script("extract", writer, str(count), str(bench.folder / "extract"))
                yield _held(bench.run("extract", f"{count:,} rows, {writer}", writer, command), rows=count)


ROWS: dict[str, Callable[[Bench, int], Iterator[Result]]] = {
    "read": read,
    "deliver": deliver,
    "history": history,
    "extract": extract,
    "startup": startup,
}


def _held(result: Result, **expected: int) -> Result:
    """The result, when it counts what it should; a benchmark of something else is none."""
    for name, count in expected.items():
        if result.numbers.get(name) != count:
            raise Untrue(
                f"{result.row}, {result.case}, {result.client}: {name} should be {count}: {result.numbers}"
            )
    return result
