"""Files that partners could send, and what is agreed with these partners."""

from datetime import UTC, datetime
from pathlib import Path

from mlc_dagster.x12.dialect import Address, Envelope
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.syntax import Interchange
from mlc_dagster.x12.validate import Result, SetResult, validate

FOLDER = Path(__file__).parent
SHEET = ("850_purchase_order", "810_invoice", "856_ship_notice", "997_acknowledgment", "997_one_set_rejected")

US, PARTNER = Address("FJORDVIKNO"), Address("NORDLYSSE")
ENVELOPE = Envelope(US, PARTNER, datetime(2026, 11, 21, 9, 15, tzinfo=UTC), control=101, group_control=101)


def content(name: str) -> bytes:
    return (FOLDER / f"{name}.edi").read_bytes()


def judged(raw: bytes) -> Result:
    """The one interchange of a file."""
    (interchange,) = read(raw)
    return validate(interchange)


def only_set(raw: bytes) -> SetResult:
    """The one set of a file."""
    (group,) = judged(raw).groups
    (one,) = group.sets
    return one


def envelope_of(interchange: Interchange) -> Envelope:
    """The envelope an interchange was written with."""
    header, group = interchange.header, interchange.groups[0].header
    return Envelope(
        sender=Address(header.text(6).strip(), header.text(5), group.text(2)),
        receiver=Address(header.text(8).strip(), header.text(7), group.text(3)),
        created=datetime.strptime(header.text(9) + header.text(10), "%y%m%d%H%M").replace(tzinfo=UTC),
        control=int(header.text(13)),
        group_control=int(group.text(6)),
        production=header.text(15) == "P",
        acknowledge=header.text(14) == "1",
    )
