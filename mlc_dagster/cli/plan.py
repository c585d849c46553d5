"""`mlc plan`: what the next run would do, and whether the budgets cover it. Changes nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from mlc_dagster import flow
from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.operations.health import budgets_left
from mlc_dagster.outlook import held_days, open_days, span
from mlc_dagster.settings import load_settings, pair_of
from mlc_dagster.suite import Suite

NUMBERS = ("create", "update", "delete", "unchanged", "refused", "in doubt", "calls")
UNKNOWN = ("-",) * len(NUMBERS)


@dataclass
class _Sums:
    """What the plans of several destinations come to. calls, seconds: by pair. read: by company, when each
    destination's records were last read from the ERP, None where they never were.
    """

    calls: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    read: dict[str, list[datetime | None]] = field(default_factory=dict)

    def add(self, name: str, company: str, forecast: flow.Forecast) -> None:
        pair = pair_of(name)
        self.calls[pair] += forecast.calls
        self.seconds[pair] = self.seconds.get(pair, 0) + (forecast.seconds or 0)
        if forecast.advice:
            self.remarks.append(f"{name} {company}: {forecast.advice}.")


def show_plan(destination: str | None, company: str | None, since: date | None, until: date | None) -> None:
    """Print the plan of each destination and company, from what the lake holds now.

    Raises:
        UnknownDestination: the settings name no such destination or pair.
        UnknownCompany: there is no such company, or the pair that is named does not carry it.
    """
    suite = Suite(load_settings())
    destinations = suite.destinations(destination)
    chosen = suite.settings.chosen(company, destination and pair_of(destination))
    names, title = ("destination", "company"), "What the next run would do with what the lake holds now"
    table = table_with(title, (*names, *NUMBERS), numbers=NUMBERS, whole=names)
    sums = _Sums()
    for name in destinations:
        for code in (each for each in suite.settings.companies_of(pair_of(name)) if each in chosen):
            forecast = _forecast(suite, name, code, (since, until), sums)
            table.add_row(name, code, *(_numbers(forecast) if forecast else UNKNOWN))
    console.print(table)
    _tell_readings(sums.read)
    for remark in sums.remarks:
        console.print(remark)
    others = {f"visma {code}" for code in suite.settings.companies if code not in chosen}
    left = {name: calls for name, calls in budgets_left(suite).items() if name not in others}
    _tell_budgets(sums.calls, left)
    for pair, seconds in sums.seconds.items():
        if seconds >= 1:
            calls = counted(sums.calls[pair], "call")
            console.print(f"Pair {pair}: about {calls}, {_time(seconds)} under its limits.")


def _forecast(
    suite: Suite, name: str, company: str, days: tuple[date | None, date | None], sums: _Sums
) -> flow.Forecast | None:
    """The forecast of a destination, added to the sums; None where nothing can be planned."""
    read_at = max(held_days(suite, name, company).values(), default=None)
    sums.read.setdefault(company, []).append(read_at)
    if read_at is None:
        return None
    first, last = open_days(suite, pair_of(name), company)
    try:
        forecast = flow.forecast(suite, name, company, span(days[0] or first, days[1] or last))
    except flow.LakeIncomplete as incomplete:
        sums.remarks.append(str(incomplete))
        return None
    sums.add(name, company, forecast)
    return forecast


def _numbers(forecast: flow.Forecast) -> Iterator[str]:
    plan = forecast.plan
    made = (plan.creates, plan.updates, plan.deletes, plan.unchanged)
    return map(str, (*made, forecast.refused, len(plan.in_doubt), forecast.calls))


def _tell_readings(read: Mapping[str, Sequence[datetime | None]]) -> None:
    """What the plan knows of the ERP, by company: until when it was read, None where nothing was."""
    until = {code: [when for when in times if when] for code, times in read.items()}
    if known := [f"{code} {min(times):%Y-%m-%d %H:%M}" for code, times in until.items() if times]:
        console.print(
            f"Read from the ERP until (UTC): {', '.join(known)}. What changed since is not planned."
        )
    if any(None in times for times in read.values()):
        console.print(
            "Where all numbers are `-`, nothing was read from the ERP yet: nobody knows what is to be done. "
            "Materialize the group visma first, or let the first run load all."
        )


def _tell_budgets(needed: Counter[str], left: dict[str, int | None]) -> None:
    """One line a budget: the calls the plan needs of it, and whether they fit into the current window."""
    for budget, calls_left in left.items():
        calls = needed.get(budget)
        if calls is None and not budget.startswith("visma"):
            continue  # of a pair that was not asked for
        need = (
            f"the plan needs about {counted(calls, 'call')}"
            if calls is not None
            else "used for reading the ERP"
        )
        if calls_left is None:
            room = "its limit is learnt with the first answer"
        elif calls is not None and calls > calls_left:
            room = f"{calls_left} of our share are left now; the run waits until there are more"
        else:
            room = f"{calls_left} of our share are left now"
        console.print(f"Budget {budget}: {need}; {room}.")


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"about {seconds:.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 100 else f"about {minutes / 60:.1f} h"
