"""Results as tables, as verdicts on the bars, and as a chart."""

import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from pathlib import Path
from statistics import median

from benchmarks.bench import REPOSITORY, Result
from benchmarks.rows import DELTA, DLT, FULL, HALF_LOAD, SAME, WRITERS

DOCUMENT = REPOSITORY / "docs" / "performance.md"
CHART = REPOSITORY / "docs" / "images" / "performance.svg"
BEGIN, END = "<!-- measured: written by make bench -->", "<!-- end of measured -->"
MEGA = 1e6
PAGE_SIZE = 1000

Numbers = Mapping[str, float]
Medians = Mapping[tuple[str, str, str], Numbers]


def medians(results: Iterable[Result]) -> Medians:
    """The median of each number, by row, case and client, in the order they came."""
    rounds: dict[tuple[str, str, str], list[Numbers]] = {}
    for result in results:
        rounds.setdefault((result.row, result.case, result.client), []).append(result.numbers)
    return {
        place: {name: median([one[name] for one in several if name in one]) for name in several[0]}
        for place, several in rounds.items()
    }


def machine() -> dict[str, str]:
    """What it was measured on; no name of a host."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processors": f"{len(os.sched_getaffinity(0))} x {cpu[1] if cpu else platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()}, Python {platform.python_version()}",
    }


def markdown(results: Sequence[Result], facts: Mapping[str, str]) -> str:
    """Everything that was measured, as Markdown."""
    found = medians(results)
    rounds = max(Counter((result.row, result.case, result.client) for result in results).values())
    parts = ["; ".join(f"{name}: {value}" for name, value in facts.items()) + f". Medians of {rounds}."]
    if judged := verdicts(found):
        parts.append(
            _table(("bar", "measured", "met"), [(bar.text, bar.measured, bar.verdict) for bar in judged])
        )
    for case in (FULL, HALF_LOAD, DELTA, SAME):
        if lines := list(_reading(found, case)):
            heads = (
                *("client", "wall s", "CPU s", "engine s", "peak MB"),
                *("calls", "first row s", "files", "CPU : floor 2"),
            )
            parts.append(f"**{case[0].upper()}{case[1:]}**\n\n{_table(heads, lines)}")
    if lines := list(_steps(found)):
        heads = ("step", "rows", "wall s", "CPU s", "of it the step's", "peak MB", "calls")
        parts.append(_table(heads, lines))
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True)
class Bar:
    """A promise, what was measured, and whether that keeps it."""

    text: str
    measured: str
    met: bool

    @property
    def verdict(self) -> str:
        """In words."""
        return "yes" if self.met else "**no**"


def verdicts(found: Medians) -> list[Bar]:
    """Every bar of which all parts were measured."""
    return [
        bar
        for judge in (_against_floor, _against_dlt, _own, _delivering, _extracting, _starting)
        for bar in judge(found)
    ]


def _against_floor(found: Medians) -> Iterable[Bar]:
    ours, floor = (found.get(("read", FULL, client)) for client in ("ours", "floor 2"))
    if ours and floor:
        ratio = ours["cpu"] / floor["cpu"]
        yield Bar("full load: at most 1.5 x floor 2 in CPU", f"{ratio:.2f} x", ratio <= 1.5)


def _against_dlt(found: Medians) -> Iterable[Bar]:
    ours = found.get(("read", FULL, "ours"))
    for exact, words in ((False, "dlt, with doubles for money"), (True, "dlt with exact money")):
        clients = [client for client, _, numbers in DLT if (numbers == "exact") is exact]
        others = [found["read", FULL, client] for client in clients if ("read", FULL, client) in found]
        if ours and others:
            wall, cpu = (min(other[name] for other in others) / ours[name] for name in ("wall", "cpu"))
            measured = f"{wall:.1f} x in wall, {cpu:.1f} x in CPU"
            yield Bar(f"full load: at least 3 x faster than the best {words}", measured, min(wall, cpu) >= 3)


def _own(found: Medians) -> Iterable[Bar]:
    def ours(case: str) -> Numbers | None:
        return found.get(("read", case, "ours"))

    if (full := ours(FULL)) and "first_row" in full:
        seconds = full["first_row"]
        yield Bar("first durable row within 0.5 s of the first page", f"{seconds:.2f} s", seconds <= 0.5)
    if full and (half := ours(HALF_LOAD)):
        peak, growth = full["peak"] / MEGA, full["peak"] / half["peak"]
        measured = f"{peak:.0f} MB; {growth:.2f} x with twice the rows"
        yield Bar("peak memory under 250 MB, and flat", measured, peak < 250 and growth < 1.1)
    if delta := ours(DELTA):
        pages = ceil(delta["rows"] / PAGE_SIZE)
        measured = f"{delta['calls']:.0f} calls for {pages} pages, one of them to look for deleted documents"
        yield Bar("1 % changed: no more calls than its pages need", measured, delta["calls"] <= pages + 1)
        seconds = engine_seconds(delta)
        yield Bar("1 % changed: within a second of engine time", f"{seconds:.2f} s", seconds <= 1)
    if same := ours(SAME):
        yield Bar("no changes: nothing is written", f"{same['written']:.0f} files", not same["written"])


def engine_seconds(numbers: Numbers) -> float:
    """What our own work takes: from opened settings to the end, without the time the server was answering."""
    return numbers["engine_wall"] - numbers["answering"]


def _delivering(found: Medians) -> Iterable[Bar]:
    news = [numbers for (_, case, _), numbers in found.items() if case.startswith("deliver as new")]
    if news:
        peak = max(numbers["peak"] for numbers in news) / MEGA
        yield Bar("first delivery: peak memory under 300 MB", f"{peak:.0f} MB", peak < 300)
        share = max(numbers["seal_cpu"] / numbers["cpu"] for numbers in news)
        yield Bar("first delivery: under 3 % of its CPU seals its events", f"{share:.1%}", share < 0.03)


def _extracting(found: Medians) -> Iterable[Bar]:
    sizes: dict[str, list[Numbers]] = {}
    for (row, _, client), numbers in found.items():
        if row == "extract":
            sizes.setdefault(client, []).append(numbers)
    if not sizes:
        return
    ours, route = (sorted(sizes[writer], key=lambda numbers: numbers["rows"]) for writer in WRITERS)
    speed, best = (numbers[-1]["rows"] / numbers[-1]["engine_wall"] for numbers in (ours, route))
    measured = f"{speed / best:.2f} x: {speed:,.0f} and {best:,.0f} rows a second"
    yield Bar("extract: at least half the speed of a finished Parquet file", measured, speed * 2 >= best)
    peak, growth = ours[-1]["own_peak"] / MEGA, ours[-1]["own_peak"] / ours[0]["own_peak"]
    measured = f"{peak:.0f} MB; {growth:.2f} x with ten times the rows"
    yield Bar("extract: peak memory flat", measured, growth < 1.1)


def _starting(found: Medians) -> Iterable[Bar]:
    if shown := found.get(("startup", "mlc --help", "ours")):
        yield Bar("`mlc --help` under 300 ms", f"{shown['wall'] * 1000:.0f} ms", shown["wall"] < 0.3)


def _reading(found: Medians, case: str) -> Iterable[tuple[str, ...]]:
    floor = found.get(("read", case, "floor 2"))
    for (row, its_case, client), numbers in found.items():
        if (row, its_case) == ("read", case):
            yield (
                client,
                f"{numbers['wall']:.2f}",
                f"{numbers['cpu']:.2f}",
                _shown(engine_seconds(numbers) if "engine_wall" in numbers else None, "{:.2f}".format),
                f"{numbers['peak'] / MEGA:.0f}",
                f"{numbers['calls']:.0f}",
                _shown(numbers.get("first_row"), "{:.2f}".format),
                _shown(numbers["written"] if client not in UNWATCHED else None, "{:.0f}".format),
                _shown(numbers["cpu"] / floor["cpu"] if floor else None, "{:.2f}".format),
            )


def _steps(found: Medians) -> Iterable[tuple[str, ...]]:
    for (row, case, _), numbers in found.items():
        if row != "read":
            yield (
                f"{row}: {case}",
                _shown(numbers.get("rows"), "{:,.0f}".format),
                f"{numbers['wall']:.2f}",
                f"{numbers['cpu']:.2f}",
                _shown(numbers.get("engine_cpu"), "{:.2f}".format),
                f"{numbers['peak'] / MEGA:.0f}",
                f"{numbers['calls']:.0f}",
            )


# Floor 1 keeps nothing, and DuckDB writes into one file.
UNWATCHED = ("floor 1", "dlt DuckDB")


def _shown(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    marks = ["---", *("---:" for _ in heads[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, marks, *lines))


def write(results: Sequence[Result], facts: Mapping[str, str]) -> None:
    """Put the tables between the marks of the document, and draw the chart."""
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    picture = "![Full load: time, CPU and memory by client](images/performance.svg)"
    DOCUMENT.write_text(f"{before}{BEGIN}\n{picture}\n\n{markdown(results, facts)}{END}{after}", "utf-8")
    CHART.write_text(chart(medians(results)), "utf-8")


COLOURS = {"floor": "#b8c0c8", "ours": "#1f6f5c", "dlt": "#c9884a"}
PANELS = (("wall", "seconds", 1.0), ("cpu", "CPU seconds", 1.0), ("peak", "peak memory, MB", MEGA))
LINE_HEIGHT, LABELS, PANEL_WIDTH, NUMBERS_WIDTH = 26, 130, 200, 60


def chart(found: Medians) -> str:
    """An SVG of the full load: a panel each for time, CPU and memory, a bar for each client."""
    clients = {
        client: numbers for (row, case, client), numbers in found.items() if (row, case) == ("read", FULL)
    }
    width = LABELS + len(PANELS) * (PANEL_WIDTH + NUMBERS_WIDTH)
    height = (len(clients) + 2) * LINE_HEIGHT + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="14" fill="#24292f">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for row, client in enumerate(clients):
        parts.append(_text(LABELS - 8, row + 1, client, anchor="end"))
    for column, (name, title, unit) in enumerate(PANELS):
        left = LABELS + column * (PANEL_WIDTH + NUMBERS_WIDTH)
        most = max(numbers[name] for numbers in clients.values())
        parts.append(_text(left, 0, title, weight="bold"))
        for row, (client, numbers) in enumerate(clients.items(), 1):
            length = numbers[name] / most * PANEL_WIDTH
            colour = COLOURS[client.split(" ", maxsplit=1)[0]]
            top = row * LINE_HEIGHT + 10
            parts.append(f'<rect x="{left}" y="{top}" width="{length:.1f}" height="18" fill="{colour}"/>')
            shown = numbers[name] / unit
            parts.append(_text(left + length + 6, row, f"{shown:.0f}" if shown >= 100 else f"{shown:.1f}"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, row: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    y = row * LINE_HEIGHT + 24
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
