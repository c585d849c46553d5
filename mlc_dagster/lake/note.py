"""What a partition knows about its own reading; it travels in the Parquet file's metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

NOTE = b"mlc.note"
NOTES = b"mlc.notes"


@dataclass(frozen=True, slots=True)
class DayNote:
    """How and until when a day was read.

    `next_from` is ERP wall time, as text, to read from next time. `read_at` is UTC. `complete` says that the
    reading began after the day had ended. `total` is the number of records the ERP reported.
    """

    next_from: str | None
    read_at: datetime
    complete: bool
    total: int


def day_metadata(note: DayNote) -> dict[bytes, bytes]:
    """The metadata of a day's file."""
    return {NOTE: json.dumps(_plain(note)).encode()}


def month_metadata(notes: Mapping[date, DayNote]) -> dict[bytes, bytes]:
    """The metadata of a month's file: a note for each day that was read, days without rows included."""
    return {
        NOTES: json.dumps({day.isoformat(): _plain(note) for day, note in sorted(notes.items())}).encode()
    }


def day_note(metadata: Mapping[bytes, bytes]) -> DayNote:
    """The note of a day's file."""
    return _note(json.loads(metadata[NOTE]))


def month_notes(metadata: Mapping[bytes, bytes]) -> dict[date, DayNote]:
    """The notes of a month's file, by day."""
    return {date.fromisoformat(day): _note(note) for day, note in json.loads(metadata[NOTES]).items()}


def _plain(note: DayNote) -> dict[str, Any]:
    return {**asdict(note), "read_at": note.read_at.isoformat()}


def _note(data: dict[str, Any]) -> DayNote:
    return DayNote(**{**data, "read_at": datetime.fromisoformat(data["read_at"])})
