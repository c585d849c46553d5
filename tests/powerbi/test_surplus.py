"""Rows of a table that should not be there: what a repair makes of them."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mlc_dagster.delivery import Comparison, condemn, reconcile
from tests.powerbi.tenant import DIMENSION, FACT, Installation, invoice, supplier


def compared(ours: Installation, name: str) -> Comparison:
    read_back = ours.powerbi.read_back(name.split("/")[1])
    assert read_back is not None
    return reconcile(ours.ledger, read_back, name, "NO01", tombstone=None)


def posted(ours: Installation, table: str, **values: Any) -> None:
    """A row of somebody else."""
    body = json.dumps({"rows": [values]}).encode()
    ours.powerbi.client.post_rows(ours.powerbi.dataset.id, table, body)
    ours.clock.sleep(5)


def repaired(ours: Installation, world: Any, name: str) -> None:
    found, table = compared(ours, name).surplus.values(), ours.powerbi.destination(name.split("/")[1])
    assert condemn(table, "NO01", found, ledger=ours.ledger, run_id="2", reason="nobody sent it") == 1
    assert ours.deliver([], name=name).deleted == 1
    world.clock.advance(timedelta(seconds=5))
    assert compared(ours, name).equal


@pytest.mark.parametrize("mode", ["slots", "log"])
def test_a_row_of_a_fact_that_nobody_sent_counts_no_more(
    install: Callable[..., Installation], world: Any, mode: str
) -> None:
    ours = install(modes={"supplier_invoices": mode})
    ours.set_up()
    ours.deliver([invoice("1", "5")])
    stray = {"Code": "NO01|Invoice|9", "Company": "NO01", "Amount": 50, "_version": 10**3, "_deleted": 0}
    posted(ours, "Supplier invoices A", **stray)
    assert list(compared(ours, FACT).surplus) == ["NO01|Invoice|9"]
    repaired(ours, world, FACT)


def test_a_row_of_a_dimension_that_nobody_sent_is_gone_with_the_next_load(
    ours: Installation, world: Any
) -> None:
    ours.deliver([supplier("1")], name=DIMENSION)
    posted(ours, "Suppliers", Code="NO01|9", Supplier="Blåbær AS")
    assert list(compared(ours, DIMENSION).surplus) == ["NO01|9"]
    repaired(ours, world, DIMENSION)
