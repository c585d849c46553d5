"""A configuration as the text of mlc.yaml, with what a person has to know beside it."""

from collections.abc import Iterator
from typing import Any

import yaml

from mlc_dagster.settings.whole import Settings

HEAD = """\
# yaml-language-server: $schema={schema}
# The configuration: companies, pairs, schedules, targets. `mlc check` tells what is wrong with it.
# Credentials are only named here, as ${{NAME}}; `mlc credentials set NAME` keeps their values, encrypted.
"""
COMMENTS = {
    "start_day": "the first day of the partition axis; it also holds everything older",
    "timezone": "the clock of the ERP's modification stamps",
    "companies": "the code becomes part of codes in the targets: choose it once",
    "pairs": "those that stand here are switched on",
    "pairs.anaplan.destinations": "imports by name, as the model builder named them: docs/anaplan.md",
    "pairs.asana": "`mlc asana setup` makes its custom fields, once",
    "pairs.asana.destinations": "one entry a model; who may change what: docs/asana.md",
    "pairs.cleo": "orders, invoices and receipts as X12 to partners",
    "pairs.cleo.identities": "who each company is on an envelope",
    "pairs.cleo.partners": "what is agreed with each; whose suppliers: lookups/edi_partners.csv",
    "pairs.powerbi": "`mlc powerbi setup` makes its dataset, once",
    "pairs.powerbi.destinations": "one entry a model in dbt_like_mappings/powerbi",
    "pairs.tableau": "one data source a model, in one project; `mlc tableau setup` makes it",
    "pairs.tableau.destinations": "models in dbt_like_mappings/tableau",
}
WIDTH, COLUMN = 130, 44


def text(data: dict[str, Any], schema: str) -> str:
    """The file: the order of the settings at the top, below it the order of the answers."""
    order = [name for name in Settings.model_fields if name in data]
    ordered = {name: data[name] for name in [*order, *(data.keys() - set(order))]}
    return HEAD.format(schema=schema) + "\n".join(_lines(ordered, ())) + "\n"


def _lines(section: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    for key, value in section.items():
        here = (*place, str(key))
        if not place and isinstance(value, dict):
            yield ""
        start = f"{'  ' * len(place)}{_flow(str(key))}:"
        if _in_one_line(value, start, here):
            yield _commented(f"{start} {_flow(value)}", here)
            continue
        yield _commented(start, here)
        if isinstance(value, dict):
            yield from _lines(value, here)
        else:
            yield from (f"{'  ' * len(here)}- {_flow(each)}" for each in value)


def _in_one_line(value: Any, start: str, place: tuple[str, ...]) -> bool:
    """Whether it reads best as `{a: b, c: d}`: it is small, and no section of its own."""
    if not isinstance(value, dict | list) or not value:
        return True
    deep = isinstance(value, dict) and any(isinstance(each, dict) for each in value.values())
    nested = deep and place[-2:-1] != ("destinations",)
    return len(place) > 1 and not nested and len(f"{start} {_flow(value)}") <= WIDTH


def _flow(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=9999)
    return written.removesuffix("\n").removesuffix("\n...")


def _commented(line: str, place: tuple[str, ...]) -> str:
    comment = COMMENTS.get(".".join(place))
    return f"{line:<{COLUMN}} # {comment}" if comment else line
