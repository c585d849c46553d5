"""Looks at the elements of one segment: present, of their length, type and code list, related."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mlc_dagster.x12.codes import CODES
from mlc_dagster.x12.findings import Finding, Level, Severity
from mlc_dagster.x12.segments import ElementDef, SegmentDef
from mlc_dagster.x12.syntax import Element, Segment
from mlc_dagster.x12.values import digits, read_date, read_decimal, read_implied, read_time

# AK403 (vendor sheet x12.md, section 8).
MISSING, CONDITIONAL, TOO_MANY, SHORT, LONG, CHARACTER, CODE, DATE, TIME, EXCLUSION = map(str, range(1, 11))

_NUMBERS = frozenset({"R", "N0", "N2"})


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    message: str
    component: int = 0
    number: str = ""


def check_elements(segment: Segment, definition: SegmentDef, *, repetition: str = "") -> Iterator[Finding]:
    """Every mistake within one segment, without its place in the set. `repetition` is the separator, "" for
    none.
    """
    for position, element in enumerate(definition.elements, 1):
        value = segment.elements[position - 1] if position <= len(segment.elements) else ""
        for fault in _element_faults(value, element, repetition):
            yield _finding(segment, position, fault, value)
    surplus = len(segment.elements) - len(definition.elements)
    if surplus > 0:
        many = _Fault(
            TOO_MANY, f"{segment.id} has {len(definition.elements)} elements, here are {surplus} more"
        )
        yield _finding(
            segment, len(definition.elements) + 1, many, segment.elements[len(definition.elements)]
        )
    yield from _relations(segment, definition)
    if segment.elements and segment.elements[-1] == "":
        message = "empty elements stand at the end; they are to be left out"
        yield Finding(Severity.WARNING, Level.SEGMENT, "", message, segment=segment.id)


def _finding(segment: Segment, position: int, fault: _Fault, value: Element) -> Finding:
    text = value if isinstance(value, str) else value[max(0, fault.component - 1)]
    return Finding(
        Severity.ERROR,
        Level.ELEMENT,
        fault.code,
        fault.message,
        segment=segment.id,
        element=position,
        component=fault.component,
        number=fault.number,
        value=text,
    )


def _relations(segment: Segment, definition: SegmentDef) -> Iterator[Finding]:
    present = frozenset(position for position, value in enumerate(segment.elements, 1) if value != "")
    for condition in definition.conditions:
        position = condition.broken(present)
        if position:
            element = definition.elements[position - 1]
            code = EXCLUSION if condition.kind == "E" else CONDITIONAL
            message = f"{element.name.lower()}: condition {condition} does not hold"
            yield _finding(segment, position, _Fault(code, message, number=element.number), "")


def _element_faults(value: Element, element: ElementDef, repetition: str) -> Iterator[_Fault]:
    if value == "":
        if element.mandatory:
            yield _Fault(MISSING, f"{element.name.lower()} is mandatory", number=element.number)
    elif element.components:
        yield from _composite_faults(value, element)
    elif not isinstance(value, str):
        message = f"{element.name.lower()} holds the component separator"
        yield _Fault(CHARACTER, message, number=element.number)
    elif repetition and repetition in value:
        message = f"{element.name.lower()} holds the repetition separator"
        yield _Fault(CHARACTER, message, number=element.number)
    else:
        fault = _fault(value, element)
        if fault:
            yield fault


def _composite_faults(value: Element, element: ElementDef) -> Iterator[_Fault]:
    components = (value,) if isinstance(value, str) else value
    if len(components) > len(element.components):
        yield _Fault(TOO_MANY, f"{element.name.lower()} has too many components", len(element.components) + 1)
    for at, (text, component) in enumerate(zip(components, element.components, strict=False), 1):
        if text == "" and component.mandatory:
            yield _Fault(MISSING, f"{component.name.lower()} is mandatory", at, component.number)
        fault = _fault(text, component) if text else None
        if fault:
            yield replace(fault, component=at)


def _fault(value: str, element: ElementDef) -> _Fault | None:
    """The first mistake of one value. A wrong character comes before a wrong length."""
    code, message = _typed(value, element)
    if not code:
        code, message = _sized(value, element)
    if not code and element.type == "ID":
        known = CODES.get(element.number)
        if known and not known.allows(value):
            code, message = CODE, f"{value!r} is no code we know"
    return _Fault(code, f"{element.name.lower()}: {message}", number=element.number) if code else None


def _typed(value: str, element: ElementDef) -> tuple[str, str]:
    if any(unicodedata.category(letter) == "Cc" for letter in value):
        return CHARACTER, f"{value!r} holds a control character"
    try:
        if element.type == "DT":
            read_date(value)
        elif element.type == "TM":
            read_time(value)
        elif element.type == "R":
            read_decimal(value)
        elif element.type in _NUMBERS:
            read_implied(value)
    except ValueError as error:
        return {"DT": DATE, "TM": TIME}.get(element.type, CHARACTER), str(error)
    return "", ""


def _sized(value: str, element: ElementDef) -> tuple[str, str]:
    length = digits(value) if element.type in _NUMBERS else len(value)
    if length < element.minimum:
        return SHORT, f"{value!r} has {length} characters, at least {element.minimum} are needed"
    if length > element.maximum:
        return LONG, f"{value!r} has {length} characters, at most {element.maximum} are allowed"
    return "", ""
