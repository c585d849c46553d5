"""Single reads with ETags, PUT with wrapped values, POST that may double, DELETE of drafts."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.server import Sandbox
from mlc_sandbox.world.store import Record
from tests.sandbox.conftest import Erp, exact

ADDRESS = {
    "mainAddress": {"value": {"addressLine1": {"value": "Storgata 1"}, "countryId": {"value": "SE"}}},
    "creditTermsId": {"value": "7"},
}


def first(erp: Erp, entity: str, status: str, kind: str = "") -> Record:
    table = erp.world.table(entity)
    return next(r for r in table if table.row(r)["status"] == status and r.key.startswith(kind))


def test_the_etag_is_the_quoted_row_version(erp: Erp) -> None:
    row = erp.rows("v1/supplier")[0]
    answer = erp.get(f"v1/supplier/{row['number']}")
    assert answer.headers["ETag"] == f'"{row["timeStamp"]}"'
    assert len(base64.b64decode(row["timeStamp"])) == 8
    assert "ETag" not in erp.get("v1/branch/1").headers


def test_put_merges_what_is_named_and_moves_stamp_and_version(sandbox: Sandbox, erp: Erp) -> None:
    before = exact(erp.get("v1/supplier/50000"))
    answer = erp.call("PUT", "v1/supplier/50000", json=ADDRESS)
    assert (answer.status_code, answer.content) == (204, b"")
    read = erp.get("v1/supplier/50000")
    after = exact(read)
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert after["mainAddress"]["addressLine1"] == "Storgata 1"
    assert after["mainAddress"]["country"] == {"id": "SE"}
    assert after["mainAddress"]["city"] == before["mainAddress"]["city"]
    assert after["creditTerms"] == {"id": "7"}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"mainAddress", "creditTerms", "lastModifiedDateTime", "timeStamp"}
    assert sandbox.log.count("visma", method="PUT") == 1


def test_a_stale_etag_is_412_and_changes_nothing(erp: Erp) -> None:
    etag = erp.get("v1/supplier/50000").headers["ETag"]
    new = erp.call(
        "PUT", "v1/supplier/50000", json={"note": {"value": "a"}}, headers={"If-Match": etag}
    ).headers["ETag"]
    assert (
        erp.call(
            "PUT", "v1/supplier/50000", json={"note": {"value": "b"}}, headers={"If-Match": etag}
        ).status_code
        == 412
    )
    assert erp.get("v1/supplier/50000").json()["note"] == "a"
    assert (
        erp.call(
            "PUT", "v1/supplier/50000", json={"note": {"value": "c"}}, headers={"If-Match": new}
        ).status_code
        == 204
    )


def test_without_if_match_the_last_write_wins_and_null_is_not_a_value(erp: Erp) -> None:
    erp.call("PUT", "v1/supplier/50000", json={"note": {"value": "first"}, "name": {"value": None}})
    erp.call("PUT", "v1/supplier/50000", json={"Note": {"Value": "second"}})
    row = erp.get("v1/supplier/50000").json()
    assert row["note"] == "second"
    assert row["name"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"status": {"value": "Gone"}}', 400), (b"{}", 204)],
)
def test_bodies_are_checked(erp: Erp, body: bytes, status: int) -> None:
    assert erp.call("PUT", "v1/supplier/50000", data=body).status_code == status


def test_unknown_ids_are_404(erp: Erp) -> None:
    for path in ("v1/supplier/1", "v1/supplierInvoice/Invoice/1", "v1/dimension/NONE", "v1/background/x"):
        answer = erp.get(path)
        assert answer.status_code == 404
        assert answer.json()["message"]


def test_the_same_number_lives_under_several_types(erp: Erp) -> None:
    types = {}
    for record in erp.records("supplierInvoice"):
        kind, number = record.key.split("|")
        types.setdefault(number, set()).add(kind)
    number = next(number for number, kinds in types.items() if kinds >= {"Invoice", "CreditAdj"})
    assert erp.get(f"v1/supplierInvoice/{number}").json()["documentType"] == "Invoice"
    for kind in types[number]:
        assert erp.get(f"v1/supplierInvoice/{kind}/{number}").json()["documentType"] == kind


def test_ids_may_come_as_base64url(erp: Erp) -> None:
    name = base64.urlsafe_b64encode(b"50000").decode().rstrip("=")
    assert erp.get(f"v1/supplier/b64({name})").json()["number"] == "50000"
    value = base64.b64encode(b"110").decode()
    assert erp.get(f"v1/dimension/SUBACCOUNT/1/{value}").json()["valueId"] == "110"


def test_a_released_document_takes_a_note_but_no_amount(erp: Erp) -> None:
    kind, number = first(erp, "supplierInvoice", "Open").key.split("|")
    path = f"v1/supplierInvoice/{kind}/{number}"
    assert erp.call("PUT", path, json={"note": {"value": "Betales i mai"}}).status_code == 204
    refused = erp.call("PUT", path, json={"dueDate": {"value": "2026-12-01T00:00:00"}})
    assert refused.status_code == 400
    assert "already released" in refused.json()["message"]


def test_lines_by_operation(erp: Erp) -> None:
    record = first(erp, "purchaseorder", "Open", "RegularOrder")
    path = f"v1/purchaseorder/{record.key.split('|')[1]}"
    before = erp.get(path).json()["lines"]
    update = {"operation": "Update", "lineNumber": {"value": "1"}, "lineDescription": {"value": "Endret"}}
    insert = {"operation": "Insert", "inventoryId": {"value": "A1"}, "orderQty": {"value": 3}}
    assert erp.call("PUT", path, json={"lines": [update, insert]}).status_code == 204
    after = erp.get(path).json()["lines"]
    assert [line["lineNbr"] for line in after] == [*(line["lineNbr"] for line in before), len(before) + 1]
    assert after[0]["lineDescription"] == "Endret"
    assert after[1:-1] == before[1:]
    drop = {"operation": "Delete", "lineNumber": {"value": len(before) + 1}}
    assert erp.call("PUT", path, json={"lines": [drop]}).status_code == 204
    assert len(erp.get(path).json()["lines"]) == len(before)
    missing = {"operation": "Update", "lineNumber": {"value": 99}}
    assert erp.call("PUT", path, json={"lines": [missing]}).status_code == 400


def receipt_body(erp: Erp, **line: Any) -> dict[str, Any]:
    order = first(erp, "purchaseorder", "Open", "RegularOrder")
    row = erp.world.table("purchaseorder").row(order)
    entry = {
        "operation": "Insert",
        "poOrderType": {"value": "RegularOrder"},
        "poOrderNbr": {"value": row["orderNbr"]},
        "poOrderLineNbr": {"value": 1},
        "receiptQty": {"value": 2.5},
    }
    return {
        "supplierId": {"value": row["supplier"]["number"]},
        "hold": {"value": True},
        "date": {"value": "2026-09-01T00:00:00"},
        "lines": [entry | line],
    }


def test_a_posted_receipt_is_there_with_its_order_and_a_second_post_makes_a_second_one(erp: Erp) -> None:
    body = receipt_body(erp)
    created = erp.call("POST", "v1/PurchaseReceipt", json=body)
    assert (created.status_code, created.content) == (201, b"")
    # The host is the other generation's: only the last segment counts.
    assert created.headers["Location"].startswith("https://integration.visma.net/")
    number = created.headers["Location"].rsplit("/", 1)[1]
    receipt = exact(erp.get(f"v2/PurchaseReceipt/{number}"))
    line = receipt["lines"][0]
    assert (receipt["status"], receipt["date"], line["receiptQty"]) == (
        "Hold",
        "2026-09-01T00:00:00",
        Decimal("2.5"),
    )
    assert receipt["totalAmt"] == line["amount"] == line["unitCost"] * Decimal("2.5")
    order = erp.get(f"v1/purchaseorder/{line['poOrderNbr']}").json()
    assert number in {entry["receiptNumber"] for entry in order["purchaseReceipts"]}
    again = erp.call("POST", "v1/PurchaseReceipt", json=body).headers["Location"].rsplit("/", 1)[1]
    assert again != number


def test_receipts_of_nothing_are_refused(erp: Erp) -> None:
    for body in (
        receipt_body(erp, poOrderNbr={"value": "1"}),
        receipt_body(erp) | {"supplierId": {"value": "nobody"}},
        receipt_body(erp) | {"lines": []},
    ):
        assert erp.call("POST", "v1/PurchaseReceipt", json=body).status_code == 400


def test_only_drafts_can_be_deleted(erp: Erp) -> None:
    kind, number = first(erp, "supplierInvoice", "Hold").key.split("|")
    assert erp.call("DELETE", f"v1/supplierInvoice/{kind}/{number}").status_code == 204
    assert erp.get(f"v1/supplierInvoice/{kind}/{number}").status_code == 404
    kind, number = first(erp, "supplierInvoice", "Open").key.split("|")
    assert erp.call("DELETE", f"v1/supplierInvoice/{kind}/{number}").status_code == 400
    assert erp.call("DELETE", "v1/supplier/50000").status_code == 405


BACKGROUND = {"erp-api-background": "subscription"}


class TestBackground:
    def test_a_write_is_done_later_and_told_by_its_state(self, sandbox: Sandbox, erp: Erp) -> None:
        accepted = erp.call("POST", "v1/PurchaseReceipt", json=receipt_body(erp), headers=BACKGROUND)
        assert accepted.status_code == 202
        path = accepted.json()["stateLocation"].split("/visma/api/")[1]
        assert erp.get(path).json()["status"] == "Started"
        state = erp.get(path).json()
        assert (state["status"], state["statusCode"]) == ("Finished", 201)
        number = state["responseHeaders"]["Location"].rsplit("/", 1)[1]
        assert erp.get(f"v2/PurchaseReceipt/{number}").status_code == 200
        assert Erp(sandbox, "SE01").get(path).status_code == 403

    def test_finished_may_be_a_failure(self, erp: Erp) -> None:
        accepted = erp.call("PUT", "v1/supplier/50000", data=b"{", headers=BACKGROUND).json()
        states = [erp.get(f"v1/background/{accepted['id']}").json() for _ in range(2)]
        assert (states[1]["status"], states[1]["statusCode"]) == ("Finished", 400)

    def test_can_be_switched_off(self, sandbox: Sandbox, erp: Erp) -> None:
        sandbox.visma.switches["background"] = "ignored"
        assert erp.call("GET", "v1/supplier", headers=BACKGROUND).status_code == 200


def test_error_bodies_take_the_switched_form(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.visma.switches["error_body"] = "html"
    assert erp.get("v1/supplier/1").text.startswith("<html>")
    sandbox.visma.switches["error_body"] = "empty"
    assert erp.get("v1/supplier/1").content == b""
