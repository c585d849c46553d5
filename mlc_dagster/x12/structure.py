"""Puts the segments of a set into the loops its definition has, and names those that do not fit."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from mlc_dagster.x12.findings import Finding, Level, Severity
from mlc_dagster.x12.segments import Version, segment_defs
from mlc_dagster.x12.sets import Node, SetDef, set_defs
from mlc_dagster.x12.syntax import Segment


@dataclass(frozen=True, slots=True)
class Row:
    """A segment at its place: `position` in the set counting ST as 1, `loop` the id of its loop."""

    segment: Segment
    position: int
    loop: str


@dataclass(slots=True)
class Loop:
    """A loop: its own rows in order, the first of which began it, and the loops inside. The set's own loop is
    "".
    """

    id: str
    rows: list[Row] = field(default_factory=list)
    loops: list["Loop"] = field(default_factory=list)

    def all(self, segment_id: str) -> list[Segment]:
        """Its segments of this id, those that begin inner loops included."""
        return [row.segment for row in self.rows_of(segment_id)]

    def rows_of(self, segment_id: str) -> list[Row]:
        """As `all`, with their places."""
        heads = [loop.rows[0] for loop in self.loops if loop.id == segment_id]
        return [row for row in self.rows if row.segment.id == segment_id] + heads

    def first(self, segment_id: str) -> Segment | None:
        """The first segment of this id."""
        found = self.all(segment_id)
        return found[0] if found else None

    def inner(self, loop_id: str) -> list["Loop"]:
        """The loops inside that begin with this segment."""
        return [loop for loop in self.loops if loop.id == loop_id]

    def every_row(self) -> Iterator[Row]:
        """All rows of this loop and of those inside."""
        yield from self.rows
        for loop in self.loops:
            yield from loop.every_row()


@dataclass(slots=True)
class _Frame:
    """A loop that is open: how far in its nodes we are, and how often each was met."""

    loop: Loop
    nodes: tuple[Node, ...]
    at: int = 0
    met: dict[int, int] = field(default_factory=dict)

    def ahead(self, segment_id: str) -> int | None:
        """The node of a segment from here on."""
        return next((i for i in range(self.at, len(self.nodes)) if self.nodes[i].id == segment_id), None)

    def behind(self, segment_id: str) -> int | None:
        """The node of a segment that we have passed."""
        return next((i for i in range(self.at) if self.nodes[i].id == segment_id), None)

    def missing(self, until: int) -> list[str]:
        """Mandatory nodes from here to another that were not met."""
        return [
            node.id
            for i, node in enumerate(self.nodes[:until])
            if i >= self.at and node.mandatory and not self.met.get(i)
        ]


def arrange(definition: SetDef, body: tuple[Segment, ...], version: Version) -> tuple[Loop, list[Finding]]:
    """The loops of a set from its segments between ST and SE, and what does not fit.

    A segment belongs to the innermost open loop that may still hold it. One that no loop may hold any more
    stays where it came, so that its elements are looked at all the same.
    """
    matcher = _Matcher(definition, version)
    for position, segment in enumerate(body, 2):
        matcher.take(segment, position)
    matcher.finish(len(body) + 2)
    return matcher.root, matcher.findings


class _Matcher:
    def __init__(self, definition: SetDef, version: Version) -> None:
        self.root = Loop("")
        self.findings: list[Finding] = []
        self._definition = definition
        self._allowed = definition.segment_ids
        self._version = version
        self._frames = [_Frame(self.root, definition.nodes)]

    def take(self, segment: Segment, position: int) -> None:
        """Place the next segment."""
        for depth in reversed(range(len(self._frames))):
            index = self._frames[depth].ahead(segment.id)
            if index is not None and not self._came_late(segment.id, depth, index):
                self._leave(depth, position)
                self._enter(index, segment, position)
                return
        self._misplaced(segment, position)

    def finish(self, position: int) -> None:
        """The set ends here: what is still missing is missing."""
        self._leave(0, position)
        self._report_missing(self._frames[0], len(self._frames[0].nodes), position)

    def _came_late(self, segment_id: str, depth: int, index: int) -> bool:
        """Would it only fit by leaving out something mandatory, while an inner loop had a place for it
        before?
        """
        skips = bool(self._frames[depth].missing(index))
        return skips and any(frame.behind(segment_id) is not None for frame in self._frames[depth:])

    def _leave(self, depth: int, position: int) -> None:
        while len(self._frames) > depth + 1:
            frame = self._frames.pop()
            self._report_missing(frame, len(frame.nodes), position)

    def _report_missing(self, frame: _Frame, until: int, position: int) -> None:
        for segment_id in frame.missing(until):
            message = f"the mandatory segment {segment_id} is missing before this place"
            self._report("3", message, (segment_id, position, frame.loop.id))

    def _enter(self, index: int, segment: Segment, position: int) -> None:
        frame = self._frames[-1]
        node = frame.nodes[index]
        self._report_missing(frame, index, position)
        frame.at = index
        frame.met[index] = frame.met.get(index, 0) + 1
        if node.most is not None and frame.met[index] == node.most + 1:
            kind, code = ("loop", "4") if node.inside else ("segment", "5")
            message = f"this {kind} may stand here {node.most} times at most"
            self._report(code, message, (segment.id, position, frame.loop.id))
        self._place(node, segment, position)

    def _place(self, node: Node, segment: Segment, position: int) -> None:
        frame = self._frames[-1]
        if not node.inside:
            frame.loop.rows.append(Row(segment, position, frame.loop.id))
            return
        loop = Loop(node.id, [Row(segment, position, node.id)])
        frame.loop.loops.append(loop)
        self._frames.append(_Frame(loop, node.inside))

    def _misplaced(self, segment: Segment, position: int) -> None:
        for depth in reversed(range(len(self._frames))):
            index = self._frames[depth].behind(segment.id)
            if index is not None:
                self._leave(depth, position)
                frame = self._frames[-1]
                message = f"it stands behind {frame.nodes[frame.at].id}, and must stand before"
                self._report("7", message, (segment.id, position, frame.loop.id))
                self._place(frame.nodes[index], segment, position)
                return
        self._unknown(segment, position)

    def _unknown(self, segment: Segment, position: int) -> None:
        loop = self._frames[-1].loop
        if segment.id in self._allowed:
            self._report("2", "it may stand in this set, but not here", (segment.id, position, loop.id))
        elif segment.id in _known(self._version):
            message = f"set {self._definition.id} has no such segment; it is skipped"
            self._report("6", message, (segment.id, position, loop.id), Severity.TOLERATED)
        else:
            self._report(
                "1",
                "no such segment is known; it is skipped",
                (segment.id, position, loop.id),
                Severity.TOLERATED,
            )
        loop.rows.append(Row(segment, position, loop.id))

    def _report(
        self,
        code: str,
        message: str,
        place: tuple[str, int, str],
        severity: Severity = Severity.ERROR,
    ) -> None:
        segment, position, loop = place
        finding = Finding(
            severity, Level.SEGMENT, code, message, segment=segment, position=position, loop=loop
        )
        self.findings.append(finding)


@cache
def _known(version: Version) -> frozenset[str]:
    sets = set_defs(version).values()
    return frozenset(segment_defs(version)).union(*(definition.segment_ids for definition in sets))
