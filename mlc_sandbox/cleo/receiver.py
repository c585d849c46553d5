"""How partners take in uploads: TA1, 997, each business document once (vendors/x12.md sections 8 and 9).

What a partner holds can be read as `view`; what it did not take, and why, as `refused`.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlc_sandbox.cleo import x12
from mlc_sandbox.cleo.documents import Document, understand
from mlc_sandbox.cleo.elements import Agreed, Finding
from mlc_sandbox.cleo.structure import check
from mlc_sandbox.cleo.suppliers import is_supplier_file
from mlc_sandbox.cleo.x12 import Group, Interchange, Segment, Set, Unreadable, at

if TYPE_CHECKING:
    from mlc_sandbox.cleo.world import World

VERSIONS = ("004010", "005010")


@dataclass(frozen=True, slots=True)
class Partner:
    """A trading partner behind the mailbox, by its interchange id."""

    qualifier: str
    id: str
    name: str
    charset: str = "ascii"  # what was agreed: ascii, latin1 or utf8

    @property
    def address(self) -> tuple[str, str]:
        """Qualifier and id, as ISA has them."""
        return self.qualifier, self.id


@dataclass(slots=True)
class Verdict:
    """What a partner says of one set: A, E or R, with AK502 codes and findings."""

    set: Set
    status: str
    codes: list[str]
    findings: list[Finding]

    def force(self, status: str) -> None:
        """Judge it otherwise, as if its heading named a code nobody knows."""
        heading = (self.set.segments[1:2] or [["ST"]])[0]
        self.status, self.codes = status, ["5"]
        self.findings = [Finding(heading[0], 2, "8", [(3, "7", at(heading, 3))])]


@dataclass(slots=True)
class Seen:
    """An interchange that was taken in before: its bytes and what was answered."""

    digest: str
    answers: list[tuple[str, str]] = field(default_factory=list)  # (kind, text)


@dataclass(slots=True)
class Late:
    """An answer that leaves later, by the sandbox's own date."""

    due: datetime
    partner: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Payload:
    """What a file carries: bytes read as Latin-1, one character each, or the text of a JSON document."""

    text: str
    fields: Any = None
    is_text: bool = False


@dataclass(slots=True)
class Letter:
    """Where something came from, and to whom."""

    file: str
    payload: Payload
    interchange: Interchange
    partner: Partner


class Receiver:
    """All partners' receiving side. `view` is kind -> key -> document; 860 and 850 share the orders."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.view: dict[str, dict[str, Document]] = {"850": {}, "810": {}, "856": {}, "861": {}}
        self.refused: list[dict[str, Any]] = []
        self.seen: dict[tuple[str, ...], Seen] = {}
        self.late: list[Late] = []

    def take(self, name: str, content: bytes) -> str:
        """Take in a file that was uploaded; what became of it, for the job's message."""
        try:
            if is_supplier_file(name, content):
                return self.world.suppliers.take(name, content)
            payload = _unwrap(content)
            interchanges = x12.read(payload.text)
        except (Unreadable, ValueError) as error:
            self._refuse(name, str(error))
            return f"refused: {error}"
        return "; ".join(self._interchange(name, payload, interchange) for interchange in interchanges)

    def _refuse(self, file: str, why: str, **more: Any) -> None:
        self.refused.append({"file": file, "why": why, "at": self.world.clock.now(), **more})

    # Interchanges

    def _interchange(self, name: str, payload: Payload, interchange: Interchange) -> str:
        control = interchange.control
        partner = self.world.partners.get(interchange.receiver)
        if partner is None:
            stranger = Partner(*interchange.receiver, "nobody")
            letter = Letter(name, payload, interchange, stranger)
            return self._refuse_whole(letter, "009", f"Nobody here is {interchange.receiver}.")
        letter = Letter(name, payload, interchange, partner)
        digest = hashlib.sha256(interchange.text.encode()).hexdigest()
        key = (*interchange.sender, *interchange.receiver, control)
        before = self.seen.get(key)
        if before is not None:
            return self._repeated(letter, before, same=before.digest == digest)
        if interchange.error:
            return self._refuse_whole(letter, interchange.error, "The interchange's frame is wrong.")
        if interchange.head[15] != self.world.switches["usage"]:
            return self._refuse_whole(letter, "020", f"ISA15 {interchange.head[15]} is not for this system.")
        raw = not payload.is_text and partner.charset == "utf8"
        if raw and (error := _decode_sets(interchange)):
            return self._refuse_whole(letter, "024", error)
        seen = self.seen[key] = Seen(digest)
        for segment in interchange.acknowledgments:
            self.world.shipping.note_ta1(partner, interchange.sender[1], segment)
        answers = self._groups(letter)
        if at(interchange.head, 14) == "1" and not (interchange.only_acknowledges or not answers):
            answers = self._with_ta1(letter, answers)
        for kind, text, due in answers:
            seen.answers.append((kind, text))
            self._answer(partner, kind, text, due)
        return f"{control} taken"

    def _refuse_whole(self, letter: Letter, code: str, why: str) -> str:
        """A TA1 with this TA105; what became of the interchange."""
        control = letter.interchange.control
        self._refuse(letter.file, why, isa13=control, ta1=code)
        self._answer(letter.partner, "TA1", self._ta1(letter.partner, letter.interchange, "R", code))
        return f"{control} refused with {code}: {why}"

    def _with_ta1(
        self, letter: Letter, answers: list[tuple[str, str, datetime | None]]
    ) -> list[tuple[str, str, datetime | None]]:
        """The TA1 that ISA14 asks for: a file of its own, or before the first 997's group."""
        due = answers[0][2]
        if self.world.switches["ta1_place"] == "own_file":
            own = self._ta1(letter.partner, letter.interchange, "A", "000")
            return [("TA1", own, due), *answers]
        kind, text, due = answers[0]
        body = "*".join(_ta1_segment(letter.interchange, "A", "000"))
        return [(kind, text.replace("~GS*", f"~{body}~GS*", 1), due), *answers[1:]]

    def _repeated(self, letter: Letter, before: Seen, *, same: bool) -> str:
        control = letter.interchange.control
        why = f"Interchange {control} was here before, with {'the same' if same else 'other'} bytes."
        self._refuse(letter.file, why, isa13=control)
        if letter.interchange.only_acknowledges:
            return why
        if same and self.world.switches["repeated_interchange"] == "answer_again":
            for kind, text in before.answers:
                self._answer(letter.partner, kind, text)
        else:
            self._answer(letter.partner, "TA1", self._ta1(letter.partner, letter.interchange, "R", "025"))
        return why

    # Groups and sets

    def _groups(self, letter: Letter) -> list[tuple[str, str, datetime | None]]:
        """Each group's 997, with the time it leaves at; an FA group gets none."""
        answers: list[tuple[str, str, datetime | None]] = []
        for group in letter.interchange.groups:
            if at(group.head, 1) == "FA":
                for found in group.sets:
                    self._acknowledgment(letter, group, found)
                continue
            behaviour, hours = self._behaviour(group)
            verdicts = [self._judge(found, group, letter) for found in group.sets]
            status, codes = self._judge_group(group, verdicts, behaviour)
            if status != "R":
                for verdict in verdicts:
                    self._business(letter, verdict)
            self._note_rejections(letter, group, status, codes, verdicts)
            if behaviour == "silent":
                continue
            due = self.world.clock.now() + timedelta(hours=hours) if behaviour == "late" else None
            answers.append(("997", self._997(letter, group, verdicts, status, codes), due))
        return answers

    def _acknowledgment(self, letter: Letter, group: Group, found: Set) -> None:
        """A 997 of ours. A wrong one is refused and, as it may not be answered, nobody is told."""
        verdict = self._judge(found, group, letter)
        if verdict.status == "R":
            self._note_rejections(letter, group, "R", [], [verdict])
        else:
            self.world.shipping.note_997(letter.partner, letter.interchange.sender[1], found)

    def _behaviour(self, group: Group) -> tuple[str, float]:
        """What the partner is told to do with this group, by a fault or by the switch."""
        named = " ".join(f"{found.kind} {_number(found)}" for found in group.sets)
        told = self.world.fault("partner_answer", f"RECEIVE {at(group.head, 1)} {named}") or {}
        hours = told.get("hours", self.world.switches["late_hours"])
        return told.get("answer", self.world.switches["partner_answer"]), float(hours)

    def _judge(self, found: Set, group: Group, letter: Letter) -> Verdict:
        codes = list(found.errors)
        if x12.GROUPS.get(found.kind) != at(group.head, 1):
            return Verdict(found, "R", ["1", *codes], [])
        component = letter.interchange.head[16]
        findings = check(found, Agreed(at(group.head, 8), letter.partner.charset, component))
        grave = any(finding.grave for finding in findings)
        if findings:
            codes.append("5")
        # A repeated ST02 is a warning, everything else about the frame is not (section 12).
        frame = [code for code in codes if code not in {"5", "23"}]
        status = "R" if frame or grave else "E" if codes else "A"
        return Verdict(found, status, codes, findings)

    def _judge_group(self, group: Group, verdicts: list[Verdict], behaviour: str) -> tuple[str, list[str]]:
        codes = list(group.errors)
        if not at(group.head, 8).startswith(VERSIONS):
            codes.append("2")
        if behaviour == "reject_group":
            codes.append("1")
        if codes:
            for verdict in verdicts:
                verdict.status = "R"
            return "R", codes
        for verdict in verdicts:
            if behaviour == "accept_errors" and verdict.status == "A":
                verdict.force("E")
        if behaviour == "reject_set" and verdicts:
            verdicts[0].force("R")
        rejected = [verdict for verdict in verdicts if verdict.status == "R"]
        if rejected:
            return ("R" if len(rejected) == len(verdicts) else "P"), []
        return ("E" if any(verdict.status == "E" for verdict in verdicts) else "A"), []

    def _note_rejections(
        self, letter: Letter, group: Group, status: str, codes: list[str], verdicts: list[Verdict]
    ) -> None:
        for verdict in verdicts:
            if verdict.status == "R":
                self._refuse(
                    letter.file,
                    f"{'group' if codes else 'set'} rejected: {' '.join(codes or verdict.codes)}",
                    isa13=letter.interchange.control,
                    gs06=at(group.head, 6),
                    kind=verdict.set.kind,
                    number=_number(verdict.set),
                    group=status,
                    findings=[_plain(finding) for finding in verdict.findings],
                )

    # Answers

    def _997(
        self, letter: Letter, group: Group, verdicts: list[Verdict], status: str, codes: list[str]
    ) -> str:
        body: list[Segment] = [["AK1", at(group.head, 1), self._echo("ak102", at(group.head, 6))]]
        for verdict in self._named(verdicts, codes):
            body += _ak2(verdict, self._echo("ak202", verdict.set.control))
        accepted = sum(verdict.status != "R" for verdict in verdicts)
        declared = group.declared if group.declared.isdecimal() else str(len(group.sets))
        body.append(["AK9", status, declared, str(len(group.sets)), str(accepted), *codes[:5]])
        sender = letter.interchange.sender
        return self.world.wrap(letter.partner, sender, "997", body, letter.interchange.version)

    def _named(self, verdicts: list[Verdict], codes: list[str]) -> list[Verdict]:
        """The sets that a 997 names. Some engines judge each by itself before they reject the group."""
        if not codes:
            return verdicts
        judged = self.world.switches["rejected_group"] == "sets_accepted"
        return [Verdict(verdict.set, "A", [], []) for verdict in verdicts] if judged else []

    def _echo(self, switch: str, control: str) -> str:
        """A number of ours as a 997 repeats it."""
        return control.zfill(9) if self.world.switches[switch] == "padded" else control

    def _ta1(self, partner: Partner, interchange: Interchange, status: str, code: str) -> str:
        start = self.world.head(partner, interchange.sender, f"{interchange.head[12]}0")
        return x12.write(start, [_ta1_segment(interchange, status, code)])

    def _answer(self, partner: Partner, kind: str, text: str, due: datetime | None = None) -> None:
        if due is None:
            self.world.deliver(partner, kind, text)
        else:
            self.late.append(Late(due, partner.id, kind, text))

    def answer_late(self, *, all_of_it: bool = False) -> int:
        """Send what is due of the late answers; how many."""
        now = self.world.clock.now()
        due = [late for late in self.late if all_of_it or late.due <= now]
        for late in due:
            self.late.remove(late)
            partner = next(found for found in self.world.partners.values() if found.id == late.partner)
            self.world.deliver(partner, late.kind, late.text)
        return len(due)

    # The business behind it

    def _business(self, letter: Letter, verdict: Verdict) -> None:
        if verdict.status == "R":
            return
        try:
            document = understand(letter.interchange, verdict.set)
        except ValueError as error:
            self._refuse(letter.file, str(error), isa13=letter.interchange.control, kind=verdict.set.kind)
            return
        document |= {
            "company": self.world.company_of(letter.interchange.sender[1]),
            "isa13": [letter.interchange.control],
            "files": [letter.file],
            "fields": letter.payload.fields,
            "status": "open",
            "received": self.world.clock.now(),
        }
        why = self._fold(document)
        if why:
            self._refuse(
                letter.file,
                why,
                isa13=letter.interchange.control,
                kind=document["kind"],
                number=document["number"],
            )

    def _fold(self, document: Document) -> str:
        """Put a document into the view; why not, when it is not taken."""
        kind = "850" if document["kind"] == "860" else document["kind"]
        key = "|".join(document["key"])
        held = self.view[kind].get(key)
        purpose = document["purpose"]
        if document["kind"] == "860" and purpose == "original":
            purpose = "change"
        what = f"{kind} {' '.join(document['key'])}"
        if purpose == "original":
            if held is not None:
                same = _content(held) == _content(document)
                return f"{what} was received before, {'with the same' if same else 'with other'} content."
            self.view[kind][key] = document
            return ""
        if held is None:
            return f"{what} is not here: nothing to {purpose}."
        if held["status"] == "cancelled":
            return f"{what} was cancelled before: nothing to {purpose}."
        after: dict[str, Callable[[Document, Document], Document]] = {
            "cancel": lambda old, new: old | {"status": "cancelled"},  # noqa: ARG005
            "delete": lambda old, new: old | {"status": "cancelled"},  # noqa: ARG005
            "change": _changed,
            "replace": lambda old, new: new,  # noqa: ARG005
        }
        if purpose not in after:
            return f"{what} has a purpose nobody agreed on: {purpose}."
        trail = {name: [*held[name], *document[name]] for name in ("isa13", "files")}
        self.view[kind][key] = after[purpose](held, document) | trail
        return ""


def _changed(old: Document, new: Document) -> Document:
    """The document after a change: an 850's is whole, an 860's tells line by line."""
    if new["kind"] != "860":
        return new
    lines = {line["line"]: line for line in old["lines"]}
    for line in new["lines"]:
        plain = {name: value for name, value in line.items() if name != "change"}
        if line["change"] in {"DI", "RZ"}:
            lines.pop(line["line"], None)
        else:
            kept = {name: value for name, value in plain.items() if value not in (None, "", {})}
            lines[line["line"]] = lines.get(line["line"], {}) | kept
    return old | {"lines": list(lines.values()), "received": new["received"]}


def _content(document: Document) -> Document:
    trail = {"isa13", "files", "fields", "status", "received", "purpose", "kind", "version"}
    return {name: value for name, value in document.items() if name not in trail}


def _unwrap(content: bytes) -> Payload:
    """The interchanges of a file; a JSON payload carries them beside its business fields.

    ISA does not say what the bytes mean (vendors/x12.md section 2): what was agreed with the partner decides.

    Raises:
        ValueError: JSON without an `interchange`, or one that is neither X12 text nor Base64.
    """
    plain = content.removeprefix(b"\xef\xbb\xbf")
    if not plain.lstrip().startswith(b"{"):
        return Payload(plain.decode("latin-1"))
    document = json.loads(plain.decode("utf-8"), parse_float=str)
    carried, fields = document.get("interchange"), document.get("fields")
    if not isinstance(carried, str):
        raise ValueError("The JSON document has no text named interchange.")  # noqa: TRY004 - the file is wrong
    if carried.lstrip("\ufeff").lstrip().startswith("ISA"):
        return Payload(carried, fields, is_text=True)
    raw = b64decode(carried, validate=True).removeprefix(b"\xef\xbb\xbf")
    return Payload(raw.decode("latin-1"), fields)


def _decode_sets(interchange: Interchange) -> str:
    """Read what is in the sets as UTF-8; what is wrong, when it is not that."""
    for group in interchange.groups:
        for found in group.sets:
            try:
                found.segments = [
                    [value.encode("latin-1").decode() for value in segment] for segment in found.segments
                ]
            except UnicodeDecodeError as error:
                return f"{found.kind} {found.control} is not UTF-8: {error}."
    return ""


def _number(found: Set) -> str:
    place = {"850": ("BEG", 3), "860": ("BCH", 3), "810": ("BIG", 2), "856": ("BSN", 2), "861": ("BRA", 1)}
    name, position = place.get(found.kind, ("ST", 2))
    return at(found.first(name), position)


def _ak2(verdict: Verdict, control: str) -> list[Segment]:
    segments: list[Segment] = [["AK2", verdict.set.kind, control]]
    for finding in verdict.findings:
        segments.append(["AK3", finding.segment, str(finding.position), "", finding.code])
        segments += [
            ["AK4", str(position), "", code, x12.clean(data, 99)] for position, code, data in finding.elements
        ]
    return [*segments, ["AK5", verdict.status, *verdict.codes[:5]]]


def _ta1_segment(interchange: Interchange, status: str, code: str) -> Segment:
    return ["TA1", interchange.control, interchange.head[9], interchange.head[10], status, code]


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "segment": finding.segment,
        "position": finding.position,
        "code": finding.code,
        "elements": [
            {"element": element, "code": code, "data": data} for element, code, data in finding.elements
        ],
    }
