"""Ship notices: 856, a tree of levels (vendor sheet x12.md, section 7)."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby

from mlc_dagster.x12 import parts
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import Packaging, Purpose, ShipNotice, ShippedItem
from mlc_dagster.x12.draft import Draft, Value
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Segment

_PURPOSES = {Purpose.ORIGINAL: "00", Purpose.CANCEL: "01", Purpose.CHANGE: "05"}
_PACKAGING = {
    Packaging.CARTON: "CTN25",
    Packaging.PALLET: "PLT94",
    Packaging.BAG: "BAG",
    Packaging.DRUM: "DRM",
    Packaging.ROLL: "ROL",
}
_SSCC = re.compile(r"00\d{18}")  # the number of a logistic unit, with its application identifier


def draft(notice: ShipNotice, dialect: Dialect) -> Draft:
    """The segments of a notice between ST and SE.

    The tree follows from the items: shipment, order, item (0004) where none names a package; with packages
    between order and item (0001) where each is in one; below the item (0002) where one is in several.
    """
    draft = Draft("856", notice.number, dialect)
    packed = max((len(item.marks) for item in notice.items), default=0)
    structure = "0004" if packed == 0 else "0001" if packed == 1 else "0002"
    issued = notice.issued_at
    draft.add("BSN", _PURPOSES[notice.purpose], notice.number, issued.date(), issued.time(), structure)
    if notice.shipped_at:
        draft.add("DTM", "011", notice.shipped_at.date(), notice.shipped_at.time())
    if notice.received_on:
        draft.add("DTM", "050", notice.received_on)
    tree = _Tree(draft)
    tree.shipment(notice)
    for (number, ordered_on, seller_order), items in groupby(notice.items, key=_order_of):
        tree.order(number, ordered_on, seller_order, list(items), structure)
    draft.add("CTT", tree.levels)
    return draft


def _order_of(item: ShippedItem) -> tuple[str, date | None, str]:
    return item.order_number, item.order_date, item.seller_order


class _Tree:
    """Numbers the levels in the order of the file."""

    def __init__(self, draft: Draft) -> None:
        self.levels = 0
        self._draft = draft

    def _level(self, kind: str, parent: int | None, *, children: bool) -> int:
        self.levels += 1
        above = "" if parent is None else str(parent)
        self._draft.add("HL", str(self.levels), above, kind, "1" if children else "0")
        return self.levels

    def shipment(self, notice: ShipNotice) -> None:
        draft = self._draft
        self._level("S", None, children=bool(notice.items))
        _write_packages(draft, notice)
        parts.write_transport(draft, notice.transport)
        if notice.bill_of_lading:
            draft.add("REF", "BM", notice.bill_of_lading)
        if notice.tracking:
            draft.add("REF", "2I", notice.tracking)
        self._marks(notice.marks)
        if notice.expected_on:
            draft.add("DTM", "017", notice.expected_on)
        parts.write_parties(draft, notice.parties)

    def order(
        self,
        number: str,
        ordered_on: date | None,
        seller_order: str,
        items: list[ShippedItem],
        structure: str,
    ) -> None:
        order = self._level("O", 1, children=True)
        self._draft.add("PRF", number, None, None, ordered_on)
        if seller_order:
            self._draft.add("REF", "VN", seller_order)
        if structure != "0001":
            for item in items:
                self._item(item, order, below=item.marks)
            return
        for marks, packed in groupby(items, key=lambda item: item.marks):
            package = self._package(marks, order, children=True)
            for item in packed:
                self._item(item, package)

    def _package(self, marks: tuple[str, ...], parent: int, *, children: bool) -> int:
        level = self._level("P", parent, children=children)
        self._marks(marks)
        return level

    def _marks(self, marks: tuple[str, ...]) -> None:
        for mark in marks:
            self._draft.add("MAN", "GM" if _SSCC.fullmatch(mark) else "CP", mark)

    def _item(self, item: ShippedItem, parent: int, *, below: tuple[str, ...] = ()) -> None:
        draft = self._draft
        level = self._level("I", parent, children=bool(below))
        ids = parts.item_ids(draft, item.item)
        if not ids:
            raise draft.refusal("LIN 02", f"line {item.line} of order {item.order_number} has no item number")
        draft.add("LIN", item.line, *ids)
        ordered: list[Value] = []
        if item.ordered_quantity is not None:
            ordered = [None, item.ordered_quantity, item.ordered_unit or item.unit]
        draft.add("SN1", item.line, item.quantity, item.unit, *ordered)
        parts.write_description(draft, item.item)
        if item.lot:
            draft.add("REF", "LT", item.lot)
        for mark in below:
            self._package((mark,), level, children=False)


def _write_packages(draft: Draft, notice: ShipNotice) -> None:
    packaging = _PACKAGING[notice.packaging] if notice.packaging else ""
    if notice.packages is None and notice.weight is None and not packaging:
        return
    weight: list[Value] = ["G", notice.weight, notice.weight_unit] if notice.weight is not None else []
    draft.add("TD1", packaging, notice.packages, *([None, None, None, *weight] if weight else []))


def read(root: Loop, dialect: Dialect) -> ShipNotice:
    """The notice of an accepted 856, whatever tree it has: parents are followed, positions are not trusted.

    Lines of quantity 0 are left out (sheet, section 7).

    Raises:
        UnreadableError: it has no shipment level, or a purpose we cannot carry out.
    """
    del dialect  # a ship notice is the same in all dialects
    heading = root.first("BSN") or Segment("BSN")
    levels = {loop.rows[0].segment.text(1): loop for loop in root.inner("HL")}
    shipment = next((loop for loop in levels.values() if _kind(loop) == "S"), None)
    if shipment is None:
        raise UnreadableError(f"Ship notice {heading.text(2)} has no shipment level (HL03 S).")
    packages = shipment.first("TD1") or Segment("TD1")
    dates = [*root.all("DTM"), *shipment.all("DTM")]
    return ShipNotice(
        number=heading.text(2),
        issued_at=parts.needed(parts.moment(heading, 3), "BSN 03"),
        items=tuple(_items(levels)),
        parties=parts.read_parties(shipment),
        purpose=parts.purpose(heading, 1),
        shipped_at=parts.moment(parts.qualified(dates, "011")),
        expected_on=parts.day(parts.qualified(dates, "017")),
        received_on=parts.day(parts.qualified(dates, "050")),
        transport=parts.read_transport(shipment),
        packaging=parts.reverse(_PACKAGING, packages.text(1)),
        packages=parts.whole(packages, 2),
        weight=parts.decimal(packages, 7),
        weight_unit=packages.text(8),
        bill_of_lading=parts.reference(shipment, "BM"),
        tracking=parts.reference(shipment, "2I"),
        marks=_marks(shipment),
    )


def _kind(loop: Loop) -> str:
    return loop.rows[0].segment.text(3)


def _items(levels: Mapping[str, Loop]) -> Iterator[ShippedItem]:
    packages_below: dict[str, list[str]] = {}
    for loop in levels.values():
        if _kind(loop) == "P":
            packages_below.setdefault(loop.rows[0].segment.text(2), []).extend(_marks(loop))
    for level, loop in levels.items():
        if _kind(loop) == "I" and loop.first("SN1"):
            item = _item(list(_upwards(level, levels)), packages_below.get(level, []))
            if item.quantity:
                yield item


def _upwards(level: str, levels: Mapping[str, Loop]) -> Iterator[Loop]:
    """The loop of a level and those above it; the validator has seen that parents stand before their
    children.
    """
    while level in levels:
        yield levels[level]
        level = levels[level].rows[0].segment.text(2)


def _item(lineage: list[Loop], packages: list[str]) -> ShippedItem:
    own = lineage[0]
    shipped = own.first("SN1") or Segment("SN1")
    named = own.first("LIN") or Segment("LIN")
    order = next((loop.first("PRF") for loop in lineage if loop.first("PRF")), None)
    around = [mark for loop in lineage[1:] if _kind(loop) == "P" for mark in _marks(loop)]
    return ShippedItem(
        order_number=order.text(1) if order else "",
        line=named.text(1) or shipped.text(1),
        quantity=parts.quantity(shipped, 2),
        unit=shipped.text(3),
        item=parts.read_item(named, 2, own),
        order_date=parts.day(order, 4),
        seller_order=next((found for loop in lineage if (found := parts.reference(loop, "VN"))), ""),
        ordered_quantity=parts.decimal(shipped, 5),
        ordered_unit=shipped.text(6),
        lot=parts.reference(own, "LT"),
        marks=(*around, *packages),
    )


def _marks(loop: Loop) -> tuple[str, ...]:
    """Package numbers; AA is an SSCC without the 00 in front."""
    found = ((mark.text(1), mark.text(2)) for mark in loop.all("MAN"))
    return tuple(
        "00" + number if kind == "AA" else number for kind, number in found if kind in ("GM", "AA", "CP")
    )
