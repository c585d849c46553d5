"""What Power BI's documentation leaves open: whichever way it is, the measures show what the ERP says."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from mlc_dagster.delivery import reconcile
from mlc_sandbox.server import Sandbox
from tests.powerbi.tenant import DIMENSION, FACT, Installation, invoice, supplier

OTHER_WAYS: dict[str, Any] = {
    "datetime_offset": "dropped",
    "delete_resets_sequence": True,
    "large_table_scope": "table",
    "large_table_rows": 3,
    "least_write_role": "Member",
    "long_string": "cut",
    "one_side_duplicates": "query_error",
    "pending_until": "visible",
    "put_breaking_change": "applied",
    "token_minutes_least": 6,
    "token_minutes_most": 6,
    "unknown_column": "ignored",
    "visible_after_queries": 2,
    "visible_after_seconds": 20,
}


@pytest.mark.parametrize(("mode", "sequence_numbers"), [("slots", "ignored"), ("log", "reject_not_greater")])
def test_rows_that_come_change_and_go_are_shown_once(
    install: Callable[..., Installation],
    sandbox: Sandbox,
    value: Callable[[str], Any],
    mode: str,
    sequence_numbers: str,
) -> None:
    sandbox.powerbi.switches.update(OTHER_WAYS, sequence_numbers=sequence_numbers)
    ours = install(modes={"supplier_invoices": mode})
    ours.set_up()
    first = [invoice("1", "1"), invoice("2", "10", description="ø" * 4_001), invoice("3", "100")]
    ours.deliver([supplier("50000"), supplier("50001")], name=DIMENSION)
    ours.deliver(first)
    sandbox.faults.arm("powerbi", "drop_connection", match="POST .*/rows", times=1, when="after")
    later = [invoice("1", "1"), invoice("2", "20"), invoice("4", "1000", supplier="NO01|50001")]
    ours.heal(lambda: ours.deliver(later, gone=[first[2]]))
    ours.heal(lambda: ours.deliver([supplier("50001", "Multe")], name=DIMENSION))
    assert sandbox.faults.armed() == []
    assert value("[Supplier amount]") == Decimal(1021)
    assert value("[Supplier documents]") == 3
    assert value("CALCULATE ( [Supplier amount], 'Suppliers'[Supplier] = \"Multe\" )") == 1000
    for name in (FACT, DIMENSION):
        read_back = ours.powerbi.read_back(name.split("/")[1])
        found = reconcile(ours.ledger, read_back, name, "NO01", tombstone=None)
        assert found.equal, found.differences


@pytest.mark.parametrize("mode", ["slots", "log"])
@pytest.mark.parametrize(
    "limits",
    [
        {"queries_per_minute": 2},
        {"posts_per_minute": 2},
        {"large_table_rows": 2, "large_table_posts_per_hour": 1},
    ],
    ids=str,
)
def test_limits_lower_than_the_settings_say_cost_time_only(
    install: Callable[..., Installation],
    sandbox: Sandbox,
    value: Callable[[str], Any],
    mode: str,
    limits: dict[str, int],
) -> None:
    ours = install(modes={"supplier_invoices": mode})
    ours.set_up()
    sandbox.powerbi.switches.update(limits)
    for amount in ("1", "2", "3"):
        rows = [invoice(str(number), amount) for number in range(3)]
        ours.heal(partial(ours.deliver, rows))
    sandbox.powerbi.switches["limits"] = False
    assert value("[Supplier amount]") == 9
