"""What we say of what partners sent: a 997 for each group that is no acknowledgment, a TA1 where one is due.

Stored with numbers and bytes before anything leaves, once for each interchange by its digest, like every
interchange of ours. They go as they are, without a JSON document around them: they have no business fields.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from mlc_dagster.cleo.destination import dialect_of
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.outbox import Made, Outbox, State, Stored
from mlc_dagster.clock import Clock
from mlc_dagster.settings.cleo import CleoSettings, Identity
from mlc_dagster.x12.acknowledgments import acknowledge, acknowledge_interchange
from mlc_dagster.x12.dialect import Address, Dialect, Envelope
from mlc_dagster.x12.documents import Acknowledgment, Status
from mlc_dagster.x12.errors import RefusedError
from mlc_dagster.x12.validate import Result
from mlc_dagster.x12.writer import Written, write, write_interchange_acknowledgment

ACKNOWLEDGMENTS, ENVELOPES = "FA", "TA1"
ASKED = "1"  # ISA14


class Replies:
    """Our acknowledgments to partners."""

    def __init__(self, mailbox: Mailbox, outbox: Outbox, settings: CleoSettings, clock: Clock) -> None:
        self._mailbox, self._outbox, self._settings, self._clock = mailbox, outbox, settings, clock

    def build(self, partner: str, company: str, result: Result, digest: str) -> None:
        """Store what is to be said of an interchange, once: a repetition changes nothing."""
        dialect = dialect_of(self._settings.partners[partner])
        about = acknowledge_interchange(result)
        # A TA1 alone is not answered by a TA1.
        if about.status is Status.REJECTED or (result.groups and result.interchange.header.text(14) == ASKED):
            self._store(
                partner,
                company,
                ENVELOPES,
                digest,
                lambda envelope: write_interchange_acknowledgment(about, envelope, dialect),
            )
        answers = [one for one in map(acknowledge, result.groups) if one is not None]
        if result.accepted and answers:
            self._store(
                partner,
                company,
                ACKNOWLEDGMENTS,
                digest,
                lambda envelope: _written(answers, envelope, dialect),
            )

    def send(self) -> None:
        """File what is stored and was not filed. Raises transport's CallFailed: the next look goes on."""
        for kind in (ENVELOPES, ACKNOWLEDGMENTS):
            for stored in self._outbox.find(kind=kind, state=State.BUILT):
                self._file(stored)

    def repeat(self, digest: str) -> None:
        """Say once more what was said: the same bytes with the same numbers. Raises as `send`."""
        for kind in (ENVELOPES, ACKNOWLEDGMENTS):
            for stored in self._outbox.of_batch(_batch(digest, kind)):
                self._file(stored.renamed(self._clock.now()))

    def _file(self, stored: Stored) -> None:
        self._mailbox.put(self._settings.folders.upload, stored.file, stored.content)
        self._outbox.sent(stored)

    def _store(
        self, partner: str, company: str, kind: str, digest: str, write_it: Callable[[Envelope], Written]
    ) -> None:
        batch = _batch(digest, kind)
        if self._outbox.of_batch(batch):
            return
        us, them = self._settings.identities[company], self._settings.partners[partner]
        local = self._clock.now().astimezone(ZoneInfo(self._settings.timezone))

        def made(control: int, group_control: int) -> Made:
            envelope = Envelope(
                sender=_address(us),
                receiver=_address(them),
                created=local.replace(second=0, microsecond=0, tzinfo=None),
                control=control,
                group_control=group_control,
                production=them.usage == "production",
            )
            name = "TA1" if kind == ENVELOPES else "997"
            file = f"{name}_{partner}_{company}_{control:09d}_{self._clock.now():%Y%m%dT%H%M%SZ}.edi"
            return Made(file, write_it(envelope).content, ())

        pair = f"{us.id}>{them.id}"
        self._outbox.build(partner=partner, company=company, kind=kind, pair=pair, batch_id=batch, make=made)


def _written(answers: Sequence[Acknowledgment], envelope: Envelope, dialect: Dialect) -> Written:
    """The 997s; without their details where those cannot be written: a partner must get an answer."""
    try:
        return write(answers, envelope, dialect)
    except RefusedError:
        bare = [replace(one, sets=tuple(replace(each, errors=()) for each in one.sets)) for one in answers]
        return write(bare, envelope, dialect)


def _batch(digest: str, kind: str) -> str:
    return f"{kind} {digest}"


def _address(identity: Identity) -> Address:
    return Address(identity.id, identity.qualifier, identity.group_id or "")
