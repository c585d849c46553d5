"""Control numbers after a database was restored: partners drop a file with one that they have seen."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from typer.testing import Result

from mlc_dagster.database.schema import control_numbers, metadata
from mlc_sandbox.cleo.world import World
from tests.cleo.tenant import Installation, order


@pytest.mark.parametrize("backup", ["had given numbers", "had given none"])
def test_numbers_that_partners_have_seen_are_left_out_also_where_the_backup_had_none(
    ours: Installation, engine: sa.Engine, world: World, commands: Callable[..., Result], backup: str
) -> None:
    kept = {control_numbers.name} if backup == "had given numbers" else set()
    ours.deliver(order("1"))
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in kept:
                connection.execute(table.delete())
    assert "100000 higher" in commands("skip-numbers").output
    ours.deliver(order("2"))
    received = world.received()
    assert received["refused"] == []
    numbers = {document["number"]: document["isa13"] for document in received["documents"]["850"]}
    assert numbers == {"1": ["000000001"], "2": [f"{100_002 if kept else 100_001:09}"]}
