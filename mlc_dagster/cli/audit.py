"""`mlc audit`: one record's life, from the ERP to every target."""

import re
from collections.abc import Iterator

from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.delivery import Entry, Event
from mlc_dagster.lake import Version
from mlc_dagster.pages.words import detail
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES


def show_audit(number: str) -> int:
    """Print the record's life; 1 when nothing is known of the number."""
    suite = Suite(load_settings())
    history = suite.audit.history(number)
    sightings = list(_sightings(suite, number))
    if not history and not sightings:
        console.print(
            f"Nothing is known of {number}: it was not read from the ERP yet, or it is written differently."
        )
        return 1
    for company, entity, version in sightings:
        what = "found deleted" if version.deleted else f"changed {version.stamp or 'at an unknown time'}"
        console.print(
            f"ERP {company}: {entity} {version.key} {what}, read {version.read_at:%Y-%m-%d %H:%M:%S} UTC",
        )
    for entry in suite.quarantine.open(number=number):
        _show(entry)
    for record in suite.audit.standing(number):
        why = f": {record.reason}" if record.reason else ""
        console.print(
            f"{record.destination} {record.company}: {record.key} is {record.state} "
            f"since {record.updated_at:%Y-%m-%d %H:%M:%S} UTC{why}"
        )
    for table in _tables(number, history):
        console.print(table)
    if not history:
        console.print("No target has received it yet.")
    return 0


def _show(entry: Entry) -> None:
    """Why a record is kept back, and the record as it came."""
    console.print(
        f"In quarantine since {entry.first_at:%Y-%m-%d %H:%M:%S} UTC: {entry.place} {entry.company} "
        f"{entry.key}: {entry.reason}\n{entry.raw}"
    )


def _sightings(suite: Suite, number: str) -> Iterator[tuple[str, str, Version]]:
    """Every version of a record the lake holds, by company and entity."""
    for company in suite.settings.companies:
        for entity in ENTITIES.values():
            for version in suite.lake.versions(entity.name, company, entity.number, number):
                yield company, entity.name, version


def _tables(number: str, history: list[Event]) -> Iterator[Table]:
    """A life for each company: the same number in two of them is two documents."""
    for company in sorted({event.company for event in history}):
        headings = ("when (UTC)", "destination", "what happened")
        # A destination is there to be copied.
        table = table_with(f"The life of {number}, {company}", headings, whole=headings[:2])
        for event in history:
            if event.company == company:
                table.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", event.destination, _happened(event))
        yield table


def _happened(event: Event) -> str:
    batch = f"batch {event.batch_id}" if event.batch_id else ""
    said = f"{event.key or batch} {event.kind.value}".strip()
    if event.key and batch:
        said += f", {batch}"
    # A digest says nothing to people, and fills lines; `mlc audit export` has all of it.
    words = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b", r"\1…", detail(event.detail))
    return f"{said}: {words}" if words else said
