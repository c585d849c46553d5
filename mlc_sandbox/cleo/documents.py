"""What a receiver understands of a set: one plain document each (vendors/x12.md sections 5 to 7)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from mlc_sandbox.cleo.x12 import Interchange, Segment, Set, at

Document = dict[str, Any]

_CENT = Decimal("0.01")
_PURPOSES = {"00": "original", "01": "cancel", "03": "delete", "04": "change", "05": "replace"}


def number(text: str) -> Decimal | None:
    """A number of type R or N0; None for an empty element."""
    return Decimal(text) if text else None


def implied(text: str) -> Decimal | None:
    """A number of type N2: two implied decimals."""
    return Decimal(text).scaleb(-2) if text else None


def understand(interchange: Interchange, found: Set) -> Document:
    """The set as a document: kind, key (the receiver's own, section 9), purpose, number, lines, totals.

    Raises:
        ValueError: a number that cannot be read, in a set that was accepted with errors.
    """
    make = {"850": _order, "860": _change, "810": _invoice, "856": _shipment, "861": _receiving}[found.kind]
    try:
        document = make(found)
    except ArithmeticError as error:
        raise ValueError(f"A number of {found.kind} {found.control} cannot be read.") from error
    document["kind"] = found.kind
    document["from"], document["to"] = interchange.sender[1], interchange.receiver[1]
    # Where no party is named it is whoever sent the interchange.
    document["key"] = [document["key"][0] or document["from"], document["number"]]
    document["version"] = interchange.version
    return document


def parties(segments: Iterable[Segment]) -> dict[str, dict[str, str]]:
    """N1 loops by entity code; the first of each."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for segment in segments:
        if segment[0] == "N1":
            current = {"name": at(segment, 2), "qualifier": at(segment, 3), "id": at(segment, 4)}
            found.setdefault(at(segment, 1), current)
        elif segment[0] == "N3" and current:
            current["street"] = " ".join(filter(None, (current.get("street"), *segment[1:])))
        elif segment[0] == "N4" and current:
            current |= {"city": at(segment, 1), "postal_code": at(segment, 3), "country": at(segment, 4)}
    return found


def _who(found: dict[str, dict[str, str]], *codes: str) -> str:
    return next((found[code]["id"] or found[code]["name"] for code in codes if code in found), "")


def _items(segment: Segment, first: int) -> dict[str, str]:
    """Qualifier and id pairs from an element on."""
    return dict(zip(segment[first::2], segment[first + 1 :: 2], strict=False))


def _lines(found: Set, name: str) -> list[tuple[Segment, list[Segment]]]:
    """Each line's segment with what belongs to it, until the next line or the summary."""
    lines: list[tuple[Segment, list[Segment]]] = []
    for segment in found.segments:
        if segment[0] == name:
            lines.append((segment, []))
        elif segment[0] in {"CTT", "TDS", "SE"}:
            break
        elif lines:
            lines[-1][1].append(segment)
    return lines


def _header(found: Set, line: str) -> list[Segment]:
    names = [segment[0] for segment in found.segments]
    return found.segments[: names.index(line)] if line in names else found.segments


def _text(segments: Iterable[Segment]) -> str:
    return " ".join(at(segment, 5) for segment in segments if segment[0] == "PID")


def _order(found: Set) -> Document:
    begin, named = found.first("BEG"), parties(_header(found, "PO1"))
    amounts = {at(segment, 1): at(segment, 2) for segment in found.segments if segment[0] == "AMT"}
    return {
        "purpose": _PURPOSES.get(at(begin, 1), at(begin, 1)),
        "number": at(begin, 3),
        "buyer": _who(named, "BY"),
        "seller": _who(named, "SE", "VN", "SU"),
        "key": [_who(named, "BY")],
        "date": at(begin, 5),
        "currency": at(found.first("CUR"), 2),
        "parties": named,
        "total": number(amounts.get("TT", "")),
        "lines": [
            {
                "line": at(line, 1) or str(position),
                "quantity": number(at(line, 2)),
                "unit": at(line, 3),
                "price": number(at(line, 4)),
                "items": _items(line, 6),
                "text": _text(more),
            }
            for position, (line, more) in enumerate(_lines(found, "PO1"), start=1)
        ],
    }


def _change(found: Set) -> Document:
    begin, named = found.first("BCH"), parties(_header(found, "POC"))
    return {
        "purpose": _PURPOSES.get(at(begin, 1), at(begin, 1)),
        "number": at(begin, 3),
        "buyer": _who(named, "BY"),
        "seller": _who(named, "SE", "VN", "SU"),
        "key": [_who(named, "BY")],
        "date": at(begin, 6),
        "parties": named,
        "lines": [
            {
                "line": at(line, 1),
                "change": at(line, 2),
                "quantity": number(at(line, 3)),
                "open": number(at(line, 4)),
                "unit": at(line, 5),
                "price": number(at(line, 6)),
                "items": _items(line, 8),
                "text": _text(more),
            }
            for line, more in _lines(found, "POC")
        ],
    }


def _invoice(found: Set) -> Document:
    begin, named = found.first("BIG"), parties(_header(found, "IT1"))
    lines = [
        {
            "line": at(line, 1) or str(position),
            "quantity": number(at(line, 2)),
            "unit": at(line, 3),
            "price": number(at(line, 4)),
            "basis": at(line, 5),
            "items": _items(line, 6),
            "taxes": [_tax(segment) for segment in more if segment[0] == "TXI"],
            "text": _text(more),
        }
        for position, (line, more) in enumerate(_lines(found, "IT1"), start=1)
    ]
    summary = _summary(found)
    document: Document = {
        "purpose": _PURPOSES.get(at(begin, 8) or "00", at(begin, 8)),
        "number": at(begin, 2),
        "type": at(begin, 7),
        "order": at(begin, 4),
        "buyer": _who(named, "BY", "BT"),
        "seller": _who(named, "SE", "SU", "VN", "II"),
        "key": [_who(named, "SE", "SU", "VN", "II")],
        "date": at(begin, 1),
        "currency": at(found.first("CUR"), 2),
        "parties": named,
        "total": implied(at(found.first("TDS"), 1)),
        "taxes": [_tax(segment) for segment in summary if segment[0] == "TXI"],
        "charges": [
            {"kind": at(segment, 1), "code": at(segment, 2), "amount": implied(at(segment, 5))}
            for segment in found.segments
            if segment[0] == "SAC"
        ],
        "lines": lines,
    }
    document["remarks"] = _remarks(found, document)
    return document


def _summary(found: Set) -> list[Segment]:
    """The segments after TDS without the tax of a SAC, which is in the total's tax already (section 6)."""
    names = [segment[0] for segment in found.segments]
    kept: list[Segment] = []
    for segment in found.segments[names.index("TDS") if "TDS" in names else len(names) :]:
        if segment[0] == "TXI" and kept and kept[-1][0] == "SAC":
            continue
        kept.append(segment)
    return kept


def _tax(segment: Segment) -> Document:
    return {
        "type": at(segment, 1),
        "amount": number(at(segment, 2)),
        "rate": number(at(segment, 3)),
        "exempt": at(segment, 6),
        "base": number(at(segment, 8)),
    }


def _remarks(found: Set, document: Document) -> list[str]:
    """A total that the lines do not give; a cent a line is rounding, and normal (section 6)."""
    goods = sum((_amount(line) for line in document["lines"]), start=Decimal(0))
    signs = {"A": -1, "C": 1}
    charges = sum(
        (signs.get(charge["kind"], 0) * (charge["amount"] or 0) for charge in document["charges"]),
        start=Decimal(0),
    )
    tax = sum((entry["amount"] or 0 for entry in document["taxes"]), start=Decimal(0))
    if not document["taxes"]:
        tax = sum(
            (number(at(segment, 2)) or 0 for segment in found.segments if segment[0] == "TXI"),
            start=Decimal(0),
        )
    expected = goods + charges + tax
    allowed = _CENT * (len(document["lines"]) + 1)
    total = document["total"]
    if total is None or abs(abs(total) - abs(expected)) <= allowed:
        return []
    return [f"TDS01 says {total}, lines, charges and tax give {expected:f}."]


def _amount(line: Document) -> Decimal:
    per = {"HP": 100, "TP": 1000}.get(line["basis"], 1)  # price per hundred, per thousand
    return Decimal((line["quantity"] or 0) * (line["price"] or 0)) / per


def _shipment(found: Set) -> Document:
    begin = found.first("BSN")
    named = parties(found.segments)
    return {
        "purpose": _PURPOSES.get(at(begin, 1), at(begin, 1)),
        "number": at(begin, 2),
        "shipper": _who(named, "SF", "SE", "SU"),
        "key": [_who(named, "SF", "SE", "SU")],
        "date": at(begin, 3),
        "structure": at(begin, 5),
        "parties": named,
        "lines": _shipped(found),
    }


def _shipped(found: Set) -> list[Document]:
    """The items, each with the order above it, whatever lies between (section 7)."""
    levels: dict[str, tuple[str, list[Segment]]] = {}
    inside: list[Segment] | None = None
    for segment in found.segments:
        if segment[0] == "HL":
            inside = []
            levels[at(segment, 1)] = (at(segment, 2), [segment])
            inside = levels[at(segment, 1)][1]
        elif inside is not None:
            inside.append(segment)
    lines = []
    for parent, segments in levels.values():
        if at(segments[0], 3) != "I":
            continue
        line, shipped = _first(segments, "LIN"), _first(segments, "SN1")
        lines.append(
            {
                "order": _order_above(levels, parent, segments),
                "line": at(line, 1) or at(shipped, 1),
                "quantity": number(at(shipped, 2)),
                "unit": at(shipped, 3),
                "items": _items(line, 2),
            }
        )
    return lines


def _order_above(levels: dict[str, tuple[str, list[Segment]]], parent: str, own: list[Segment]) -> str:
    order = at(_first(own, "PRF"), 1)
    while not order and parent in levels:
        parent, above = levels[parent]
        order = at(_first(above, "PRF"), 1)
    return order


def _first(segments: Iterable[Segment], name: str) -> Segment:
    return next((segment for segment in segments if segment[0] == name), [name])


def _receiving(found: Set) -> Document:
    begin, named = found.first("BRA"), parties(_header(found, "RCD"))
    order = at(_first(_header(found, "RCD"), "PRF"), 1)
    return {
        "purpose": _PURPOSES.get(at(begin, 3), at(begin, 3)),
        "number": at(begin, 1),
        "receiver": _who(named, "ST", "BY"),
        "key": [_who(named, "BY", "ST")],
        "date": at(begin, 2),
        "parties": named,
        "lines": [
            {
                "order": at(_first(more, "PRF"), 1) or order,
                "line": at(_first(more, "LIN"), 1) or at(line, 1),
                "quantity": number(at(line, 2)),
                "unit": at(line, 3),
                "items": _items(_first(more, "LIN"), 2),
            }
            for line, more in _lines(found, "RCD")
        ],
    }
