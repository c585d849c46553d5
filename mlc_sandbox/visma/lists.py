"""Lists: selection by filters, order, pages and totals (vendors/visma.md sections 4 and 5)."""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from mlc_sandbox.visma.entities import Entity
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.filters import Test, condition, moment
from mlc_sandbox.visma.rows import Rows
from mlc_sandbox.visma.switches import Switches
from mlc_sandbox.world import Company
from mlc_sandbox.world.accounting import Batch, postings
from mlc_sandbox.world.store import Record, Row, Table, wall

# Query parameters by lower-case name; the API does not care about case.
Query = Mapping[str, str]
TimeTest = tuple[Callable[[Any, Any], bool], datetime]


class Piece(NamedTuple):
    """The part of a journal batch that falls on a page: lines `first` to `end`, counted from nothing."""

    record: Record
    first: int
    end: int


@dataclass(frozen=True)
class Page:
    """One page: its records or (journal) pieces of records, and the totals of the whole list."""

    records: Sequence[Record]
    total: int
    size: int
    pieces: Sequence[Piece] = ()


class Lists:
    """Answers list requests of all companies."""

    def __init__(self, switches: Switches, rows: Rows, seed: int) -> None:
        self.switches, self.rows, self.seed = switches, rows, seed
        self._requests = itertools.count()
        self._last: dict[tuple[str, str], tuple[object, list[Record]]] = {}

    def page(self, company: Company, entity: Entity, query: Query) -> Page:
        """The asked page of the asked selection. Raises ApiError 400 for a parameter the API refuses."""
        records = self._selection(company, entity, query)
        if not entity.paged:
            return Page(records, len(records), len(records))
        cap = self.switches["page_caps"].get(entity.name, self.switches["page_cap"])
        size = min(_number(query, "pagesize", cap), cap)
        start = (_number(query, "pagenumber", 1) - 1) * size
        if entity.by_line:
            return _page_of_lines(company, records, start, size, cap)
        return Page(records[start : start + size], len(records), cap)

    def body(self, company: Company, entity: Entity, page: Page, shown: frozenset[str]) -> bytes:
        """The JSON array; metadata is repeated in every row, as the API does."""
        table = company.table(entity.name)
        if entity.by_line:
            texts = [self._piece(company, entity, piece, shown) for piece in page.pieces]
        else:
            texts = [self.rows.text(entity, table, record, shown) for record in page.records]
        end = (
            b',"metadata":{"totalCount":%d,"maxPageSize":%d}}' % (page.total, page.size)
            if entity.metadata
            else b"}"
        )
        return b"[" + b",".join(text + end for text in texts) + b"]"

    def dicts(self, company: Company, entity: Entity, page: Page, shown: frozenset[str]) -> list[Row]:
        """The same rows as dictionaries, for faults that damage them."""
        table = company.table(entity.name)
        metadata = (
            {"metadata": {"totalCount": page.total, "maxPageSize": page.size}} if entity.metadata else {}
        )
        if entity.by_line:
            rows = [self._piece_row(company, entity, piece, shown) for piece in page.pieces]
        else:
            rows = [self.rows.visible(entity, table, record, shown) for record in page.records]
        return [row | metadata for row in rows]

    def _selection(self, company: Company, entity: Entity, query: Query) -> list[Record]:
        table = company.table(entity.name)
        asked = {name: value for name, value in query.items() if name not in {"pagenumber", "pagesize"}}
        order = self.switches["order"]
        fingerprint = (table.version, order, self.switches["greater_than"], tuple(sorted(asked.items())))
        known = self._last.get((company.code, entity.name))
        if known is not None and known[0] == fingerprint and order != "unstable":
            return known[1]
        records = self._select(company, entity, asked)
        if order == "modified":
            records = sorted(records, key=lambda record: (record.stamp, record.key))
        elif order == "unstable":
            records = random.Random(f"{self.seed}/{next(self._requests)}").sample(records, len(records))
        self._last[company.code, entity.name] = (fingerprint, records)
        return records

    def _select(self, company: Company, entity: Entity, query: Query) -> list[Record]:
        table = company.table(entity.name)
        if entity.needs and not any(name.lower() in query for name in entity.needs):
            raise ApiError(400, f"At least one of these parameters is required: {', '.join(entity.needs)}.")
        records = table.sorted()
        if (compare := self._since(entity, query)) is not None:
            test, limit = compare
            records = [record for record in records if test(record.wall, limit)]
        if entity.created and (compare := self._timed("createdDateTime", query)) is not None:
            test, limit = compare
            records = [record for record in records if test(wall(record.created), limit)]
        tests = _tests(entity, query)
        if tests:
            records = [record for record in records if all(test(table.row(record)) for test in tests)]
        if entity.name == "branch" and "orderby" in query:
            return _ordered_branches(table, records, query["orderby"])
        return records

    def _since(self, entity: Entity, query: Query) -> TimeTest | None:
        if entity.modified == "none":
            return None
        if entity.modified == "since":
            value = query.get("lastmodifieddatetime")
            return None if value is None else (operator.ge, moment("lastModifiedDateTime", value))
        return self._timed("lastModifiedDateTime", query)

    def _timed(self, name: str, query: Query) -> TimeTest | None:
        """Value and condition together; a value alone changes nothing but must still be well formed."""
        value, given = query.get(name.lower()), query.get(f"{name.lower()}condition")
        if value is None:
            return None
        limit = moment(name, value)
        if given is None:
            return None
        if given == ">" and self.switches["greater_than"] == "inclusive":
            given = ">="
        return condition(f"{name}Condition", given), limit

    def _piece(self, company: Company, entity: Entity, piece: Piece, shown: frozenset[str]) -> bytes:
        if piece.first == 0 and piece.end == _line_count(company, piece.record):
            return self.rows.text(entity, company.table(entity.name), piece.record, shown)
        return self.rows.json(self._piece_row(company, entity, piece, shown))[:-1].encode()

    def _piece_row(self, company: Company, entity: Entity, piece: Piece, shown: frozenset[str]) -> Row:
        row = self.rows.visible(entity, company.table(entity.name), piece.record, shown)
        return row | {entity.lines: row[entity.lines][piece.first : piece.end]}


def shown_sections(entity: Entity, query: Query) -> frozenset[str]:
    """The expand flags given as true."""
    flags = (*entity.sections, *entity.line_sections, "expandSegmentsValues")
    return frozenset(flag for flag in flags if query.get(flag.lower(), "").lower() in {"true", "1"})


def _tests(entity: Entity, query: Query) -> list[Test]:
    tests = []
    for name, make in entity.filters.items():
        value = query.get(name.lower())
        if value is not None:
            test = make(value, query.get(f"{name.lower()}condition"))
            if test is not None:
                tests.append(test)
    return tests


def _number(query: Query, name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    try:
        return max(1, int(value))
    except ValueError as error:
        raise ApiError(400, f"The value '{value}' is not valid for {name}.") from error


def _line_count(company: Company, record: Record) -> int:
    if record.row is not None:
        return len(record.row["journalTransactionLines"])
    facts: Batch = record.facts
    return len(postings(company, facts))


def _page_of_lines(company: Company, records: Sequence[Record], start: int, size: int, cap: int) -> Page:
    """Pages count lines, so a batch may begin on one page and end on another (vendors/visma.md section 4)."""
    pieces, position = [], 0
    for record in records:
        count = _line_count(company, record)
        first, end = max(start, position), min(start + size, position + count)
        if first < end:
            pieces.append(Piece(record, first - position, end - position))
        position += count
    return Page((), position, cap, pieces)


_BRANCH_ORDER = {"id": "branchId", "number": "number", "name": "name", "organizationid": "organizationId"}


def _ordered_branches(table: Table, records: list[Record], order: str) -> list[Record]:
    if order.lower() == "lastmodifieddatetime":
        return sorted(records, key=lambda record: record.stamp)
    field = _BRANCH_ORDER.get(order.lower(), "number")
    return sorted(records, key=lambda record: str(table.row(record)[field]))
