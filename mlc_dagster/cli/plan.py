"""`mlc plan`: what the next run would do, and whether the budgets cover it. Changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from mlc_dagster import flow
from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.operations.health import budgets_left
from mlc_dagster.outlook import held_days, open_days, span
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

NUMBERS = ("create", "update", "delete", "unchanged", "refused", "in doubt", "calls")


def show_plan(destination: str | None, company: str | None, since: date | None, until: date | None) -> None:
    """Print the plan of each destination and company, from what the lake holds now.

    Raises:
        UnknownDestination: the settings name no such destination or pair.
        UnknownCompany: there is no such company, or the pair that is named does not carry it.
    """
    suite = Suite(load_settings())
    destinations = suite.destinations(destination)
    chosen = suite.settings.chosen(company, destination and destination.split("/")[0])
    names, title = ("destination", "company"), "What the next run would do with what the lake holds now"
    table = table_with(title, (*names, *NUMBERS), numbers=NUMBERS, whole=names)
    needed: Counter[str] = Counter()
    times: dict[str, float] = {}
    remarks: list[str] = []
    read: dict[str, list[datetime | None]] = {}
    for name in destinations:
        target = name.split("/")[0]
        for code in (each for each in suite.settings.companies_of(target) if each in chosen):
            when = max(held_days(suite, name, code).values(), default=None)
            read.setdefault(code, []).append(when)
            if when is None:
                table.add_row(name, code, *["-"] * len(NUMBERS))
                continue
            first, last = open_days(suite, target, code)
            try:
                forecast = flow.forecast(suite, name, code, span(since or first, until or last))
            except flow.LakeIncomplete as error:
                remarks.append(str(error))
                table.add_row(name, code, *["-"] * len(NUMBERS))
                continue
            table.add_row(name, code, *map(str, _numbers(forecast)))
            if forecast.advice:
                remarks.append(f"{name} {code}: {forecast.advice}.")
            needed[target] += forecast.calls
            if forecast.seconds is not None:
                times[target] = times.get(target, 0) + forecast.seconds
    console.print(table)
    _tell_readings(read)
    for remark in remarks:
        console.print(remark)
    others = {f"visma {code}" for code in suite.settings.companies if code not in chosen}
    _tell_budgets(needed, {name: left for name, left in budgets_left(suite).items() if name not in others})
    for target, seconds in times.items():
        if seconds < 1:
            continue
        calls, time = needed[target], _time(seconds)
        console.print(f"Pair {target}: about {counted(calls, 'call')}, {time} under its limits.")


def _numbers(forecast: flow.Forecast) -> tuple[int, ...]:
    plan = forecast.plan
    made = (plan.creates, plan.updates, plan.deletes, plan.unchanged)
    return (*made, forecast.refused, len(plan.in_doubt), forecast.calls)


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
