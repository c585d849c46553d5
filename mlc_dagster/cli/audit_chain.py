"""`mlc audit verify` and `mlc audit export`: the audit trail for those who have to trust it."""

from datetime import date
from pathlib import Path

from mlc_dagster.cli.console import console, counted
from mlc_dagster.delivery import Event
from mlc_dagster.delivery.export import export
from mlc_dagster.delivery.seals import Broken, Head
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def verify(kept: str | None, *, only_head: bool) -> int:
    """Print what a look at the whole trail found; 1 when something is broken.

    Raises:
        NotAHead: `kept` is no seal as it is printed.
    """
    suite = Suite(load_settings())
    ours = Head.parse(kept) if kept is not None else None
    verdict = suite.seals.verify(ours)
    if verdict.first is not None:
        console.print(f"BROKEN. Places that do not fit their seals: {verdict.broken}. The first:")
        console.print(_told(verdict.first, suite.audit.event(verdict.first.event or 0)))
        return 1
    if only_head:
        console.print(str(verdict.head or "nothing is sealed yet"))
        return int(verdict.head is None)
    console.print(f"As it was sealed: {_held(verdict.events, verdict.seals)}.")
    if ours is not None:
        console.print(f"The kept seal {ours.number} is among them, with everything before it.")
    if verdict.removed:
        console.print(f"Removed by retention, as the trail says: {counted(verdict.removed, 'event')}.")
    if verdict.unsealed:
        newer = counted(verdict.unsealed, "event")
        console.print(f"Newer than the last seal: {newer}; the next delivery seals what is new.")
    console.print(f"Newest seal: {verdict.head or 'none yet'}")
    return 0


def write_export(folder: Path, first: date, last: date, form: str) -> None:
    """Write the trail of some days into a folder and say what is there.

    Raises:
        FolderNotEmpty: it holds files.
    """
    suite = Suite(load_settings())
    done = export(suite.engine, suite.seals, folder, first=first, last=last, form=form, now=suite.clock.now())
    console.print(
        f"Written to {folder}: {_held(done.events, done.seals)}. README.txt there says how to read them."
    )


def _held(events: int, seals: int) -> str:
    return f"{counted(events, 'event')}, {counted(seals, 'seal')}"


def _told(broken: Broken, event: Event | None) -> str:
    """What is broken, with what stands there now."""
    if broken.event is None:
        return f"seal {broken.seal} {broken.words}."
    now = (
        ""
        if event is None
        else (
            f" It says now: {event.at:%Y-%m-%d %H:%M:%S} UTC, {event.destination} {event.company} "
            f"{event.number or ''} {event.kind}, batch {event.batch_id}, {dict(event.detail)}"
        )
    )
    return f"event {broken.event} of seal {broken.seal} {broken.words}.{now}"
