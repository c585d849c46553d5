"""What partners' systems said of our documents: 997s and TA1s, correlated with what was sent.

By partner, kind of group, its number and the set's, as numbers: zeros may be added or dropped
(vendors/x12.md section 9).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mlc_dagster.cleo.outbox import Outbox, Standing, State, Stored
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.x12.documents import Acknowledgment, InterchangeAcknowledgment, Status
from mlc_dagster.x12.values import is_whole

STATES: Mapping[Status, State] = {
    Status.ACCEPTED: State.ACKNOWLEDGED,
    Status.WITH_ERRORS: State.WITH_ERRORS,
    Status.PARTLY: State.WITH_ERRORS,
    Status.REJECTED: State.REJECTED,
}
# TA1 025: the number came before. What came first has been judged, or will be.
DUPLICATE = "025"
# What the operator reads of a document whose answer is missing for longer than agreed.
OVERDUE = "overdue"


@dataclass
class Noted:
    """What came of acknowledgments in a run: documents by state, and those of nothing we know."""

    run_id: str = ""
    documents: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def add(self, state: State) -> None:
        """Count one."""
        self.documents[state.value] = self.documents.get(state.value, 0) + 1


class Answers:
    """Notes acknowledgments in the outbox, and tells where documents stand."""

    def __init__(self, outbox: Outbox, settings: CleoSettings) -> None:
        self._outbox, self._settings = outbox, settings

    def group(self, partner: str, company: str, answer: Acknowledgment, noted: Noted) -> None:
        """A 997: of a group, and of each of its sets. What it does not name shares the group's fate, and all
        share it where the group is rejected: the partner has processed none, whatever it found of each.
        """
        between, named = {"partner": partner, "company": company}, f"{answer.kind} {answer.control}"
        found = list(self._outbox.find(**between, kind=answer.kind, group_control=answer.control))
        if not found:
            noted.unknown.append(f"997 of {partner} for {named}")
            return
        whole = STATES[answer.status]
        fate: tuple[State, Mapping[str, Any]] = (whole, {"group": list(answer.codes)})
        documents = {entry.control: fate for entry in found[-1].documents}
        places = {int(control): control for control in documents}
        for one in answer.sets:
            place = places.get(int(one.control)) if is_whole(one.control) else None
            if place is None:
                noted.unknown.append(f"997 of {partner} for {named}, set {one.control}")
            elif one.status is Status.REJECTED or answer.status is not Status.REJECTED:
                documents[place] = STATES[one.status], _detail(one.codes, one.errors)
        self._note(found[-1], whole, documents, noted)

    def interchange(
        self, partner: str, company: str, answer: InterchangeAcknowledgment, noted: Noted
    ) -> None:
        """A TA1: a rejected envelope takes all its documents with it; one that came before changes none."""
        found = list(self._outbox.find(partner=partner, company=company, control=answer.control))
        if not found:
            noted.unknown.append(f"TA1 of {partner} for {answer.control}")
            return
        if answer.note == DUPLICATE:
            self._outbox.remark(found[-1], {"ta1": f"{DUPLICATE}: its number came before"})
        elif answer.status is Status.REJECTED:
            ta1 = {"ta1": answer.note}
            rejected = {entry.control: (State.REJECTED, ta1) for entry in found[-1].documents}
            self._note(found[-1], State.REJECTED, rejected, noted)

    def standing(
        self, destination: str, company: str | None, now: datetime
    ) -> Iterator[tuple[str, Standing]]:
        """The newest document of each record, or the rejected one it was built on, with its state in words:
        an answer may be overdue.
        """
        for found in self._outbox.standing(destination, company):
            yield (OVERDUE if overdue(found, self._settings, now) else found.entry.state.value), found

    def _note(
        self,
        interchange: Stored,
        whole: State,
        documents: Mapping[str, tuple[State, Mapping[str, Any]]],
        noted: Noted,
    ) -> None:
        for state in self._outbox.answer(interchange, whole, documents, noted.run_id):
            noted.add(state)


def overdue(found: Standing, settings: CleoSettings, now: datetime) -> bool:
    """Whether a document's answer is missing for longer than agreed with its partner."""
    partner = settings.partners.get(found.partner)
    if partner is None or not partner.sends_997:
        return False
    if found.entry.state is not State.SENT or found.sent_at is None:
        return False
    return now - found.sent_at > timedelta(hours=partner.overdue_hours)


def _detail(codes: tuple[str, ...], errors: tuple[Any, ...]) -> dict[str, Any]:
    """Where the partner's system saw a mistake, in words of the sheet's positions."""
    where = [
        f"{error.segment} at {error.position}: code {error.code}"
        + "".join(f", element {part.position} code {part.code} ({part.value})" for part in error.elements)
        for error in errors
    ]
    return {"codes": list(codes), "errors": where}
