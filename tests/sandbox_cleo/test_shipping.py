"""Ship notices, what becomes of our 997s to them, and supplier master data."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.cleo.shipping import POISONS
from mlc_sandbox.cleo.suppliers import BROKEN_FILES, FIELDS, INVALID
from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.server import Sandbox, build
from mlc_sandbox.visma import VismaVendor

from .conftest import ORDER, Mailbox, acknowledge, group, interchange, order, segments, transaction


@pytest.fixture
def ordered(mailbox: Mailbox) -> Mailbox:
    """An order has arrived; its 997 has been fetched."""
    mailbox.upload(order())
    (name,) = mailbox.listed()
    mailbox.delete(name)
    return mailbox


def shipped(text: str) -> list[tuple[str, str, str]]:
    """(line, quantity, unit) of each SN1."""
    return [tuple(segment.split("*")[1:4]) for segment in segments(text, "SN1")]  # type: ignore[misc]


class TestNotices:
    def test_a_notice_is_a_correct_856_of_the_order(self, ordered: Mailbox) -> None:
        told = ordered.ship()
        (text,) = ordered.texts()
        assert shipped(text) == [("1", "10", "EA"), ("2", "2.5", "MR")]
        assert segments(text, "PRF") == ["PRF*PO000123***20261120"]
        assert segments(text, "N1")[0] == "N1*SF*NORDLYS KOMPONENT AB*92*50017"
        assert segments(text, "HL") == ["HL*1**S*1", "HL*2*1*O*1", "HL*3*2*I*0", "HL*4*2*I*0"]
        assert segments(text, "LIN")[0] == "LIN*1*BP*SKRUE-M8*VP*NK-8801"
        assert told["files"] == ordered.listed()
        # The partners' own reader takes it too, when it goes the other way.
        ordered.upload(text.replace(f"*ZZ*{'MLCNO01':15}*", f"*ZZ*{'KONTINENT':15}*"), "x.edi")
        assert ordered.received()["documents"]["856"][0]["number"] == told["number"]

    def test_part_then_the_rest(self, ordered: Mailbox) -> None:
        ordered.ship(how="partial")
        ordered.ship(how="full")
        first, rest = ordered.texts()
        assert shipped(first) == [("1", "5", "EA"), ("2", "1.25", "MR")]
        assert shipped(rest) == [("1", "5", "EA"), ("2", "1.25", "MR")]
        assert segments(first, "BSN") != segments(rest, "BSN")
        reply = ordered.control("POST", "/ship", json={"order": "PO000123"})
        assert (reply.status_code, "left to ship" in reply.json()["error"]) == (400, True)

    def test_more_than_was_ordered(self, ordered: Mailbox) -> None:
        ordered.ship(how="over")
        assert shipped(ordered.texts()[0]) == [("1", "11", "EA"), ("2", "3.5", "MR")]

    def test_another_unit_than_was_ordered(self, ordered: Mailbox) -> None:
        ordered.ship(how="unit")
        (text,) = ordered.texts()
        assert shipped(text) == [("1", "10", "CA"), ("2", "2.5", "CA")]
        assert segments(text, "SN1")[0] == "SN1*1*10*CA**10*EA"

    def test_the_same_notice_in_two_interchanges(self, ordered: Mailbox) -> None:
        ordered.ship(how="twice")
        one, other = ordered.texts()
        assert segments(one, "BSN") == segments(other, "BSN")
        assert one[90:99] != other[90:99]

    def test_a_notice_is_cancelled_by_its_number(self, ordered: Mailbox) -> None:
        told = ordered.ship()
        ordered.ship(how="cancel")
        assert segments(ordered.texts()[1], "BSN")[0].startswith(f"BSN*01*{told['number']}*")

    @pytest.mark.parametrize("poison", POISONS)
    def test_a_poisoned_notice_is_broken_in_the_way_that_was_asked_for(
        self, ordered: Mailbox, poison: str
    ) -> None:
        ordered.ship(how="poison", poison=poison)
        (text,) = ordered.texts()
        told = {
            "truncated": not text.endswith("~") and "IEA" not in text,
            "not_x12": not text.startswith("ISA"),
            "count": "SE*3*" in text,
            "parent": "HL*2*9*O*1" in text,
            "order": "PRF*NO-SUCH-PO000123" in text,
            "receiver": "SOMEONEELSE" in text,
        }
        assert told[poison]
        assert ordered.ship()["lines"], "poison ships nothing"

    def test_an_unknown_order_and_unknown_words(self, ordered: Mailbox) -> None:
        for wrong, status in (
            ({"order": "none"}, 404),
            ({"order": "PO000123", "how": "by air"}, 400),
            ({"order": "PO000123", "colour": "red"}, 400),
        ):
            reply = ordered.control("POST", "/ship", json=wrong)
            assert reply.status_code == status
            assert reply.json()["error"]

    @pytest.mark.parametrize(
        ("status", "state"), [("A", "accepted"), ("E", "accepted with errors"), ("R", "rejected")]
    )
    def test_our_997_reaches_the_notice_whatever_zeros_it_has(
        self, ordered: Mailbox, status: str, state: str
    ) -> None:
        told = ordered.ship()
        ordered.upload(acknowledge(f"000{told['gs06']}", status), "997.edi")
        (notice,) = ordered.control("GET", "/notices").json()
        assert (notice["state"], notice["acknowledged"]) == (state, [status])
        assert ordered.received()["acknowledgments"][0]["notices"] == [told["number"]]

    def test_another_buyer_s_997_says_nothing_of_this_one_s_notices(self, ordered: Mailbox) -> None:
        """Groups are counted for each buyer, so both have a first one."""
        told = ordered.ship()
        ordered.upload(acknowledge(told["gs06"]).replace("MLCNO01", "MLCSE01"), "997.edi")
        (notice,) = ordered.control("GET", "/notices").json()
        assert (notice["state"], notice["acknowledged"]) == ("sent", [])

    def test_a_second_997_is_noticed(self, ordered: Mailbox) -> None:
        told = ordered.ship()
        for control in (900, 901):
            ordered.upload(acknowledge(told["gs06"], control=control), f"{control}.edi")
        (notice,) = ordered.control("GET", "/notices").json()
        assert notice["acknowledged"] == ["A", "A"]

    def test_our_ta1_rejects_a_notice(self, ordered: Mailbox) -> None:
        told = ordered.ship()
        ta1 = f"TA1*{told['isa13']}*261121*0915*R*025~"
        ordered.upload(interchange([], 950).replace("IEA*0", f"{ta1}IEA*0"), "ta1.edi")
        (notice,) = ordered.control("GET", "/notices").json()
        assert notice["state"] == "rejected"
        assert ordered.listed() == told["files"]

    def test_a_notice_speaks_the_orders_version(self, mailbox: Mailbox) -> None:
        text = interchange([group("PO", [transaction("850", ORDER)], version="005010")], version="00501")
        mailbox.upload(text.replace("*U*00501", "*^*00501"))
        mailbox.ship()
        for answer in mailbox.texts():
            assert answer[82:89] == "^*00501"
            assert segments(answer, "GS")[0].endswith("*005010")


class TestSuppliers:
    ROW = dict.fromkeys(FIELDS, "x") | {
        "company": "NO01",
        "number": "50017",
        "name": "Nordlys Komponent AB",
        "postal_code": "41117",
        "country": "SE",
    }

    def put(self, mailbox: Mailbox, name: str = "suppliers_NO01.json") -> None:
        if name.endswith(".json"):
            content = json.dumps({"suppliers": [self.ROW]})
        else:
            text = io.StringIO()
            writer = csv.DictWriter(text, FIELDS)
            writer.writeheader()
            writer.writerow(self.ROW)
            content = text.getvalue()
        assert mailbox.upload(content, name).status_code == 201

    @pytest.mark.parametrize("name", ["suppliers_NO01.json", "suppliers_NO01.csv", "any.json"])
    def test_master_data_is_kept_and_shown(self, mailbox: Mailbox, name: str) -> None:
        self.put(mailbox, name)
        told = mailbox.control("GET", "/suppliers").json()
        assert told["held"] == [self.ROW]
        assert [(file["file"], file["rows"], file["error"]) for file in told["files"]] == [(name, 1, "")]
        assert mailbox.listed() == []

    def test_a_file_that_cannot_be_read_is_kept_with_its_error(self, mailbox: Mailbox) -> None:
        mailbox.upload('{"suppliers": [', "suppliers_x.json")
        (file,) = mailbox.control("GET", "/suppliers").json()["files"]
        assert file["error"]
        assert mailbox.world.jobs[-1].status == "issue"

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_a_supplier_moves(self, mailbox: Mailbox, form: str) -> None:
        self.put(mailbox)
        body = {"company": "NO01", "number": "50017", "form": form, "fields": {"city": "Malmö"}}
        told = mailbox.control("POST", "/supplier-change", json=body).json()
        assert mailbox.listed() == [told["file"]]
        text = mailbox.get(told["file"]).content.decode()
        rows = json.loads(text)["suppliers"] if form == "json" else list(csv.DictReader(io.StringIO(text)))
        assert rows == [told["row"]]
        assert rows[0]["city"] == "Malmö"
        assert rows[0]["address_line1"] != "x"
        assert mailbox.control("GET", "/suppliers").json()["held"] == [told["row"]]

    @pytest.mark.parametrize("invalid", [*INVALID, *BROKEN_FILES])
    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_changes_that_cannot_be_right(self, mailbox: Mailbox, invalid: str, form: str) -> None:
        self.put(mailbox)
        body = {"company": "NO01", "number": "50017", "form": form, "invalid": invalid}
        told = mailbox.control("POST", "/supplier-change", json=body).json()
        content = mailbox.get(told["file"]).content
        if invalid in INVALID:
            field, value = INVALID[invalid]
            assert told["row"][field] == value
            assert (value or ",,").encode() in content or form == "json"
        elif invalid == "encoding":
            with pytest.raises(UnicodeDecodeError):
                content.decode()
        else:
            assert len(content) < len(json.dumps(told["row"]))
        assert mailbox.control("GET", "/suppliers").json()["held"] == [self.ROW]

    def test_an_unknown_supplier_and_unknown_words(self, mailbox: Mailbox) -> None:
        self.put(mailbox)
        for wrong, status in (
            ({"company": "NO01", "number": "1"}, 404),
            ({"company": "NO01", "number": "50017", "form": "xml"}, 400),
            ({"company": "NO01", "number": "50017", "invalid": "colour"}, 400),
        ):
            assert mailbox.control("POST", "/supplier-change", json=wrong).status_code == status


@pytest.fixture
def house() -> Sandbox:
    """The whole sandbox, not served: the ERP is behind the suppliers."""
    return build(seed=1, scale=0.2, companies=("NO01", "SE01"))


def open_orders(house: Sandbox, company: str = "NO01") -> list[dict[str, Any]]:
    return [
        row
        for row in house.visma.truth(company, "purchaseorder")
        if row["status"] == "Open" and row["orderType"] == "RegularOrder" and row["openQuantity"] > 0
    ]


class TestTheErpsOrders:
    def test_an_order_that_no_850_told_of_can_be_shipped(self, house: Sandbox) -> None:
        row = open_orders(house)[0]
        notice = house.cleo.world.shipping.ship(row["orderNbr"], company="NO01")
        left = {str(line["lineNbr"]): line["orderQty"] - line["qtyOnReceipts"] for line in row["lines"]}
        assert {line["line"]: line["quantity"] for line in notice.lines} == {
            line: quantity for line, quantity in left.items() if quantity > 0
        }
        file = house.cleo.world.mailbox.folders["download"][notice.files[0]]
        assert f"*ZZ*{'MLCNO01':15}*".encode() in file.content

    def test_a_regular_order_goes_before_others_of_its_number(self, house: Sandbox) -> None:
        kinds: dict[str, set[str]] = {}
        for row in house.visma.truth("NO01", "purchaseorder"):
            kinds.setdefault(row["orderNbr"], set()).add(row["orderType"])
        shared = next(number for number, found in kinds.items() if len(found) > 1 and "RegularOrder" in found)
        found = house.cleo.world.erp.order(f"PO{shared}", "NO01")
        assert found is not None
        assert found[1]["orderType"] == "RegularOrder"

    def test_suppliers_ship_no_more_than_the_erp_waits_for(self, house: Sandbox) -> None:
        world = house.cleo.world
        row = next(row for row in open_orders(house) if any(line["qtyOnReceipts"] for line in row["lines"]))
        lines = "".join(f"PO1*{line['lineNbr']}*{line['orderQty']:f}*EA*1*PE*BP*X~" for line in row["lines"])
        text = f"BEG*00*SA*{row['orderNbr']}**20261120~N1*BY*WE*92*NO01~N1*SE*THEY*92*50017~{lines}"
        world.receiver.take("850.edi", order(f"{text}CTT*{len(row['lines'])}~").encode())
        assert world.shipping.pass_day() == 1
        sent = {line["line"]: line["quantity"] for line in world.shipping.notices[-1].lines}
        left = {str(line["lineNbr"]): line["orderQty"] - line["qtyOnReceipts"] for line in row["lines"]}
        assert sent == {line: quantity for line, quantity in left.items() if quantity > 0}
        assert world.shipping.pass_day() == 0, "every order is shipped once by itself"

    def test_a_passing_day_is_the_same_for_the_same_seed(self) -> None:
        noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
        texts = []
        for _ in range(2):
            clock, faults = SandboxClock(real_now=lambda: noon), Faults()
            visma = VismaVendor(clock, faults, seed=3, scale=0.1)
            cleo = CleoVendor(clock, faults, 3, visma=visma)
            assert cleo.pass_day(random.Random(1))["supplier_changes"] == 3
            texts.append([file.content for file in cleo.world.mailbox.folders["download"].values()])
        assert texts[0] == texts[1]
        assert len(texts[0]) == 3

    def test_a_suppliers_move_begins_with_what_the_erp_says(self, house: Sandbox) -> None:
        supplier = house.visma.truth("SE01", "supplier")[0]
        told = house.cleo.world.suppliers.change("SE01", supplier["number"])
        assert told["row"]["name"] == supplier["name"]
        assert told["row"]["vat_number"] == supplier["vatRegistrationId"]
        assert told["row"]["country"] == supplier["mainAddress"]["country"]["id"]

    def test_quantities_are_exact(self, house: Sandbox) -> None:
        row = open_orders(house, "SE01")[0]
        notice = house.cleo.world.shipping.ship(row["orderNbr"], "partial", company="SE01")
        assert all(isinstance(line["quantity"], Decimal) for line in notice.lines)
