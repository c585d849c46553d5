"""One round of alerts: look, write down what is open, tell every channel what it has not been told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.channels import NotSent, send
from mlc_dagster.alerts.finding import OF_DAGSTER, Finding, Kind, Severity
from mlc_dagster.alerts.findings import findings
from mlc_dagster.alerts.message import body, news, title
from mlc_dagster.settings import SecretMissing, Settings
from mlc_dagster.settings.alerts import AlertChannel, AlertSettings
from mlc_dagster.suite import Suite
from mlc_dagster.vault import VaultLocked

LEASE = "alerts"
# What is over is looked at for as long as some channel may not have taken the word of it.
LOOK_BACK = timedelta(days=7)
# What has checks and is no destination: it is there as long as its pair is.
OF_PAIRS = ("tableau/site",)
LOOKED_AT = tuple(kind for kind in Kind if kind not in (*OF_DAGSTER, Kind.CHANNEL))


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message to a channel. trouble: why it was not sent, without the address."""

    channel: str
    alerts: int
    trouble: str | None


def look(suite: Suite) -> Book:
    """Write down what the database says is wrong now, and what is over."""
    now = suite.clock.now()
    book = Book(suite.engine)
    book.settle(LOOKED_AT, findings(suite, now), now)
    for alert in book.open():
        if alert.finding.kind in OF_DAGSTER and not _is_on(suite.settings, alert.finding):
            book.over(alert.finding.kind, alert.finding.subject, now)
    return book


def tell(suite: Suite) -> list[Sent]:
    """Look at everything and tell each channel its news, in one message.

    It is marked as told after it was sent: who dies in between tells it twice, and nobody is left untold.
    A channel that fails is tried again in the next round, and the others hear of it then.

    Raises:
        LeaseHeld: another process is telling.
    """
    with suite.leases.hold([LEASE], suite.writer, patience=0):
        return list(_tell_each(suite, suite.settings.alerts, look(suite)))


def try_all(settings: AlertSettings) -> Iterator[Sent]:
    """Send each channel a message that says it is only a test."""
    for name, channel in settings.channels.items():
        words = f"A test of the channel `{name}`. Nothing is wrong, and nothing is to be done."
        yield Sent(name, 0, _try(channel, "mlc: a test", words))


def _is_on(settings: Settings, finding: Finding) -> bool:
    """Whether something still runs that can say it went well: not where the settings have let go of it."""
    about, *companies = finding.subject.split()
    if finding.kind is Kind.CHECK:
        companies.pop()  # the check's own name comes last
    pair = settings.pairs.on().get(finding.pair or "")
    if finding.pair is not None and pair is None:
        return False
    carried = settings.companies_of(finding.pair) if finding.pair else settings.companies
    if not set(companies) <= set(carried):
        return False
    if pair is None or finding.kind is Kind.RUN or about in OF_PAIRS:
        return True
    return about.split("/")[-1] in pair.names()


def _tell_each(suite: Suite, settings: AlertSettings, book: Book) -> Iterator[Sent]:
    now = suite.clock.now()
    alerts = book.since(now - LOOK_BACK)
    for name, channel in settings.channels.items():
        remind = timedelta(hours=settings.remind_hours)
        due = news(name, channel, alerts, book.told(name), now=now, remind=remind)
        if not due.all:
            continue
        trouble = _try(channel, title(due), body(due, settings.dagster_url), good=not (due.new or due.again))
        if trouble is None:
            book.tell(name, due.all, now)
            book.over(Kind.CHANNEL, name, now)
        else:
            book.happened(_broken(name, trouble), now)
        yield Sent(name, len(due.all), trouble)


def _try(channel: AlertChannel, subject: str, text: str, *, good: bool = False) -> str | None:
    try:
        send(channel.to.reveal(), subject, text, good=good)
    except (NotSent, SecretMissing, VaultLocked) as error:
        return str(error)
    return None


def _broken(name: str, trouble: str) -> Finding:
    return Finding(
        Kind.CHANNEL,
        name,
        Severity.ERROR,
        trouble,
        "Correct its address, then `mlc alerts test`. It is tried again every round, and nothing is lost.",
    )
