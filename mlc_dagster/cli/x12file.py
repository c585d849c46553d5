"""What `mlc x12` prints."""

from collections import Counter
from pathlib import Path

from rich.tree import Tree

from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.x12.codes import name_of
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.findings import Severity
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.segments import ElementDef, Version, segment_defs
from mlc_dagster.x12.structure import Loop, Row
from mlc_dagster.x12.syntax import Element, Segment
from mlc_dagster.x12.validate import GroupResult, Result, SetResult, validate


def validate_file(file: Path) -> int:
    """Print every finding; 1 when a set, group or interchange would be rejected."""
    results = _results(file)
    found = Counter(finding.severity for result in results for finding in result.everything())
    for result in results:
        for finding in result.everything():
            console.print(f"{file}: {finding}")
    groups = [group for result in results for group in result.groups]
    sets = sum(len(group.sets) for group in groups)
    held = ", ".join(
        (counted(len(results), "interchange"), counted(len(groups), "group"), counted(sets, "set"))
    )
    errors, warnings = counted(found[Severity.ERROR], "error"), counted(found[Severity.WARNING], "warning")
    console.print(f"{file}: {held}; found: {errors}, {found[Severity.TOLERATED]} tolerated, {warnings}.")
    return int(found[Severity.ERROR] > 0)


def show_file(file: Path) -> None:
    """Print everything in a file, and what is wrong with it at the end."""
    results = _results(file)
    for result in results:
        _show_interchange(result)
    for result in results:
        for finding in result.everything():
            console.print(str(finding))


def _results(file: Path) -> list[Result]:
    try:
        return [validate(interchange) for interchange in read(file.read_bytes())]
    except UnreadableError as error:
        raise UnreadableError(f"{file}: {error}") from None


def _show_interchange(result: Result) -> None:
    header, marks = result.interchange.header, result.interchange.delimiters
    sender = f"{header.text(6).strip()} ({header.text(5)})"
    receiver = f"{header.text(8).strip()} ({header.text(7)})"
    usage = name_of("I14", header.text(15)) or header.text(15)
    when = f"{header.text(9)} {header.text(10)}"
    console.print(f"Interchange {result.interchange.control}: {sender} to {receiver}, {when}, {usage}")
    console.print(
        f"  version {header.text(12)}, delimiters {marks.characters!r}, TA1 wanted: {header.text(14)}"
    )
    for segment in result.interchange.acknowledgments:
        console.print(f"  TA1: {_elements(segment, '004010')}")
    for group in result.groups:
        _show_group(group)


def _show_group(result: GroupResult) -> None:
    header = result.group.header
    parties = f"{header.text(2)} to {header.text(3)}"
    console.print(f"Group {header.text(1)} {header.text(6)}: {parties}, version {header.text(8)}")
    for one in result.sets:
        _show_set(one)


def _show_set(result: SetResult) -> None:
    name = result.definition.name if result.definition else "not supported"
    title = f"Set {result.set.id} {result.set.control}: {name} {result.number}".rstrip()
    table = table_with(title, ("no.", "loop", "segment", "elements"), numbers=["no."])
    depths = _depths(result.root) if result.root else {}
    for position, segment in enumerate(result.set.segments, 1):
        loop, depth = depths.get(position, ("", 0))
        definition = segment_defs(result.version or "004010").get(segment.id)
        named = f"{segment.id} {definition.name}" if definition else segment.id
        elements = _elements(segment, result.version or "004010")
        table.add_row(str(position), loop, "  " * depth + named, elements)
    console.print(table)
    if result.root and result.root.inner("HL"):
        console.print(_levels(result.root))


def _depths(root: Loop, depth: int = 0) -> dict[int, tuple[str, int]]:
    """The loop of each position, and how deep it lies."""
    found = {row.position: (root.id, depth) for row in root.rows}
    for loop in root.loops:
        found |= _depths(loop, depth + 1)
    return found


def _elements(segment: Segment, version: Version) -> str:
    definition = segment_defs(version).get(segment.id)
    known = definition.elements if definition else ()
    texts = []
    for position, value in enumerate(segment.elements, 1):
        if value != "":
            texts.append(_element(position, value, known[position - 1] if position <= len(known) else None))
    return "; ".join(texts)


def _element(position: int, value: Element, definition: ElementDef | None) -> str:
    text = value.strip() if isinstance(value, str) else " ".join(value)
    if definition is None:
        return f"{position:02} {text}"
    meaning = name_of(definition.number, text)
    return f"{position:02} {definition.name}: {text}" + (f" ({meaning})" if meaning else "")


def _levels(root: Loop) -> Tree:
    """The levels of a ship notice under their parents; one without a parent stands at the top."""
    tree = Tree("Levels")
    branches: dict[str, Tree] = {}
    for loop in root.inner("HL"):
        head = loop.rows[0].segment
        kind = name_of("735", head.text(3)) or head.text(3)
        above = branches.get(head.text(2), tree)
        branches[head.text(1)] = above.add(f"{head.text(1)} {kind}: {_summary(loop.rows[1:])}".rstrip(": "))
    return tree


def _summary(rows: list[Row]) -> str:
    """What names a level: its order, marks, item numbers and quantities."""
    named = (row.segment for row in rows if row.segment.id in ("PRF", "MAN", "LIN", "SN1"))
    return ", ".join(" ".join(str(value) for value in segment.elements if value != "") for segment in named)
