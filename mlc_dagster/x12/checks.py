"""What a set must agree on within itself, beyond its segments' form: counts, the tree of levels, sums."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from mlc_dagster.x12.elements import CODE
from mlc_dagster.x12.findings import Finding, Level, Severity
from mlc_dagster.x12.sets import SetDef
from mlc_dagster.x12.structure import Loop, Row
from mlc_dagster.x12.syntax import Segment
from mlc_dagster.x12.values import is_whole, read_decimal, read_implied

# BSN05: the levels of a ship notice from the root down. A tare (T) may stand anywhere between.
STRUCTURES: Mapping[str, str] = {"0001": "SOPI", "0002": "SOIP", "0003": "SPOI", "0004": "SOI"}

_CENT = Decimal("0.01")


def check_set(definition: SetDef, root: Loop) -> Iterator[Finding]:
    """Every disagreement within a set whose segments could be placed."""
    if definition.counted:
        yield from _count(definition, root)
    extra = _OF_SET.get(definition.id)
    if extra:
        yield from extra(root)


def _element(row: Row, position: int, number: str, message: str) -> Finding:
    return Finding(
        Severity.ERROR,
        Level.ELEMENT,
        CODE,
        message,
        segment=row.segment.id,
        position=row.position,
        loop=row.loop,
        element=position,
        number=number,
        value=row.segment.text(position),
    )


def _count(definition: SetDef, root: Loop) -> Iterator[Finding]:
    counted = len(root.inner(definition.counted))
    for row in root.rows_of("CTT"):
        text = row.segment.text(1)
        if is_whole(text) and int(text) != counted:
            message = f"it counts {int(text)} {definition.counted} segments, there are {counted}"
            yield _element(row, 1, "354", message)


def _levels(root: Loop) -> Iterator[Finding]:
    """The tree of a ship notice: ids once, parents before children, levels as BSN05 says (sheet, 7)."""
    heading = root.first("BSN")
    chain = STRUCTURES.get(heading.text(5), "") if heading else ""
    seen: dict[str, Row] = {}
    parents: dict[str, str] = {}
    for loop in root.inner("HL"):
        row = loop.rows[0]
        level, parent, kind = (row.segment.text(position) for position in (1, 2, 3))
        if level in seen:
            yield _element(row, 1, "628", f"level {level} is there twice")
        if parent and parent not in seen:
            yield _element(row, 2, "734", f"its parent {parent} does not stand before it")
        elif not parent and kind != "S":
            yield _element(row, 2, "734", f"level {kind} needs a parent; only a shipment has none")
        elif chain and not _fits(kind, _above(parent, seen, parents), chain):
            yield _element(
                row, 3, "735", f"level {kind} cannot stand here: BSN05 promises {', '.join(chain)}"
            )
        seen[level], parents[level] = row, parent
    yield from _children(seen, parents)


def _above(level: str, seen: Mapping[str, Row], parents: Mapping[str, str]) -> str:
    """The kind of the nearest level upwards that is no tare."""
    walked: set[str] = set()
    while level in seen and level not in walked and seen[level].segment.text(3) == "T":
        walked.add(level)
        level = parents[level]
    return seen[level].segment.text(3) if level in seen else ""


def _fits(kind: str, above: str, chain: str) -> bool:
    if kind == "T":
        return True
    at = chain.find(kind)
    return at >= 0 and above == (chain[at - 1] if at else "")


def _children(seen: Mapping[str, Row], parents: Mapping[str, str]) -> Iterator[Finding]:
    with_children = set(parents.values())
    for level, row in seen.items():
        flag = row.segment.text(4)
        if flag and flag != ("1" if level in with_children else "0"):
            yield _element(
                row, 4, "736", f"it says {flag}, but level {level} has {'' if flag == '0' else 'no '}children"
            )


def _invoice_total(root: Loop) -> Iterator[Finding]:
    """The total against its parts. Rounding by the sender is normal, so a cent a part is allowed (sheet,
    section 6).
    """
    total = root.rows_of("TDS")
    if not total:
        return
    try:
        stated = read_implied(total[0].segment.text(1))
        parts = list(_parts(root))
    except ValueError:
        return  # a number that is none has its own finding
    difference = abs(stated - sum(parts))
    if difference > _CENT * max(1, len(parts)):
        message = f"the total {stated} differs by {difference} from lines, charges, allowances and taxes"
        yield Finding(
            Severity.WARNING, Level.ELEMENT, "", message, segment="TDS", position=total[0].position, element=1
        )


def _parts(root: Loop) -> Iterator[Decimal]:
    for loop in root.inner("IT1"):
        line = loop.rows[0].segment
        if line.text(2) and line.text(4):
            per = 100 if line.text(5) == "HP" else 1
            yield read_decimal(line.text(2)) * read_decimal(line.text(4)) / per
        yield from map(_signed, loop.all("SAC"))
    yield from map(_signed, root.all("SAC"))
    for tax in root.all("TXI"):
        if tax.text(2):
            yield read_decimal(tax.text(2))


def _signed(charge: Segment) -> Decimal:
    amount = read_implied(charge.text(5)) if charge.text(5) else Decimal(0)
    return -amount if charge.text(1) == "A" else amount


_OF_SET: Mapping[str, Callable[[Loop], Iterator[Finding]]] = {"856": _levels, "810": _invoice_total}
