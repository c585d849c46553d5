"""The partners behind the mailbox: what they answer, and what they hold."""

from __future__ import annotations

import base64
import json
import random
from decimal import Decimal

import pytest

from .conftest import (
    INVOICE,
    ORDER,
    Mailbox,
    acknowledge,
    body,
    group,
    interchange,
    invoice,
    order,
    segments,
    transaction,
)


class TestAnswers:
    def test_an_order_is_answered_by_a_997_that_accepts_it(self, mailbox: Mailbox) -> None:
        assert mailbox.upload(order()).status_code == 201
        (answer,) = mailbox.texts()
        assert segments(answer)[2:7] == ["ST*997*0001", "AK1*PO*101", "AK2*850*0001", "AK5*A", "AK9*A*1*1*1"]
        assert answer.startswith("ISA*00*          *00*          *ZZ*NORDEDI        *ZZ*MLCNO01        *")

    def test_a_ta1_is_written_when_isa14_asks_for_one(self, mailbox: Mailbox) -> None:
        mailbox.upload(order(ta1="1"))
        ta1, answer = mailbox.texts()
        assert segments(ta1, "TA1") == ["TA1*000000101*261121*0915*A*000"]
        assert segments(answer, "AK9") == ["AK9*A*1*1*1"]

    def test_the_ta1_may_stand_before_the_997(self, mailbox: Mailbox) -> None:
        mailbox.switches["ta1_place"] = "with_997"
        mailbox.upload(order(ta1="1"))
        (answer,) = mailbox.texts()
        assert [segment[:3] for segment in segments(answer)[:3]] == ["ISA", "TA1", "GS*"]

    @pytest.mark.parametrize(
        ("answer", "ak5", "ak9"),
        [
            ("accept", ["AK5*A", "AK5*A"], "AK9*A*2*2*2"),
            ("accept_errors", ["AK5*E*5", "AK5*E*5"], "AK9*E*2*2*2"),
            ("reject_set", ["AK5*R*5", "AK5*A"], "AK9*P*2*2*1"),
            ("reject_group", [], "AK9*R*2*2*0*1"),
        ],
    )
    @pytest.mark.parametrize("by_fault", [True, False])
    def test_a_partner_may_answer_otherwise(
        self, mailbox: Mailbox, answer: str, ak5: list[str], ak9: str, by_fault: bool
    ) -> None:
        if by_fault:
            mailbox.faults.arm("cleo", "partner_answer", answer=answer, match="850 PO000123")
        else:
            mailbox.switches["partner_answer"] = answer
        other = ORDER.replace("PO000123", "PO000124")
        sets = [transaction("850", ORDER), transaction("850", other, "0002")]
        mailbox.upload(interchange([group("PO", sets)]))
        (text,) = mailbox.texts()
        assert segments(text, "AK5") == ak5
        assert segments(text, "AK9") == [ak9]
        taken = {"reject_set": ["PO000124"], "reject_group": []}.get(answer, ["PO000123", "PO000124"])
        assert [document["number"] for document in mailbox.received()["documents"]["850"]] == taken

    def test_a_silent_partner_takes_the_order_and_says_nothing(self, mailbox: Mailbox) -> None:
        mailbox.switches["partner_answer"] = "silent"
        mailbox.upload(order())
        assert mailbox.listed() == []
        assert len(mailbox.received()["documents"]["850"]) == 1

    def test_group_numbers_may_come_back_with_zeros(self, mailbox: Mailbox) -> None:
        mailbox.switches["ak102"] = "padded"
        mailbox.upload(order())
        assert segments(mailbox.texts()[0], "AK1") == ["AK1*PO*000000101"]

    def test_set_numbers_may_come_back_with_zeros(self, mailbox: Mailbox) -> None:
        mailbox.switches["ak202"] = "padded"
        mailbox.upload(order())
        assert segments(mailbox.texts()[0], "AK2") == ["AK2*850*000000001"]

    def test_a_rejected_group_may_come_back_with_its_sets_taken_for_good(self, mailbox: Mailbox) -> None:
        mailbox.switches.update(partner_answer="reject_group", rejected_group="sets_accepted")
        mailbox.upload(order())
        (text,) = mailbox.texts()
        assert segments(text)[4:7] == ["AK2*850*0001", "AK5*A", "AK9*R*1*1*0*1"]
        assert mailbox.received()["documents"]["850"] == []

    def test_a_late_answer_leaves_by_the_sandboxs_date(self, mailbox: Mailbox) -> None:
        mailbox.switches.update(partner_answer="late", late_hours=30)
        mailbox.upload(order())
        mailbox.pass_time(29 * 3600)
        assert mailbox.control("GET", "/mailbox").json()["download"] == []
        assert [late["kind"] for late in mailbox.received()["waiting"]] == ["997"]
        mailbox.pass_time(2 * 3600)
        assert len(mailbox.control("GET", "/mailbox").json()["download"]) == 1

    def test_a_997_is_never_answered(self, mailbox: Mailbox) -> None:
        mailbox.upload(acknowledge("1"))
        mailbox.upload(acknowledge("1"), "again.edi")
        assert mailbox.listed() == []


class TestRefusals:
    @pytest.mark.parametrize("same", [True, False])
    def test_a_repeated_isa13_is_refused_with_025(self, mailbox: Mailbox, same: bool) -> None:
        mailbox.upload(order())
        mailbox.upload(order(ORDER if same else ORDER.replace("PO000123", "PO000999")), "again.edi")
        _, ta1 = mailbox.texts()
        assert segments(ta1, "TA1") == ["TA1*000000101*261121*0915*R*025"]
        received = mailbox.received()
        assert [document["number"] for document in received["documents"]["850"]] == ["PO000123"]
        assert ("the same bytes" if same else "other bytes") in received["refused"][0]["why"]

    def test_the_same_bytes_may_be_answered_as_before(self, mailbox: Mailbox) -> None:
        mailbox.switches["repeated_interchange"] = "answer_again"
        mailbox.upload(order())
        mailbox.upload(order(), "again.edi")
        one, other = mailbox.texts()
        assert one == other

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (("IEA*1*000000101", "IEA*1*000000102"), "001"),
            (("IEA*1*", "IEA*2*"), "021"),
            (("*000000101*0*T", "*00000010X*0*T"), "018"),
            (("IEA*1*000000101~", ""), "022"),
        ],
    )
    def test_a_broken_frame_is_refused_whole(
        self, mailbox: Mailbox, change: tuple[str, str], code: str
    ) -> None:
        mailbox.upload(order().replace(*change))
        (ta1,) = mailbox.texts()
        assert segments(ta1, "TA1")[0].endswith(f"*R*{code}")
        assert mailbox.received()["documents"]["850"] == []

    def test_an_unknown_receiver_is_told_so(self, mailbox: Mailbox) -> None:
        mailbox.upload(order(receiver="STRANGER"))
        (ta1,) = mailbox.texts()
        assert segments(ta1, "TA1")[0].endswith("*R*009")

    @pytest.mark.parametrize("content", ["Hei!", "", "ISA*00*short~", '{"no": "interchange"}'])
    def test_what_is_no_interchange_is_kept_as_refused(self, mailbox: Mailbox, content: str) -> None:
        mailbox.upload(content, "x.edi")
        (refused,) = mailbox.received()["refused"]
        assert refused["file"] == "x.edi"
        assert mailbox.listed() == []

    @pytest.mark.parametrize(
        ("change", "ak3", "ak4"),
        [
            (("*20261120~CUR", "*20261320~CUR"), "AK3*BEG*2**8", "AK4*5**8*20261320"),
            (("PO1*1*10*EA", "PO1*1*10*XX"), "AK3*PO1*9**8", "AK4*3**7*XX"),
            (("PO1*1*10*EA", "PO1*1*ti*EA"), "AK3*PO1*9**8", "AK4*2**6*TI"),
            (("PO000123", "P" * 23), "AK3*BEG*2**8", f"AK4*3**5*{'P' * 23}"),
            (("CUR*BY*NOK", "CUR*BY"), "AK3*CUR*3**8", "AK4*2**1"),
            (("SYREFAST", "SYREFAST Æ"), "AK3*PID*10**8", "AK4*5**6*SKRUE M8 X 40 SYREFAST A"),
            (("N1*BY*FJORDVIK HANDEL AS*92*1000", "N1*BY*FJORDVIK HANDEL AS*92"), "AK3*N1*6**8", "AK4*4**2"),
            (("M8 X 40", "M8 > 40"), "AK3*PID*10**8", "AK4*5**6*SKRUE M8 40 SYREFAST"),
            (("CTT*2~", "CTT*3~"), "AK3*CTT*13**8", "AK4*1**7*3"),
            (("CUR*BY*NOK~", "CUR*BY*NOK*~"), "AK3*CUR*3**8", "AK4*3**3"),
        ],
    )
    def test_a_set_at_fault_is_rejected_with_segment_and_element(
        self, mailbox: Mailbox, change: tuple[str, str], ak3: str, ak4: str
    ) -> None:
        mailbox.upload(order(ORDER.replace(*change)))
        (answer,) = mailbox.texts()
        assert segments(answer, "AK3") == [ak3]
        assert segments(answer, "AK4") == [ak4]
        assert segments(answer, "AK5") == ["AK5*R*5"]
        received = mailbox.received()
        assert received["documents"]["850"] == []
        assert received["refused"][0]["findings"]

    @pytest.mark.parametrize(
        ("change", "ak3"),
        [
            (("CUR*BY*NOK~REF*VX*NO987654321MVA~", "REF*VX*NO987654321MVA~CUR*BY*NOK~"), "AK3*CUR*4**7"),
            (("CTT*2~AMT*TT*2252.5~", "AMT*TT*2252.5~CTT*2~"), "AK3*CTT*14**7"),
            (("CTT*2~", "CTT*2~TDS*1~"), "AK3*TDS*14**6"),
        ],
    )
    def test_segments_stand_in_order(self, mailbox: Mailbox, change: tuple[str, str], ak3: str) -> None:
        mailbox.upload(order(body(ORDER).replace(*change)))
        (answer,) = mailbox.texts()
        assert segments(answer, "AK3") == [ak3]
        assert segments(answer, "AK5") == ["AK5*R*5"]

    @pytest.mark.parametrize(
        ("change", "wrong"),
        [
            (("HL*3*2*I*0", "HL*3*1*I*0"), ["AK4*4**7*1", "AK4*3**7*I"]),
            (("HL*3*2*I*0", "HL*3*9*I*0"), ["AK4*4**7*1", "AK4*2**7*9"]),
            (("HL*3*2*I*0", "HL*4*2*I*0"), ["AK4*1**7*4"]),
            (("HL*3*2*I*0", "HL*3*2*I*1"), ["AK4*4**7*1"]),
            (("HL*2*1*O*1", "HL*2*1*O*0"), ["AK4*4**7*0"]),
            (("HL*2*1*O*1", "HL*2*1*T*1"), ["AK4*3**7*I"]),
            (("HL*3*2*I*0", "HL*3*2*I"), []),
            (("*0004~", "~"), []),
        ],
    )
    def test_a_ship_notices_tree_is_as_it_says(
        self, mailbox: Mailbox, change: tuple[str, str], wrong: list[str]
    ) -> None:
        text = """BSN*00*600002*20261127*1430*0004~HL*1**S*1~N1*SF*NORDLYS*92*50017~HL*2*1*O*1~PRF*PO000123~
        HL*3*2*I*0~LIN*1*BP*SKRUE-M8~SN1*1*10*EA~CTT*3~"""
        inner = "".join(line.strip() for line in text.splitlines())
        sets = [transaction("856", inner.replace(*change))]
        mailbox.upload(interchange([group("SH", sets)]))
        (answer,) = mailbox.texts()
        assert segments(answer, "AK4") == wrong
        assert segments(answer, "AK5") == ["AK5*R*5" if wrong else "AK5*A"]

    @pytest.mark.parametrize(
        ("old", "new"), [("AK5*A~", ""), ("AK9*A*", "AK9*Q*"), ("AK1*SH*1~", "AK1*SH*X~"), ("AK5*A", "AK5*Z")]
    )
    def test_a_wrong_997_is_refused_without_an_answer(self, mailbox: Mailbox, old: str, new: str) -> None:
        text = acknowledge("1").replace(old, new)
        count = len(segments(text)) - 4
        mailbox.upload(text.replace("SE*6*", f"SE*{count}*"))
        (refused,) = mailbox.received()["refused"]
        assert (refused["kind"], mailbox.listed()) == ("997", [])

    def test_a_heading_stands_once(self, mailbox: Mailbox) -> None:
        head = "BEG*00*SA*PO000123**20261120~"
        mailbox.upload(order(ORDER.replace(head, head * 2)))
        assert segments(mailbox.texts()[0], "AK3") == ["AK3*BEG*3**5"]

    def test_a_file_for_production_is_refused(self, mailbox: Mailbox) -> None:
        text = order().replace("*0*T*>", "*0*P*>")
        mailbox.upload(text)
        assert segments(mailbox.texts()[0], "TA1")[0].endswith("*R*020")
        mailbox.switches["usage"] = "P"
        mailbox.upload(text, "b.edi")
        assert mailbox.texts()[1][101:105] == "*P*>"

    def test_a_flow_may_fail_before_any_partner_sees_the_file(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "flow_fails")
        assert mailbox.upload(order()).status_code == 201
        assert (mailbox.listed(), mailbox.received()["documents"]["850"]) == ([], [])
        assert mailbox.call("GET", "/api/jobs").json()["resources"][0]["status"] == "issue"

    def test_counts_of_the_set_and_the_group_are_checked(self, mailbox: Mailbox) -> None:
        good = order()
        mailbox.upload(good.replace("SE*15*", "SE*16*"))
        mailbox.upload(order(control=102).replace("GE*1*102", "GE*2*102"), "b.edi")
        first, second = mailbox.texts()
        assert segments(first, "AK5") == ["AK5*R*4"]
        assert segments(second, "AK9") == ["AK9*R*2*1*0*5"]

    def test_an_unknown_segment_is_accepted_with_errors(self, mailbox: Mailbox) -> None:
        mailbox.upload(order(ORDER.replace("DTM*002", "ZZZ*1~DTM*002")))
        (answer,) = mailbox.texts()
        assert segments(answer, "AK9") == ["AK9*E*1*1*1"]
        assert len(mailbox.received()["documents"]["850"]) == 1


class TestCharacters:
    """Bytes mean what was agreed with the partner."""

    @pytest.fixture
    def charset(self, mailbox: Mailbox, request: pytest.FixtureRequest) -> str:
        partner = {"qualifier": "ZZ", "id": "NORDEDI", "name": "Hub", "charset": request.param}
        mailbox.control("PUT", "/partners", json=partner)
        return str(request.param)

    @pytest.mark.parametrize("charset", ["latin1", "utf8"], indirect=True)
    @pytest.mark.parametrize("in_json", [True, False])
    def test_letters_are_read_as_agreed(self, mailbox: Mailbox, charset: str, in_json: bool) -> None:
        raw = order(ORDER.replace("SYREFAST", "RØR ÆÅ")).encode(
            {"latin1": "latin-1", "utf8": "utf-8"}[charset]
        )
        carried = json.dumps({"interchange": base64.b64encode(raw).decode()}).encode()
        mailbox.upload(carried if in_json else raw)
        (held,) = mailbox.received()["documents"]["850"]
        assert held["lines"][0]["text"] == "SKRUE M8 X 40 RØR ÆÅ"

    @pytest.mark.parametrize("charset", ["latin1", "utf8"], indirect=True)
    def test_text_in_json_is_text(self, mailbox: Mailbox, charset: str) -> None:
        mailbox.upload(json.dumps({"interchange": order(ORDER.replace("SYREFAST", "RØR ÆÅ"))}))
        (held,) = mailbox.received()["documents"]["850"]
        assert held["lines"][0]["text"] == "SKRUE M8 X 40 RØR ÆÅ"

    @pytest.mark.parametrize("charset", ["latin1"], indirect=True)
    def test_utf8_is_no_latin1(self, mailbox: Mailbox, charset: str) -> None:
        mailbox.upload(order(ORDER.replace("SYREFAST", "RØR ÆÅ")))
        assert segments(mailbox.texts()[0], "AK5") == ["AK5*R*5"]

    @pytest.mark.parametrize("charset", ["utf8"], indirect=True)
    def test_latin1_is_no_utf8(self, mailbox: Mailbox, charset: str) -> None:
        mailbox.upload(order(ORDER.replace("SYREFAST", "RØR ÆÅ")).encode("latin-1"))
        assert segments(mailbox.texts()[0], "TA1")[0].endswith("*R*024")


class TestTheReceiversView:
    def test_no_file_whatever_is_in_it_breaks_the_partners(self, mailbox: Mailbox) -> None:
        rng = random.Random(1)
        good = (order() + invoice()).encode()
        for number in range(400):
            content = bytearray(good)
            for _ in range(rng.choice((1, 2, 5))):
                at = rng.randrange(len(content))
                piece = rng.choice((b"", b"*", b"~", b"ISA", b"SE*1*0001~", bytes([rng.randrange(256)])))
                content[at : at + rng.choice((0, 1, 9))] = piece
            mailbox.world.receiver.take(f"{number}.edi", bytes(content))
        # Most of them reuse the first ISA13, so a whole one still has its say.
        assert mailbox.upload(order(ORDER.replace("PO000123", "LAST"), 999)).status_code == 201
        assert "LAST" in [held["number"] for held in mailbox.received()["documents"]["850"]]

    def test_an_order_is_read_exactly(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        (held,) = mailbox.received()["documents"]["850"]
        assert (held["buyer"], held["number"], held["seller"]) == ("1000", "PO000123", "50017")
        assert (held["company"], held["status"], held["total"]) == ("NO01", "open", Decimal("2252.5"))
        assert held["lines"][1] == {
            "line": "2",
            "quantity": Decimal("2.5"),
            "unit": "MR",
            "price": 399,
            "items": {"BP": "KABEL-3G", "VP": "NK-1203"},
            "text": "KABEL 3G1.5",
        }

    def test_an_order_that_comes_again_in_a_new_interchange_is_held_once(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        mailbox.upload(order(control=102), "b.edi")
        received = mailbox.received()
        assert len(received["documents"]["850"]) == 1
        assert "received before, with the same content" in received["refused"][0]["why"]

    @pytest.mark.parametrize("purpose", ["04", "05"])
    def test_a_change_replaces_the_order(self, mailbox: Mailbox, purpose: str) -> None:
        mailbox.upload(order())
        changed = ORDER.replace("BEG*00", f"BEG*{purpose}").replace("PO1*1*10", "PO1*1*12")
        mailbox.upload(order(changed, 102), "b.edi")
        (held,) = mailbox.received()["documents"]["850"]
        assert held["lines"][0]["quantity"] == 12
        assert held["isa13"] == ["000000101", "000000102"]

    def test_an_860_changes_line_by_line(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        change = """BCH*04*SA*PO000123***20261122~N1*BY*FJORDVIK HANDEL AS*92*1000~
        POC*1*QI*12*12*EA*125.5*PE*BP*SKRUE-M8~POC*2*DI~POC*3*AI*1*1*EA*9.9*PE*BP*MUTTER~CTT*3~"""
        sets = [transaction("860", "".join(line.strip() for line in change.splitlines()))]
        mailbox.upload(interchange([group("PC", sets, 5)], 102), "860.edi")
        (held,) = mailbox.received()["documents"]["850"]
        assert [(line["line"], line["quantity"]) for line in held["lines"]] == [("1", 12), ("3", 1)]

    def test_a_cancelled_order_stays_cancelled(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        mailbox.upload(order(ORDER.replace("BEG*00", "BEG*01"), 102), "b.edi")
        mailbox.upload(order(ORDER.replace("BEG*00", "BEG*05"), 103), "c.edi")
        received = mailbox.received()
        assert received["documents"]["850"][0]["status"] == "cancelled"
        assert "cancelled before" in received["refused"][0]["why"]

    def test_a_change_of_an_order_nobody_has_is_refused(self, mailbox: Mailbox) -> None:
        mailbox.upload(order(ORDER.replace("BEG*00", "BEG*04")))
        received = mailbox.received()
        assert received["documents"]["850"] == []
        assert "nothing to change" in received["refused"][0]["why"]

    def test_an_invoice_whose_total_its_lines_give_has_no_remark(self, mailbox: Mailbox) -> None:
        mailbox.upload(invoice())
        (held,) = mailbox.received()["documents"]["810"]
        assert (held["seller"], held["number"], held["total"]) == ("50017", "NK-90211", Decimal("3003.13"))
        assert [tax["amount"] for tax in held["taxes"]] == [Decimal("600.63")]
        assert held["charges"] == [{"kind": "C", "code": "D240", "amount": Decimal("150.00")}]
        assert held["remarks"] == []

    def test_a_total_that_the_lines_do_not_give_is_remarked(self, mailbox: Mailbox) -> None:
        mailbox.upload(invoice(INVOICE.replace("TDS*300313", "TDS*310313")))
        (held,) = mailbox.received()["documents"]["810"]
        assert "3103.13" in held["remarks"][0]

    def test_a_shipment_is_summed_from_its_tree(self, mailbox: Mailbox) -> None:
        text = """BSN*00*600002*20261127*1430*0003~HL*1**S*1~N1*SF*NORDLYS*92*50017~HL*2*1*P*1~MAN*GM*001~
        HL*3*2*O*1~PRF*PO000123~HL*4*3*I~LIN*1*BP*SKRUE-M8~SN1*1*10*EA~CTT*4~"""
        sets = [transaction("856", "".join(line.strip() for line in text.splitlines()))]
        mailbox.upload(interchange([group("SH", sets)]))
        (held,) = mailbox.received()["documents"]["856"]
        assert held["key"] == ["50017", "600002"]
        assert held["lines"] == [
            {"order": "PO000123", "line": "1", "quantity": 10, "unit": "EA", "items": {"BP": "SKRUE-M8"}}
        ]

    @pytest.mark.parametrize("as_base64", [True, False])
    def test_a_json_payload_carries_the_interchange_and_its_fields(
        self, mailbox: Mailbox, as_base64: bool
    ) -> None:
        text = order()
        carried = base64.b64encode(text.encode()).decode() if as_base64 else text
        fields = {"number": "PO000123", "total": "2252.50"}
        mailbox.upload(json.dumps({"interchange": carried, "fields": fields}), "850_1.json")
        (held,) = mailbox.received()["documents"]["850"]
        assert held["fields"] == fields
        assert len(mailbox.listed()) == 1
