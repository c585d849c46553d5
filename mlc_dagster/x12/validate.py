"""Judges what the reader took apart: what is wrong, where, and which code an acknowledgment gives it.

Strict where a document could be misread, tolerant where partners are known to be loose (vendor sheet x12.md,
section 12).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mlc_dagster.x12.checks import check_set
from mlc_dagster.x12.elements import check_elements
from mlc_dagster.x12.findings import Finding, Level, Severity
from mlc_dagster.x12.segments import VERSIONS, Version, segment_defs
from mlc_dagster.x12.sets import GROUPS, SetDef, set_defs
from mlc_dagster.x12.structure import Loop, arrange
from mlc_dagster.x12.syntax import Group, Interchange, Segment, TransactionSet
from mlc_dagster.x12.values import is_whole


@dataclass(frozen=True, slots=True)
class SetResult:
    """One set: its findings, and its loops where its definition is known."""

    set: TransactionSet
    findings: tuple[Finding, ...]
    version: Version | None = None
    definition: SetDef | None = None
    root: Loop | None = None
    number: str = ""

    @property
    def accepted(self) -> bool:
        """May it be processed? Also with findings that are tolerated."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One group: findings of its envelope, and its sets."""

    group: Group
    findings: tuple[Finding, ...]
    sets: tuple[SetResult, ...]

    @property
    def accepted(self) -> bool:
        """Is its envelope sound? Its sets are judged one by one."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Result:
    """One interchange: findings of its envelope, and its groups."""

    interchange: Interchange
    findings: tuple[Finding, ...]
    groups: tuple[GroupResult, ...]

    @property
    def accepted(self) -> bool:
        """Is its envelope sound?"""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def everything(self) -> Iterator[Finding]:
        """All findings of all levels, in the order of the file."""
        yield from self.findings
        for group in self.groups:
            yield from group.findings
            for one in group.sets:
                yield from one.findings


def validate(
    interchange: Interchange, *, receiver: str | None = None, production: bool | None = None
) -> Result:
    """Judge an interchange.

    `receiver` is our own interchange id: what is meant for another is refused. `production` says which kind
    of system this is: a production file on a test system is refused, and the other way round.
    """
    where = f"interchange {interchange.control}"
    findings = [*_envelope(interchange), *_addressed(interchange, receiver, production)]
    groups = tuple(_group(group, interchange, where) for group in interchange.groups)
    return Result(interchange, _placed(findings, where), groups)


def _placed(findings: Iterable[Finding], where: str) -> tuple[Finding, ...]:
    return tuple(replace(finding, where=where) for finding in findings)


def _interchange(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, Level.INTERCHANGE, code, message)


def _envelope(interchange: Interchange) -> Iterator[Finding]:
    defs = segment_defs("004010")
    for finding in check_elements(interchange.header, defs["ISA"]):
        code = "018" if finding.element == 13 else "024"
        yield replace(finding, level=Level.INTERCHANGE, code=code)
    for segment in interchange.stray:
        yield _interchange("022", f"segment {segment.id} stands outside of every group")
    for segment in interchange.acknowledgments:
        yield from (
            replace(one, level=Level.INTERCHANGE, code="024") for one in check_elements(segment, defs["TA1"])
        )
    trailer = interchange.trailer
    if trailer is None:
        yield _interchange("022", "the trailer IEA is missing")
        return
    if _number(trailer.text(2)) != _number(interchange.control):
        yield _interchange("001", f"IEA02 {trailer.text(2)} differs from ISA13 {interchange.control}")
    if _number(trailer.text(1)) != len(interchange.groups):
        yield _interchange(
            "021", f"IEA01 counts {trailer.text(1)} groups, there are {len(interchange.groups)}"
        )


def _addressed(interchange: Interchange, receiver: str | None, production: bool | None) -> Iterator[Finding]:
    addressee = interchange.header.text(8).strip()
    if receiver is not None and addressee != receiver:
        yield _interchange("009", f"it is for {addressee}, and we are {receiver}")
    usage = interchange.header.text(15)
    if production is not None and usage != ("P" if production else "T"):
        yield _interchange(
            "024", f"ISA15 is {usage}, but this is a {'production' if production else 'test'} system"
        )


def _number(text: str) -> int | None:
    """A control number or count: zeros may be added or dropped."""
    return int(text) if is_whole(text) else None


def _group_finding(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, Level.GROUP, code, message)


def _group(group: Group, interchange: Interchange, within: str) -> GroupResult:
    where = f"{within}, group {group.header.text(1)} {group.header.text(6)}"
    version = _version(group.header.text(8))
    repeated = Counter(one.control for one in group.sets)
    sets = []
    for one in group.sets:
        result = _set(one, group.header.text(1), version, interchange.delimiters.repetition)
        findings = list(result.findings)
        if repeated[one.control] > 1:
            message = f"ST02 {one.control} is there {repeated[one.control]} times in its group"
            findings.append(Finding(Severity.WARNING, Level.SET, "23", message))
        name = f"{where}, set {one.id} {one.control}" + (f" ({result.number})" if result.number else "")
        sets.append(replace(result, findings=_placed(findings, name)))
    return GroupResult(group, _placed(_group_findings(group, version), where), tuple(sets))


def _version(text: str) -> Version | None:
    """Industry suffixes are accepted: 004010VICS is 004010."""
    return next((version for version in VERSIONS if text.startswith(version)), None)


def _group_findings(group: Group, version: Version | None) -> Iterator[Finding]:
    for finding in check_elements(_with_long_date(group.header), segment_defs("004010")["GS"]):
        yield replace(finding, level=Level.GROUP, code="6" if finding.element == 6 else "")
    if group.header.text(1) not in GROUPS:
        yield _group_finding(
            "1", f"groups {group.header.text(1)} are not supported; known: {', '.join(GROUPS)}"
        )
    if version is None:
        yield _group_finding(
            "2", f"version {group.header.text(8)} is not supported; known: {', '.join(VERSIONS)}"
        )
    for segment in group.stray:
        yield _group_finding("", f"segment {segment.id} stands outside of every set")
    trailer = group.trailer
    if trailer is None:
        yield _group_finding("3", "the trailer GE is missing")
        return
    if _number(trailer.text(2)) != _number(group.header.text(6)):
        yield _group_finding("4", f"GE02 {trailer.text(2)} differs from GS06 {group.header.text(6)}")
    if _number(trailer.text(1)) != len(group.sets):
        yield _group_finding("5", f"GE01 counts {trailer.text(1)} sets, there are {len(group.sets)}")


def _with_long_date(header: Segment) -> Segment:
    """Old senders write six digits into GS04."""
    short = header.text(4)
    return header.with_text(4, "20" + short) if len(short) == 6 and is_whole(short) else header


def _set(one: TransactionSet, group: str, version: Version | None, repetition: str) -> SetResult:
    findings = list(_set_findings(one, group))
    if version is None or one.id not in set_defs(version):
        return SetResult(one, tuple(findings))
    definition = set_defs(version)[one.id]
    root, structural = arrange(definition, one.body, version)
    findings += structural
    defs = segment_defs(version)
    for row in root.every_row():
        if row.segment.id in defs:
            for finding in check_elements(row.segment, defs[row.segment.id], repetition=repetition):
                findings.append(replace(finding, position=row.position, loop=row.loop))
    findings += check_set(definition, root)
    findings.sort(key=lambda finding: (finding.position, finding.element))
    heading = root.first(definition.heading)
    number = heading.text(definition.number) if heading else ""
    return SetResult(one, tuple(findings), version, definition, root, number)


def _set_findings(one: TransactionSet, group: str) -> Iterator[Finding]:
    if one.id not in GROUPS.values():
        known = ", ".join(GROUPS.values())
        yield Finding(Severity.ERROR, Level.SET, "1", f"set {one.id} is not supported; known: {known}")
    elif GROUPS.get(group, one.id) != one.id:
        yield Finding(Severity.ERROR, Level.SET, "6", f"set {one.id} does not belong into a group {group}")
    if not (4 <= len(one.control) <= 9 and one.control.isalnum()):
        yield Finding(Severity.ERROR, Level.SET, "7", f"ST02 {one.control!r} must have 4 to 9 characters")
    trailer = one.trailer
    if trailer is None:
        yield Finding(Severity.ERROR, Level.SET, "2", "the trailer SE is missing")
        return
    if trailer.text(2) != one.control:
        yield Finding(
            Severity.ERROR, Level.SET, "3", f"SE02 {trailer.text(2)} differs from ST02 {one.control}"
        )
    if _number(trailer.text(1)) != len(one.segments):
        message = f"SE01 counts {trailer.text(1)} segments, there are {len(one.segments)}"
        yield Finding(Severity.ERROR, Level.SET, "4", message)
