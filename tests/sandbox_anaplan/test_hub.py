"""The hub's feeds and the product's contracts are written apart; here they are held together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlc_sandbox.anaplan import hub

CONTRACTS = Path(__file__).parents[2] / "dbt_like_mappings" / "anaplan"
KINDS = {
    "text": {"TEXT", "LIST"},
    "integer": {"TEXT", "NUMBER"},
    "decimal": {"NUMBER"},
    "date": {"DATE"},
    "boolean": {"BOOLEAN"},
}


FED = (*hub.FEEDS, hub.ACTUALS)


def contract(feed: hub.Feed | hub.Cube) -> dict[str, Any]:
    return yaml.safe_load((CONTRACTS / f"{feed.key}.yml").read_text())


@pytest.mark.parametrize("feed", FED, ids=lambda feed: feed.key)
def test_a_feeds_header_is_the_contracts_columns_in_their_order(feed: hub.Feed | hub.Cube) -> None:
    assert list(contract(feed)["columns"]) == list(feed.headers)


@pytest.mark.parametrize("feed", hub.FEEDS, ids=lambda feed: feed.key)
def test_a_line_item_can_hold_what_its_contract_column_sends(feed: hub.Feed) -> None:
    columns = contract(feed)["columns"]
    for column in feed.columns:
        assert column.kind in KINDS[columns[column.name]["type"].partition("(")[0]], column.name


def test_the_cubes_numbers_are_exact_in_their_contract() -> None:
    columns = contract(hub.ACTUALS)["columns"]
    assert {columns[name]["type"] for name in hub.ACTUALS.numbers} == {"decimal(28,4)"}


def test_no_contract_is_without_a_feed() -> None:
    assert {path.stem for path in CONTRACTS.glob("*.yml")} == {feed.key for feed in FED}
