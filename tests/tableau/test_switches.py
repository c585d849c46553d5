"""What Tableau's documentation leaves open: whichever way it is, the extract holds what the ERP says."""

from typing import Any

from mlc_dagster.delivery import reconcile
from mlc_sandbox.server import Sandbox
from tests.tableau.site import INVOICES, SUPPLIERS, Installation, invoice, supplier

OTHER_WAYS: dict[str, Any] = {
    "column_matching": "position",
    "datasource_type": "extract",
    "duplicate_source_keys": "fails",
    "list_sites": True,
    "missing_column": "fails",
    "more_operators": True,
    "null_keys": "equal",
    "one_update_at_a_time": True,
    "password_sign_in": False,
    "project_names": "per_site",
    "replace_mode": "overwrite",
    "request_hours": 1,
    "rest_version": "3.19",
    "session_minutes": 30,
    "unknown_column": "ignored",
    "update_fires_event": True,
    "upload_hours": 1,
    "upload_reuse": "allowed",
}


def test_rows_that_come_change_and_go_are_in_the_extract_once(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.tableau.switches.update(OTHER_WAYS)
    first = [invoice("1"), invoice("2", supplier_reference="F-2"), invoice("3")]
    ours.deliver(first)
    ours.deliver([supplier("50000"), supplier("50001")], name=SUPPLIERS)
    ours.clock.sleep(40 * 60)
    sandbox.faults.arm("tableau", "drop_connection", match=r"PATCH .*/data\?", times=1, when="after")
    later = [invoice("1"), invoice("2", "20", supplier_reference=None), invoice("4")]
    ours.heal(lambda: ours.deliver(later, gone=[first[2]]))
    ours.clock.sleep(2 * 3600)
    ours.heal(lambda: ours.deliver([supplier("50000", "Multe"), supplier("50001")], name=SUPPLIERS))
    assert sandbox.faults.armed() == []
    assert ours.shown() == ours.wanted(later)
    for name in (INVOICES, SUPPLIERS):
        read_back = ours.tableau.read_back(name.split("/")[1])
        found = reconcile(ours.ledger, read_back, name, "NO01", tombstone=None)
        assert found.equal, found.differences
