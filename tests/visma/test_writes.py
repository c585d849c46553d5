"""Writes lose nobody's change and happen once."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from mlc_dagster.transport import Conflict, InDoubt, Refused
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.writes import RecordMissing, create, update, wrapped

SUPPLIERS = ENTITIES["suppliers"]


def test_scalars_and_sections_are_wrapped_and_nulls_left_out():
    body = wrapped(
        {
            "name": "Nordvik AS",
            "note": None,
            "amount": Decimal("12.50"),
            "date": date(2026, 11, 20),
            "at": datetime(2026, 11, 20, 10, 0),  # noqa: DTZ001 - the ERP's wall time
            "mainAddress": {"city": "Oslo", "county": None},
            "overrideWithClassValues": True,
            "lines": [
                {
                    "operation": "Update",
                    "lineNumber": 1,
                    "subaccount": [{"segmentId": 1, "segmentValue": "10"}],
                }
            ],
        }
    )
    assert body == {
        "name": {"value": "Nordvik AS"},
        "amount": {"value": Decimal("12.50")},
        "date": {"value": "2026-11-20T00:00:00"},
        "at": {"value": "2026-11-20T10:00:00"},
        "mainAddress": {"value": {"city": {"value": "Oslo"}}},
        "overrideWithClassValues": True,
        "lines": [
            {
                "operation": "Update",
                "lineNumber": {"value": 1},
                "subaccount": [{"segmentId": 1, "segmentValue": "10"}],
            }
        ],
    }
    with pytest.raises(ValueError, match="has a zone"):
        wrapped({"date": datetime(2026, 11, 20, tzinfo=UTC)})


def set_city(city: str):
    return lambda record: None if record["mainAddress"]["city"] == city else {"mainAddress": {"city": city}}


def test_a_change_is_sent_once_and_not_again(erp):
    key = sorted(erp.keys("suppliers"))[0]
    assert update(erp.client, SUPPLIERS, key, set_city("Ålesund")) is True
    assert erp.client.single(SUPPLIERS, key)["mainAddress"]["city"] == "Ålesund"
    assert update(erp.client, SUPPLIERS, key, set_city("Ålesund")) is False
    assert erp.sandbox.log.count("visma", method="PUT") == 1


def test_a_change_somebody_made_in_between_is_kept(erp):
    key = sorted(erp.keys("suppliers"))[0]
    seen = []

    def change(record):
        if not seen:
            erp.visma.change("NO01", "supplier", key, {"name": "Renamed by somebody AS"})
        seen.append(record["name"])
        return {"corporateId": f"{len(record['name'])}"}

    update(erp.client, SUPPLIERS, key, change)
    record = erp.client.single(SUPPLIERS, key)
    assert (record["name"], record["corporateId"]) == (
        "Renamed by somebody AS",
        str(len("Renamed by somebody AS")),
    )
    assert [call.status for call in erp.sandbox.log.calls("visma", method="PUT")] == [412, 204]


def test_a_record_that_changes_all_the_time_is_given_up(erp):
    key = sorted(erp.keys("suppliers"))[0]
    erp.sandbox.faults.arm("visma", "changed_meanwhile", times=None)
    with pytest.raises(Conflict) as conflict:
        update(erp.client, SUPPLIERS, key, set_city("Ålesund"))
    assert conflict.value.status == 412
    assert erp.sandbox.log.count("visma", method="PUT") == 5


def test_a_put_whose_answer_was_lost_ends_with_the_change_made_once(erp):
    key = sorted(erp.keys("suppliers"))[0]
    erp.sandbox.faults.arm("visma", "drop_connection", match="PUT", when="after")
    update(erp.client, SUPPLIERS, key, set_city("Ålesund"))
    assert erp.client.single(SUPPLIERS, key)["mainAddress"]["city"] == "Ålesund"


def test_a_missing_record_and_a_refused_change_are_told(erp):
    with pytest.raises(RecordMissing, match="suppliers 999 is not at its address"):
        update(erp.client, SUPPLIERS, "999", set_city("Oslo"))
    key = sorted(erp.keys("suppliers"))[0]
    with pytest.raises(Refused, match="not valid for status"):
        update(erp.client, SUPPLIERS, key, lambda _: {"status": "Sleeping"})


def receipt(reference: str) -> dict:
    lines = [{"operation": "Insert", "inventoryId": "A1", "receiptQty": Decimal("10.5"), "uom": "STK"}]
    return {
        "receiptType": "PoReceipt",
        "hold": True,
        "date": date(2026, 11, 20),
        "supplierRef": reference,
        "lines": lines,
    }


def look_up(erp, reference: str):
    def find() -> str | None:
        rows = erp.client.page(ENTITIES["purchase_receipts"]).records
        return next((row["receiptNbr"] for row in rows if row.get("supplierRef") == reference), None)

    return find


@pytest.fixture
def a_supplier(erp) -> str:
    return sorted(erp.keys("suppliers"))[0]


def test_a_record_is_created_once_however_often_it_is_asked_for(erp, a_supplier):
    body = {**receipt("MLC-1"), "supplierId": a_supplier}
    before = len(erp.keys("purchase_receipts"))
    first = create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-1"))
    second = create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-1"))
    assert first == second
    assert len(erp.keys("purchase_receipts")) == before + 1


def test_a_record_is_noted_each_time_its_call_leaves_and_not_where_it_is_there_already(erp, a_supplier):
    body, notes = {**receipt("MLC-3"), "supplierId": a_supplier}, []

    def leaving() -> None:
        notes.append(erp.sandbox.log.count("visma", method="POST", match="PurchaseReceipt"))

    erp.sandbox.faults.arm("visma", "unauthorized", match="POST .*PurchaseReceipt")
    for _ in range(2):
        create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-3"), leaving=leaving)
    assert notes == [0, 1]


@pytest.mark.parametrize(
    "fault",
    [
        ("drop_connection", {"when": "after"}),
        ("drop_connection", {"when": "before"}),
        ("server_error", {"status": 500}),
    ],
    ids=str,
)
def test_a_lost_answer_is_resolved_by_asking_never_by_sending_again(erp, a_supplier, fault):
    name, params = fault
    before = len(erp.keys("purchase_receipts"))
    erp.sandbox.faults.arm("visma", name, match="POST .*PurchaseReceipt", **params)
    body = {**receipt("MLC-2"), "supplierId": a_supplier}
    if params == {"when": "after"}:
        assert create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-2"))
    else:
        with pytest.raises(InDoubt):
            create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-2"))
        create(erp.client, "/v1/PurchaseReceipt", body, look_up=look_up(erp, "MLC-2"))
    assert len(erp.keys("purchase_receipts")) == before + 1
