"""`mlc anaplan describe`: what the model offers for our contracts, and what the model builder has to make."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.text import Text

from mlc_dagster.anaplan.describe import Description, Needed, Offer, describe, upload_files
from mlc_dagster.cli.console import console
from mlc_dagster.mappings import Model
from mlc_dagster.mappings.contract import ColumnSpec
from mlc_dagster.settings import load_settings
from mlc_dagster.settings.anaplan import AnaplanDestination
from mlc_dagster.suite import Suite, UnknownDestination

TARGET = "anaplan"
# Cells may have dimensions that no column names. What an import asks for is not in its metadata, so it cannot
# be offered (vendors/anaplan.md section 5).
PROMPTED = "with `parameters: {Version: Actual}` or the like if the import asks for an item when it runs"
STYLES = {"ready": "green", "lacks": "red", "offered": "yellow", "off": "dim"}
# A contract says in words what its values look like: "Company and account, such as NO01|4000."
SUCH_AS = re.compile(r"such as ([^,]+?)\.?$")
EXAMPLES: Mapping[str, Any] = {
    "text": "Example",
    "integer": 1,
    "decimal": Decimal("1234.56"),
    "date": date(2026, 11, 20),
    "timestamp": datetime(2026, 11, 20, 12, tzinfo=UTC),
    "boolean": True,
}


def show_model(destination: str | None, headers: Path | None) -> int:
    """Print what the model offers each feed, and write the files to upload; 1 when something is missing.

    Raises:
        UnknownDestination: no model of the mappings has this name.
        PairOff: the Anaplan pair is not switched on.
        CallFailed: of the client.
    """
    suite = Suite(load_settings())
    found = describe(
        suite.anaplan.client,
        _feeds(suite, destination),
        check=lambda name: suite.destination(f"{TARGET}/{name}").preflight([]),
    )
    _tell_model(found)
    for offer in found.offers:
        _tell_offer(offer)
    if headers is not None:
        _write(headers, found.offers)
    missing = [offer.feed.name for offer in found.offers if offer.on and offer.problems]
    if missing:
        console.print(f"Something is missing for {', '.join(missing)}.")
    return int(bool(missing or found.closed))


def _feeds(suite: Suite, destination: str | None) -> list[Needed]:
    """The feeds of all models for Anaplan, those that are switched on first; or the one that is named."""
    settings = suite.settings.pairs.anaplan
    switched_on: Mapping[str, AnaplanDestination] = settings.destinations if settings else {}
    models = [suite.mappings.models[key] for key in suite.mappings.in_order(TARGET)]
    wanted = [model for model in models if destination in (None, model.key, model.name)]
    if not wanted:
        raise UnknownDestination(str(destination), [model.key for model in models])
    wanted.sort(key=lambda model: model.name not in switched_on)
    return [
        Needed(model.name, _example(suite, model), tuple(model.contract.key), switched_on.get(model.name))
        for model in wanted
    ]


def _example(suite: Suite, model: Model) -> dict[str, Any]:
    """A row as the contract describes it."""
    return {name: _value(suite, spec) for name, spec in model.contract.columns.items()}


def _value(suite: Suite, spec: ColumnSpec) -> Any:
    kind = spec.column_type.kind
    if kind != "text":
        return EXAMPLES[kind]
    if described := SUCH_AS.search(spec.description):
        return described[1]
    for test in spec.tests:
        if test.accepted_values:
            return str(test.accepted_values[0])
        if test.relationships and test.relationships.model:
            related = suite.mappings.models[f"{TARGET}/{test.relationships.model}"]
            return _value(suite, related.contract.columns[test.relationships.column])
    return EXAMPLES[kind]


def _tell_model(found: Description) -> None:
    counts = ", ".join(f"{count} {kind}" for kind, count in found.counts.items())
    console.print(
        f"Model {found.model.name} ({found.model.id}), {found.model.state or 'state unknown'}: {counts}"
    )
    if found.closed:
        console.print(Text(found.closed, style="red"))


def _tell_offer(offer: Offer) -> None:
    verdict = _verdict(offer)
    console.print(
        Text.assemble((f"{verdict:<8}", STYLES[verdict]), f"{TARGET}/{offer.feed.name}{_remark(offer)}")
    )
    for part in offer.parts:
        said = part.problem or f"{part.name} ({part.facts})"
        console.print(Text(f"          {part.role}: {said}", style="red" if part.problem else ""))
    if offer.problems or not offer.parts:
        for name, content in upload_files(offer).items():
            console.print(f"          header of {name!r}: {content.decode().splitlines()[0]}")
    if besides := "; ".join(f"{kind} {', '.join(names)}" for kind, names in offer.besides.items()):
        console.print(Text(f"          not named in the settings: {besides}", style="dim"))


def _verdict(offer: Offer) -> str:
    if offer.on:
        return "lacks" if offer.problems else "ready"
    return "offered" if offer.parts and not offer.problems else "off"


def _remark(offer: Offer) -> str:
    if offer.on:
        return ""
    if offer.settings is None:
        return ", not switched on: the model has no imports of this name"
    if offer.problems:
        return ", not switched on: its imports do not fit yet"
    given = offer.settings.model_dump(exclude_defaults=True)
    words = ", ".join(f"{name}: {value}" for name, value in given.items())
    line = f", not switched on. In mlc.yaml: `{offer.feed.name}: {{{words}}}`"
    return line if offer.settings.list_import else f"{line}, and {PROMPTED}"


def _write(folder: Path, offers: Sequence[Offer]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for offer in offers:
        for name, content in upload_files(offer).items():
            (folder / name).write_bytes(content)
            console.print(f"written: {folder / name}")
