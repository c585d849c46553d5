"""Reading what partners really send: tolerant of form, refusing what could be misread (sheet, 12)."""

from decimal import Decimal

import pytest

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import ShipNotice
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.findings import Severity
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.validate import Result, validate
from tests.x12.examples import content, judged, only_set
from tests.x12.faults import INVOICE, NOTICE, ORDER

ORDER_TEXT = content(ORDER).decode()
NOTICE_TEXT = content(NOTICE).decode()


def findings(text: str) -> list[str]:
    return [str(finding) for finding in judged(text.encode()).everything()]


def levels(text: str) -> list[tuple[str, str]]:
    return [(finding.level.value, finding.code) for finding in judged(text.encode()).everything()]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a byte order mark", "\ufeff" + ORDER_TEXT),
        ("line ends behind terminators", ORDER_TEXT.replace("~", "~\n")),
        ("two-character line ends", ORDER_TEXT.replace("~", "~\r\n")),
        ("a line end as the terminator", ORDER_TEXT.replace("~", "\n")),
        ("two characters as the terminator", ORDER_TEXT.replace("~", "\r\n")),
        ("blanks and an end mark behind the file", ORDER_TEXT + "\r\n \x1a"),
        ("an old interchange version", ORDER_TEXT.replace("*U*00401*", "*U*00200*")),
        ("a newer interchange version", ORDER_TEXT.replace("*U*00401*", "*U*00400*")),
        ("a version with an industry's suffix", ORDER_TEXT.replace("X*004010~", "X*004010VICS~")),
        ("a group date of six digits", ORDER_TEXT.replace("*20261121*0915*101*X", "*261121*0915*101*X")),
        ("zeros in front of a count", ORDER_TEXT.replace("CTT*2~", "CTT*000002~")),
        ("zeros behind a number", ORDER_TEXT.replace("*125.5*", "*0125.5000*")),
        ("no line numbers", ORDER_TEXT.replace("PO1*1*", "PO1**").replace("PO1*2*", "PO1**")),
        ("zeros dropped from a control number", ORDER_TEXT.replace("IEA*1*000000101", "IEA*1*101")),
    ],
    ids=lambda value: value if len(value) < 60 else "",
)
def test_it_accepts(what: str, text: str) -> None:
    assert findings(text) == []


def test_it_accepts_levels_that_do_not_say_whether_they_have_children() -> None:
    text = NOTICE_TEXT
    for head in ("HL*1**S", "HL*2*1*O", "HL*3*2*I", "HL*4*2*I"):
        text = text.replace(f"{head}*1~", f"{head}~").replace(f"{head}*0~", f"{head}~")
    assert findings(text) == []


def test_it_accepts_latin1_where_the_bytes_are_no_utf8() -> None:
    (interchange,) = read(ORDER_TEXT.replace("BERGEN", "TROMSØ").encode("latin-1"))
    assert "TROMSØ" in {segment.text(1) for segment in interchange.groups[0].sets[0].segments}


def test_it_reads_latin1_that_could_be_utf8_as_agreed() -> None:
    (interchange,) = read(ORDER_TEXT.replace("BERGEN", "Ã¥").encode("latin-1"), "latin1")
    assert "Ã¥" in {segment.text(1) for segment in interchange.groups[0].sets[0].segments}


def test_it_accepts_several_interchanges_with_delimiters_of_their_own() -> None:
    second = NOTICE_TEXT.replace("*", "|").replace("~", "'")
    interchanges = read((ORDER_TEXT + "\n" + second).encode())
    assert [interchange.control for interchange in interchanges] == ["000000101", "000000077"]
    assert [str(finding) for one in interchanges for finding in validate(one).everything()] == []


def test_empty_elements_at_the_end_are_a_warning() -> None:
    result = judged(ORDER_TEXT.replace("CUR*BY*NOK~", "CUR*BY*NOK***~").encode())
    assert [finding.severity for finding in result.everything()] == [Severity.WARNING]
    assert only_set(ORDER_TEXT.encode()).accepted


def test_a_control_number_that_is_there_twice_in_a_group_is_a_warning() -> None:
    start, end = ORDER_TEXT.index("ST*850"), ORDER_TEXT.index("GE*1")
    twice = ORDER_TEXT[:end] + ORDER_TEXT[start:end] + ORDER_TEXT[end:].replace("GE*1*", "GE*2*")
    result = judged(twice.encode())
    assert [(one.severity, one.code) for one in result.everything()] == [(Severity.WARNING, "23")] * 2
    assert all(one.accepted for one in result.groups[0].sets)


def test_an_unknown_segment_is_skipped_and_the_rest_is_read() -> None:
    text = NOTICE_TEXT.replace("CTT*4~SE*28", "QQQ*1~CTT*4~SE*29")
    one = only_set(text.encode())
    assert one.accepted
    assert document(one, Dialect()) == document(only_set(content(NOTICE)), Dialect())


def test_a_segment_the_standard_knows_and_we_have_no_table_for_is_carried_as_it_is() -> None:
    text = NOTICE_TEXT.replace("REF*LT*LOT-2211~", "REF*LT*LOT-2211~FOB*CC*ZZ*X~").replace("SE*28", "SE*29")
    assert findings(text) == []


@pytest.mark.parametrize(
    ("what", "text", "character"),
    [
        ("nothing", "", "empty"),
        ("no X12", "<xml/>", "Character 1"),
        (
            "an ISA of another width",
            ORDER_TEXT.replace("*ZZ*FJORDVIKNO     *", "*ZZ*FJORDVIKNO*"),
            "Character 51",
        ),
        ("a cut ISA", ORDER_TEXT[:90], "Character 1"),
        (
            "rubbish between interchanges",
            ORDER_TEXT + "HELLO" + ORDER_TEXT,
            f"Character {len(ORDER_TEXT) + 1}",
        ),
        (
            "an interchange inside another",
            ORDER_TEXT.replace("IEA*1*000000101~", "") + ORDER_TEXT,
            "000000101",
        ),
    ],
    ids=lambda value: value if len(value) < 40 else "",
)
def test_it_refuses_what_is_no_interchange_and_says_where(what: str, text: str, character: str) -> None:
    with pytest.raises(UnreadableError, match=character):
        read(text.encode())


def _for(text: str, **expected: object) -> Result:
    (interchange,) = read(text.encode())
    return validate(interchange, **expected)  # type: ignore[arg-type]


def test_it_refuses_what_is_for_another_receiver() -> None:
    assert _for(NOTICE_TEXT, receiver="FJORDVIKNO").accepted
    (finding,) = _for(NOTICE_TEXT, receiver="FJORDVIKSE").findings
    assert finding.code == "009"
    assert "FJORDVIKNO" in str(finding)


def test_it_refuses_a_production_file_on_a_test_system_and_the_other_way_round() -> None:
    assert _for(NOTICE_TEXT, production=False).accepted
    assert not _for(NOTICE_TEXT, production=True).accepted
    assert not _for(NOTICE_TEXT.replace("*0*T*>", "*0*P*>"), production=False).accepted


@pytest.mark.parametrize(("version", "codes"), [("00401", []), ("00403", ["6"]), ("00501", ["6"])])
def test_isa11_separates_repetitions_only_since_00403(version: str, codes: list[str]) -> None:
    text = ORDER_TEXT.replace("*U*00401*", f"*^*{version}*").replace("PORT 4", "PORT ^4")
    assert [finding.code for finding in judged(text.encode()).everything()] == codes


# Ship notices are trees in any order.


def test_items_are_found_in_packs_above_orders() -> None:
    body = (
        "BSN*00*NK1*20261127*1430*0003~HL*1**S~HL*2*1*T~MAN*GM*00370712345600000039~HL*3*2*P~MAN*AA*370712345600000015~"
        "HL*4*3*O~PRF*PO1~HL*5*4*I~LIN*1*VP*A~SN1**4*EA~HL*6*3*O~PRF*PO2~HL*7*6*I~LIN**VP*B~SN1*3*1*EA~"
        "HL*8*1*P~MAN*CP*PAK-2~HL*9*8*O~PRF*PO1~HL*10*9*I~LIN*1*VP*A~SN1**6*EA~HL*11*9*I~LIN*2*VP*C~SN1**0*EA~CTT*11~"
    )
    notice = _notice(body)
    assert notice.totals() == {("PO1", "1", "EA"): 10, ("PO2", "3", "EA"): 1}
    assert [item.marks for item in notice.items] == [
        ("00370712345600000015",),
        ("00370712345600000015",),
        ("PAK-2",),
    ]


def test_children_that_stand_apart_from_their_parents_belong_to_them_all_the_same() -> None:
    body = (
        "BSN*00*NK1*20261127*1430*0004~HL*1**S~HL*2*1*O~PRF*PO1~HL*3*1*O~PRF*PO2~"
        "HL*4*2*I~LIN*1*VP*A~SN1**4*EA~HL*5*3*I~LIN*1*VP*B~SN1**5*EA~CTT*5~"
    )
    assert _notice(body).totals() == {("PO1", "1", "EA"): 4, ("PO2", "1", "EA"): 5}


def _notice(body: str) -> ShipNotice:
    segments = body.count("~") + 2
    head = NOTICE_TEXT[: NOTICE_TEXT.index("BSN*")]
    one = only_set(f"{head}{body}SE*{segments}*0001~GE*1*77~IEA*1*000000077~".encode())
    assert [str(finding) for finding in one.findings] == []
    notice = document(one, Dialect())
    assert isinstance(notice, ShipNotice)
    return notice


# Tax rates are a fraction or a percent, and partners do not say which.


@pytest.mark.parametrize("dialect", [Dialect(tax_rate_form="fraction"), Dialect(tax_rate_form="percent")])
@pytest.mark.parametrize("written", [".25", "0.25", "25", "25.00"])
def test_the_form_of_a_tax_rate_follows_from_amount_and_base(written: str, dialect: Dialect) -> None:
    text = content(INVOICE).decode().replace("TXI*VA*600.63*.25*", f"TXI*VA*600.63*{written}*")
    invoice = document(only_set(text.encode()), dialect)
    assert invoice.taxes[0].rate == 25  # type: ignore[union-attr]


def test_without_a_base_the_form_of_a_tax_rate_is_the_agreed_one() -> None:
    text = content(INVOICE).decode().replace("TXI*VA*600.63*.25*****2402.5~", "TXI*VA*600.63*.5~")
    rates = [
        document(only_set(text.encode()), Dialect(tax_rate_form=form)).taxes[0].rate  # type: ignore[union-attr]
        for form in ("fraction", "percent")
    ]
    assert rates == [50, Decimal("0.5")]


@pytest.mark.parametrize(("form", "rate"), [("fraction", "5"), ("percent", "0.05")])
def test_where_rounding_allows_both_forms_of_a_tax_rate_it_is_the_agreed_one(form: str, rate: str) -> None:
    text = content(INVOICE).decode().replace("TXI*VA*600.63*.25*****2402.5~", "TXI*VA*.01*.05*****.4~")
    invoice = document(only_set(text.encode()), Dialect(tax_rate_form=form))  # type: ignore[arg-type]
    assert invoice.taxes[0].rate == Decimal(rate)  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "old", "new"), [(ORDER, "BEG*00", "BEG*06"), (NOTICE, "BSN*00", "BSN*06")])
def test_a_purpose_we_cannot_carry_out_is_not_taken_for_another(name: str, old: str, new: str) -> None:
    one = only_set(content(name).decode().replace(old, new).encode())
    with pytest.raises(UnreadableError, match=r"0001 \(.*\): B.. 01: purpose 06"):
        document(one, Dialect())
