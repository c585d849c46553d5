"""Writing is strict: what a document says arrives unchanged, or it is refused with number and place."""

import ast
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import mlc_dagster.x12
from mlc_dagster.x12.charset import Charset, fit
from mlc_dagster.x12.dialect import Address, Dialect
from mlc_dagster.x12.documents import (
    Contact,
    Document,
    Invoice,
    InvoiceKind,
    Item,
    PurchaseOrder,
    ReceivedLine,
    Scheme,
)
from mlc_dagster.x12.errors import RefusedError
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.syntax import Delimiters
from mlc_dagster.x12.writer import Written, write
from tests.x12.cases import CASES, INVOICE, NOTICE, ORDER, RECEIPT, SCREW, money
from tests.x12.examples import ENVELOPE, only_set


def written(told: Document, dialect: Dialect = Dialect()) -> Written:  # noqa: B008 - frozen
    return write([told], ENVELOPE, dialect)


def with_line(**changes: object) -> PurchaseOrder:
    return replace(ORDER, lines=(replace(ORDER.lines[0], **changes),), total=None)  # type: ignore[arg-type]


def with_total(text: str, price: str) -> Invoice:
    line = replace(INVOICE.lines[0], quantity=money("1"), price=money(price), taxes=())
    return replace(INVOICE, total=money(text), lines=(line,), taxes=())


def with_buyer(**changes: object) -> PurchaseOrder:
    return replace(ORDER, parties=(replace(ORDER.parties[0], **changes),))  # type: ignore[arg-type]


REFUSALS: dict[str, tuple[Document, str]] = {
    "an amount with three decimals": (with_total("12.345", "12.345"), "TDS 01 .*more than two decimals"),
    "an amount with too many digits": (
        with_total("12345678901234.00", "12345678901234"),
        "TDS 01 .*never cut",
    ),
    "an amount that is no number": (with_total("NaN", "1"), "TDS 01 .*no number"),
    "a total that does not add up": (replace(INVOICE, total=money("1569.75")), "TDS 01.*differs by 1.00"),
    "a price with too many digits": (with_line(price=money("123456789012345.678")), "PO1 04 .*never cut"),
    "a quantity with too many digits": (with_line(quantity=money("1234567890123456")), "PO1 02 .*never cut"),
    "a price for twelve units": (with_line(price_per=12), "price, segment 11: a price for 12 units"),
    "a unit that does not exist": (with_line(unit="XX"), "PO1 03.*'XX' is no code"),
    "an ERP's unit nobody mapped": (with_line(unit="STK"), "PO1 03.*at most 2"),
    "an order number with a delimiter": (replace(ORDER, number="PO*1"), r"BEG 03 .*'PO\*1' identifies"),
    "an order number that is too long": (replace(ORDER, number="P" * 23), "BEG 03.*at most 22"),
    "an order number in letters the charset lacks": (
        replace(ORDER, number="PØ1"),
        "BEG 03 .*'PØ1' identifies",
    ),
    "an item number with two blanks": (with_line(item=Item("A  B")), "PO1 07 .*'A  B' identifies"),
    "an item number that is too long": (with_line(item=Item("A" * 49)), "PO1 07.*at most 48"),
    "a GTIN of eleven digits": (with_line(item=Item(gtin="12345678901")), "no GTIN"),
    "a GLN of twelve digits": (with_buyer(number="708000000001", scheme=Scheme.GLN), "no GLN of 13 digits"),
    "a country of one letter": (with_buyer(country="N"), "N4 04.*at least 2"),
    "a receipt's line without its order": (
        replace(RECEIPT, lines=(replace(RECEIPT.lines[0], order_number=""),)),
        "PRF 01.*mandatory",
    ),
    "a shipped item without any number": (
        replace(NOTICE, items=(replace(NOTICE.items[0], item=Item(description="X")),)),
        "line 1 of order PO000123 has no item number",
    ),
    "an order without lines": (replace(ORDER, lines=()), "PO1.*mandatory segment"),
    "an order without a currency": (replace(ORDER, currency=""), "CUR 02.*mandatory"),
}


@pytest.mark.parametrize(("told", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_it_refuses(told: Document, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        written(told)
    assert refused.value.record == getattr(told, "number")  # noqa: B009


def test_it_refuses_to_leave_out_what_a_ship_notice_cannot_say_of_a_receipt() -> None:
    short = replace(RECEIPT, lines=(replace(RECEIPT.lines[0], questioned=money("1")),))
    with pytest.raises(RefusedError, match="only an 861"):
        written(short, Dialect(receipt_as="856"))


def test_it_refuses_two_kinds_of_documents_in_one_group() -> None:
    with pytest.raises(RefusedError, match="here are 810, 850"):
        write([ORDER, INVOICE], ENVELOPE, Dialect())


def test_it_refuses_an_empty_group() -> None:
    with pytest.raises(RefusedError, match="here are none"):
        write([], ENVELOPE, Dialect())


def test_a_float_is_no_number() -> None:
    with pytest.raises(TypeError, match="not float"):
        written(with_line(price=0.1))


def test_no_line_of_this_room_knows_floats() -> None:
    for file in Path(mlc_dagster.x12.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            assert not (isinstance(node, ast.Name) and node.id == "float"), file
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), file
            assert not (isinstance(node, ast.Div) and file.name not in {"parts.py", "checks.py"}), file


def test_this_room_needs_nothing_but_itself_and_python() -> None:
    for file in Path(mlc_dagster.x12.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                own = module == "mlc_dagster.x12" or module.startswith("mlc_dagster.x12.")
                assert own or module.split(".")[0] in sys.stdlib_module_names, (file, module)


@pytest.mark.parametrize("control", [0, -1, 1_000_000_000])
def test_control_numbers_go_from_1_to_999999999(control: int) -> None:
    with pytest.raises(ValueError, match="1 to 999999999"):
        replace(ENVELOPE, control=control)


@pytest.mark.parametrize("name", ["", "X", "SIXTEENCHARACTER", "ØST", " US", "A\tB"])
def test_an_interchange_id_has_2_to_15_plain_characters(name: str) -> None:
    with pytest.raises(ValueError, match="no interchange or group id"):
        Address(name)


def test_an_interchange_id_with_a_delimiter_is_refused_though_it_would_be_the_right_length() -> None:
    with pytest.raises(RefusedError, match="would not be read as it was meant"):
        write([ORDER], replace(ENVELOPE, sender=Address("FJORD*VIK")), Dialect())


@pytest.mark.parametrize(
    "marks",
    [
        Delimiters("*", "*"),
        Delimiters("A"),
        Delimiters("."),
        Delimiters(" "),
        Delimiters("-"),
        Delimiters("^"),
    ],
)
def test_delimiters_are_different_signs_that_no_number_holds(marks: Delimiters) -> None:
    with pytest.raises(ValueError, match="Delimiters"):
        Dialect("005010", delimiters=marks)


def test_documents_of_one_group_are_numbered_and_counted() -> None:
    orders = [replace(ORDER, number=f"PO{number}") for number in range(3)]
    content = write(orders, ENVELOPE, Dialect()).content.decode()
    assert [f"ST*850*000{number}~BEG*00*SA*PO{number - 1}" in content for number in (1, 2, 3)] == [True] * 3
    assert content.endswith("~GE*3*101~IEA*1*000000101~")


def test_production_and_the_wish_for_a_ta1_stand_in_the_header() -> None:
    content = write([ORDER], replace(ENVELOPE, production=True, acknowledge=True), Dialect()).content
    assert b"*000000101*1*P*>~" in content


def test_005010_has_a_repetition_separator_and_its_own_versions() -> None:
    content = written(ORDER, Dialect("005010")).content.decode()
    assert "*0915*^*00501*" in content
    assert "*X*005010~" in content


# What may be changed is changed as agreed, and told.


@pytest.mark.parametrize(
    ("text", "charset", "arrives"),
    [
        ("Ærlig Øl på Ås", "basic", "AERLIG OEL PAA AAS"),
        ("Jäätelö é ü ß", "basic", "JAEAETELOE E U SS"),
        ("Þórður", "basic", "THORDUR"),
        ("a–b’c“d”", "basic", 'A-B\'C"D"'),
        ("日本 5 €", "basic", "?? 5 ?"),
        ("Ærlig Øl Łódź", "latin1", "Ærlig Øl Lódz"),
        ("A\u030as", "latin1", "Ås"),
        ("Łódź 日本", "utf8", "Łódź 日本"),
        ("a*b>c~d\r\n\te\x00f", "utf8", "a b c d e f"),
        ("  x   y  ", "latin1", "x y"),
        ("soft\u00adhyphen", "utf8", "soft hyphen"),
    ],
)
def test_a_text_arrives_in_letters_the_partner_can_read(text: str, charset: Charset, arrives: str) -> None:
    assert fit(text, charset, "*>~") == arrives


def test_letters_are_replaced_before_a_text_is_cut() -> None:
    content = written(with_buyer(name="Å" * 31)).content.decode()
    assert f"N1*BY*{'AA' * 30}*92" in content


def test_what_was_changed_is_told_with_document_and_place() -> None:
    notes = written(with_buyer(name="日" * 61, city="BER*GEN")).notes
    assert [note.split(": ", 2)[:2] for note in notes] == [
        ["850 PO000123", "N1 02 (name)"],
        ["850 PO000123", "N1 02 (name)"],
        ["850 PO000123", "N4 01 (city)"],
    ]
    assert "became ?" in notes[0]
    assert "was cut to 60" in notes[1]
    assert "delimiters" in notes[2]


def test_an_address_the_charset_cannot_say_is_left_out_and_told() -> None:
    result = written(with_buyer(contact=Contact("BUYING", email="innkjop@fjordvik.example")))
    assert b"PER*BD*BUYING~" in result.content
    assert "innkjop@fjordvik.example" in result.notes[0]


def test_a_tax_base_that_does_not_fit_is_left_out_and_told() -> None:
    told, dialect = CASES["invoice_base_too_long"]
    assert "12345678.95" in written(told, dialect).notes[0]


def test_a_long_note_is_broken_between_words_and_nothing_of_it_is_lost() -> None:
    words = " ".join(f"ORD{number}" for number in range(150))
    result = written(replace(ORDER, notes=(words,)))
    texts = [segment.text(1) for segment in only_set(result.content).set.segments if segment.id == "MSG"]
    assert len(texts) == 4
    assert all(len(text) <= 264 for text in texts)
    assert " ".join(texts) == words


@pytest.mark.parametrize(
    ("form", "expected"),
    [("none", "CTT*2~"), ("literal", "CTT*2*35~"), ("plain", "CTT*2*12.5~")],
)
def test_the_hash_total_is_left_out_or_added_as_agreed(form: str, expected: str) -> None:
    assert expected in written(ORDER, Dialect(hash_total=form)).content.decode()  # type: ignore[arg-type]


def test_the_literal_hash_total_keeps_ten_digits() -> None:
    lines = tuple(
        replace(ORDER.lines[0], quantity=quantity) for quantity in (Decimal("99999999.99"), Decimal("7e1"))
    )
    order = replace(ORDER, lines=lines, total=None)
    assert "CTT*2*69~" in written(order, Dialect(hash_total="literal")).content.decode()


@pytest.mark.parametrize(
    ("change", "form", "starts"),
    [
        ("860", "change", "ST*860*0001~BCH*04*"),
        ("860", "cancel", "ST*860*0001~BCH*01*"),
        ("850-04", "change", "ST*850*0001~BEG*04*"),
        ("850-05", "change", "ST*850*0001~BEG*05*"),
        ("850-05", "cancel", "ST*850*0001~BEG*01*"),
        ("860", "original", "ST*850*0001~BEG*00*"),
    ],
)
def test_a_change_goes_as_the_partner_asks(change: str, form: str, starts: str) -> None:
    order = replace(ORDER, purpose=type(ORDER.purpose)(form))
    assert starts in written(order, Dialect(change_as=change)).content.decode()  # type: ignore[arg-type]


def test_every_received_line_names_its_order() -> None:
    line: Callable[..., ReceivedLine] = ReceivedLine
    advice = replace(RECEIPT, lines=tuple(line(f"PO{n}", "1", money("1"), "EA", SCREW) for n in (1, 2)))
    content = written(advice).content.decode()
    assert (
        content.index("PRF*PO1~")
        < content.index("RCD*1", content.index("RCD*1") + 1)
        < content.index("PRF*PO2~")
    )


def test_a_credit_note_of_nothing_keeps_the_agreed_sign_of_its_lines() -> None:
    line = replace(INVOICE.lines[0], price=money("0"), taxes=())
    note = replace(INVOICE, kind=InvoiceKind.CREDIT_NOTE, total=money("0"), lines=(line,), taxes=())
    dialect = Dialect(credit_sign="negative")
    content = written(note, dialect).content
    assert b"IT1*1*-10*EA*0*" in content
    assert document(only_set(content), dialect) == note


def test_what_a_note_loses_is_told_too() -> None:
    (told,) = written(replace(ORDER, notes=("5 * 3",))).notes
    assert told.startswith("850 PO000123: N9: delimiters in '5 * 3'")


def test_a_text_of_which_nothing_is_left_leaves_no_segment_behind() -> None:
    order = with_line(item=replace(SCREW, description="~"))
    order = replace(
        order, parties=(replace(ORDER.parties[0], streets=("*", "STRANDGATA 12"), more_names=("\n",)),)
    )
    ids = [segment.id for segment in only_set(written(order).content).set.segments]
    assert ids.count("N3") == 1
    assert not {"N2", "PID"} & set(ids)


def test_an_identifier_in_decomposed_letters_is_written_in_composed_ones() -> None:
    content = written(replace(ORDER, number="PO-A\u030a"), Dialect(charset="latin1")).content
    assert "BEG*00*SA*PO-\u00c5*".encode("latin-1") in content
