"""What `mlc quarantine` does: lists, shows, retries and dismisses records that were refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.table import Table

from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.cli.person import person
from mlc_dagster.delivery import Entry
from mlc_dagster.mappings import Model
from mlc_dagster.mappings.validation import line_of
from mlc_dagster.operations.replay import By, NotAReplay, Plan, Span, What, plan, sources_of
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.yamlfile import YamlFile

# Reasons are cut here in the list; `show` has all of each.
SHOWN = 90


def show_list(
    *, pair: str | None, place: str | None, company: str | None, stage: str | None, dismissed: bool
) -> int:
    """Print what is in quarantine; 1 when anything is.

    Raises:
        UnknownDestination: a pair that there is not.
        UnknownCompany: a company that there is not.
    """
    suite = Suite(load_settings())
    suite.settings.chosen(company)
    found = suite.quarantine.open(place, company, stage=stage, dismissed=dismissed)
    if pair is not None:
        places = {f"visma/{entity}" for entity in sources_of(suite, pair)}
        found = [entry for entry in found if entry.place in places or entry.place.startswith(f"{pair}/")]
    waiting = sum(entry.resolved_at is None for entry in found)
    if not found:
        all_of_it = (pair, place, company, stage) == (None,) * 4
        console.print(f"Nothing {'' if all_of_it else 'of that '}is in quarantine.")
        return 0
    console.print(_table(found))
    console.print(
        f"{waiting} {'waits' if waiting == 1 else 'wait'}. `mlc quarantine show ID` says where to correct "
        "one; `retry ID` lets it go again, `dismiss ID --reason ...` settles it by your word."
    )
    return int(waiting > 0)


def show_one(which: str) -> int:
    """Print a record in quarantine by its id, or those of a business number; 1 when there is none."""
    suite = Suite(load_settings())
    found = suite.quarantine.open(number=which, dismissed=True)
    if not found and which.isdecimal() and (entry := suite.quarantine.entry(int(which))) is not None:
        found = [entry]
    for entry in found:
        _tell(suite, entry)
    if not found:
        console.print(f"{which} is not in quarantine. `mlc quarantine list` shows what is.")
    return int(not found)


def retry(entry_id: int | None, *, yes: bool) -> int:
    """Let one record go again, or all; prints what came of it. 1 when something is still refused.

    Raises:
        NotAReplay: there is no such entry, or it waits for a person.
    """
    # Dagster is loaded only where a run is started.
    from mlc_dagster.cli.replay import run_now  # noqa: PLC0415

    suite = Suite(load_settings())
    entries = suite.quarantine.open() if entry_id is None else [_entry(suite, entry_id)]
    planned = _together(suite, entries)
    if not planned.spans:
        console.print("Nothing in quarantine can go again by itself.")
        return 1
    for span in planned.spans:
        console.print(f"{span.pair} {span.company}: {span.days}")
    if not yes and not typer.confirm(f"Let {counted(len(entries), 'record')} go again with these runs?"):
        console.print("Nothing was changed.")
        return 1
    failed = run_now(suite, planned)
    left = [entry for entry in entries if _still_there(suite, entry)]
    console.print(f"{len(entries) - len(left)} of {len(entries)} passed or changed.")
    for entry in left:
        console.print(
            f"{entry.id}: {entry.place} {entry.company} {entry.number or entry.key}: {entry.reason}"
        )
    return int(bool(failed or left))


def dismiss(entry_id: int, reason: str, by: str | None) -> int:
    """Settle a record by a person's word; 1 when it is not in quarantine."""
    suite = Suite(load_settings())
    entry = suite.quarantine.entry(entry_id)
    if entry is None or not suite.quarantine.dismiss(entry, by=by or person(), reason=reason):
        console.print(f"{entry_id} is not in quarantine (any more). `mlc quarantine list` shows what is.")
        return 1
    suite.seals.seal()
    console.print(f"{_name(entry)} is dismissed. It was refused because: {entry.reason}")
    console.print("It comes back when the record changes or is refused otherwise.")
    return 0


def _table(found: list[Entry]) -> Table:
    headings = ("id", "stage", "where", "company", "number", "since (UTC)", "why")
    table = table_with("In quarantine", headings, numbers=["id"])
    for entry in found:
        settled = f"dismissed by {entry.dismissed_by}: {entry.dismissal}" if entry.dismissed_by else ""
        why = settled or (entry.reason if len(entry.reason) <= SHOWN else f"{entry.reason[:SHOWN]}...")
        since = f"{entry.first_at:%Y-%m-%d %H:%M}"
        name = entry.number or entry.source_key or "without a key"
        table.add_row(str(entry.id), entry.stage, entry.place, entry.company, name, since, why)
    return table


def _tell(suite: Suite, entry: Entry) -> None:
    # The room of the pages takes time to load, and the list needs none of it.
    from mlc_dagster.pages.quarantine import pretty  # noqa: PLC0415

    since, last = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (entry.first_at, entry.last_at))
    console.print(f"{_name(entry)}, kept back at the stage {entry.stage}")
    console.print(f"In quarantine since {since}" + (f", as it is now since {last}" if last != since else ""))
    if entry.dismissed_by:
        console.print(f"Dismissed by {entry.dismissed_by}: {entry.dismissal}")
    elif entry.resolved_at:
        console.print(f"Released on {entry.resolved_at:%Y-%m-%d %H:%M:%S} UTC")
    console.print(f"Why: {entry.reason}")
    for line in _where(suite, entry):
        console.print(line)
    console.print(pretty(entry.raw))


def _name(entry: Entry) -> str:
    return f"{entry.id}: {entry.place} {entry.company} {entry.number or entry.key}"


def _where(suite: Suite, entry: Entry) -> Iterator[str]:
    """Where to correct what keeps a record back: the ERP, the mapping, the contract or a lookup."""
    if entry.place.startswith("visma/"):
        yield "Correct the record in the ERP; a changed record is read by itself."
        if entry.source_key is None:
            yield "Its key cannot be read, so nothing can release it: dismiss it once it is settled."
        return
    model = suite.mappings.models.get(entry.place)
    if model is None:
        yield "A person decides: `mlc cleo held` says what there is to decide."
        return
    yield "Correct the record in the ERP, or what makes the row:"
    contract = YamlFile(Path(model.contract_file))
    for column in _columns(model, entry.reason):
        line = contract.line(("columns", column))
        made = f"{model.template.file}:{line_of(model, column)}"
        yield f"  {contract.name}:{line} declares {column}, {made} makes it"
    for use in model.template.uses:
        if use.function == "lookup":
            file = suite.settings.mappings_folder / "lookups" / f"{use.name}.csv"
            yield f"  {_named(file)} is the lookup {use.name}"


def _named(path: Path) -> str:
    """A file as an operator would name it: from the working directory where possible."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _columns(model: Model, reason: str) -> list[str]:
    """The columns a reason speaks of."""
    return [name for name in model.contract.columns if re.search(rf"(^|; |key ){re.escape(name)}\b", reason)]


def _entry(suite: Suite, entry_id: int) -> Entry:
    entry = suite.quarantine.entry(entry_id)
    if entry is None or entry.resolved_at is not None:
        raise NotAReplay(f"{entry_id} is not in quarantine. `mlc quarantine list` shows what is.")
    return entry


def _together(suite: Suite, entries: list[Entry]) -> Plan:
    """One run a pair and company for all the records: from the first day concerned to the last."""
    days: dict[tuple[str, str], list[Span]] = {}
    for entry in entries:
        try:
            spans = plan(suite, What(By.ENTRY, str(entry.id))).spans
        except NotAReplay as no:
            console.print(str(no))
            continue
        for span in spans:
            days.setdefault((span.pair, span.company), []).append(span)
    return Plan(
        tuple(
            Span(*place, min(span.first for span in spans), max(span.last for span in spans))
            for place, spans in sorted(days.items())
        )
    )


def _still_there(suite: Suite, entry: Entry) -> bool:
    now = suite.quarantine.entry(entry.id)
    return now is not None and now.resolved_at is None
