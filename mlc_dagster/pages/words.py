"""What states and events are called on the pages, and how times and numbers are written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mlc_dagster.delivery import Kind
from mlc_dagster.operations.backlog import Interrupted
from mlc_dagster.settings import TITLES

SYSTEMS = {**TITLES, "visma": "the ERP"}

# What an event of the audit trail says happened, and how it is marked. {system} is where.
EVENTS: Mapping[Kind, tuple[str, str]] = {
    Kind.CREATED: ("made in {system}", "good"),
    Kind.UPDATED: ("changed in {system}", "good"),
    Kind.DELETED: ("removed from {system}", "good"),
    Kind.FAILED: ("refused by {system}", "bad"),
    Kind.PENDING: ("goes to {system} again", "waits"),
    Kind.QUARANTINED: ("held back", "bad"),
    Kind.RELEASED: ("no longer held back", "good"),
    Kind.DISMISSED: ("settled by a person", "waits"),
    Kind.UNSAID: ("nothing to tell the partner", "quiet"),
    Kind.VANISHED: ("gone from the ERP", "waits"),
    Kind.RENUMBERED: ("has another number in the ERP", "waits"),
    Kind.NOTED: ("note written into the ERP", "good"),
    Kind.REFUSED: ("note refused by the ERP", "bad"),
    Kind.ACKNOWLEDGED: ("accepted by the partner", "good"),
    Kind.WITH_ERRORS: ("accepted by the partner, with remarks", "waits"),
    Kind.REJECTED: ("rejected by the partner", "bad"),
    Kind.INTENDED: ("about to be sent to {system}", "quiet"),
    Kind.RESUMED: ("taken up again", "quiet"),
    Kind.LANDED: ("{system} has confirmed the batch", "quiet"),
    Kind.IN_DOUBT: ("sent to {system}, and no answer came", "waits"),
    Kind.ABANDONED: ("the batch was given up; its rows go again", "waits"),
    Kind.HELD: ("put on legal hold", "quiet"),
    Kind.UNHELD: ("released from legal hold", "quiet"),
}

# What is made, changed or removed at a partner is a document that goes there.
THROUGH_CLEO: Mapping[Kind, str] = {
    Kind.CREATED: "sent through Cleo",
    Kind.UPDATED: "sent through Cleo as a change",
    Kind.DELETED: "cancelled through Cleo",
}

# What a person does about a record, by the stage it is held back at (docs/replay.md).
REMEDIES: Mapping[str, str] = {
    "visma": "Correct it in Visma.net. What changes there is read by itself.",
    "contract": "Correct it in Visma.net, or have the rule mended that it breaks. The next run looks again.",
    "preflight": "Correct it in Visma.net. The next run looks again.",
    "names": "Correct the list that names what is gone. The next run looks again.",
    "held": "Decide whether it is to be done as it was sent. Your operator then does it: mlc cleo release.",
    "inbox": "Its sender has to send it anew, as it should be.",
}


def system(place: str) -> str:
    """The system a destination or an entity belongs to, as people call it."""
    name = place.split("/", maxsplit=1)[0]
    return SYSTEMS.get(name, name)


def held_where(place: str) -> str:
    """Where on its way a record of a place is held back."""
    if place.startswith("visma/"):
        return "when it was read from the ERP"
    return "when it came in" if place.endswith("/inbox") else f"before {system(place)}"


def happened(kind: Kind, place: str) -> str:
    """What an event says happened, in words."""
    if place.startswith("cleo/") and kind in THROUGH_CLEO:
        return THROUGH_CLEO[kind]
    words, _ = EVENTS.get(kind, (kind.value, "quiet"))
    return words.format(system=system(place))


def mark(kind: Kind) -> str:
    """How an event is marked: good, waits, bad or quiet."""
    return EVENTS.get(kind, ("", "quiet"))[1]


def kind_of(place: str, count: int = 2) -> str:
    """What a destination's rows are called: anaplan/supplier_invoices is supplier invoice, or invoices."""
    name = place.rsplit("/", maxsplit=1)[-1].replace("_", " ")
    name = f"GL {name[3:]}" if name.startswith("gl ") else name
    if count != 1 or not name.endswith("s"):
        return name
    return f"{name[:-3]}y" if name.endswith("ies") else name[:-1]


def counted(places: Counter[str]) -> str:
    """Rows of several destinations, such as: 1 supplier invoice and 3 supplier invoice lines."""
    lines_last = sorted(places.items(), key=lambda each: (each[0].endswith("_lines"), each[0]))
    parts = [f"{count:,} {kind_of(place, count)}" for place, count in lines_last]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def ago(age: timedelta | None) -> str:
    """How long something is ago."""
    if age is None:
        return "never"
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 90:
        return f"{minutes} min ago"
    if minutes < 48 * 60:
        return f"{minutes // 60} h ago"
    return f"{minutes // (24 * 60)} days ago"


def interrupted(read: Interrupted) -> str:
    """How far a read came before the ERP's limit was used up."""
    what = kind_of(read.entity).capitalize()
    if read.pages is None:
        return f"{what}: {read.days:,} days to read" if read.days else f"{what}: the newest changes to read"
    return f"{what}: {read.here:,} of {read.pages:,} pages here"


def to_go(reads: Sequence[Interrupted], hours: int | None) -> str:
    """When the pages that are known of will all be here; hours: of the ERP's, this one included."""
    if hours is None or all(read.pages is None for read in reads):
        return "it goes on by itself"
    bound = "at least" if any(read.pages is None for read in reads) else "about"
    return f"it goes on by itself, {bound} {hours - 1:,} h more"


def local(at: datetime | None, zone: ZoneInfo) -> str:
    """A time as people at the company read it; empty for none."""
    return "" if at is None else f"{at.astimezone(zone):%d %b %Y %H:%M}".lstrip("0")


def detail(values: Mapping[str, Any]) -> str:
    """What an event adds, in words."""
    shown = {name: value for name, value in values.items() if value not in (None, "", {}, [])}
    if set(shown) == {"reason"}:
        return str(shown["reason"])
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in shown.items())


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return str(value)
