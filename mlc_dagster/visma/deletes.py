"""Deleted records: the ERP shows no tombstones, so what is missing is looked for (section 13.2)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import Lake
from mlc_dagster.lake.latest import find_newest, register
from mlc_dagster.lake.partitions import Listing
from mlc_dagster.visma.client import Page, VismaClient, in_parallel
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.fields import MOMENT
from mlc_dagster.visma.merge import conform
from mlc_dagster.visma.records import record_key

# Missing records up to the larger of these are believed; more look like a broken answer.
BELIEVED_COUNT = 20
BELIEVED_SHARE = 0.1


class ReadGuard(Exception):
    """A read brought so much less than the lake holds that it is not believed. Nothing was written."""

    def __init__(self, entity: str, company: str, *, held: int, missing: int) -> None:
        super().__init__(
            f"{entity} of {company}: the ERP's answer lacks {missing} of the {held} records in the lake. "
            "Nothing was deleted or written. Check the company's tenant and rights: a list over a wrong "
            "company is empty, not refused. If the records are really gone, read again with allow_deletes."
        )
        self.held, self.missing = held, missing


def guard(entity: Entity, company: str, *, held: int, missing: int) -> None:
    """Raise ReadGuard when more is missing than may be believed without confirmation."""
    if missing > max(BELIEVED_COUNT, held * BELIEVED_SHARE):
        raise ReadGuard(entity.name, company, held=held, missing=missing)


def guard_whole(entity: Entity, company: str, *, held: int, missing: int) -> None:
    """Raise ReadGuard when a whole read came back empty, or with too much missing."""
    if missing and missing == held:
        raise ReadGuard(entity.name, company, held=held, missing=missing)
    guard(entity, company, held=held, missing=missing)


@dataclass(frozen=True)
class Unreleased:
    """Documents that may be deleted, as the lake knows them; and some that cannot be, as witnesses."""

    keys: frozenset[str] = frozenset()
    witnesses: tuple[str, ...] = ()


def unreleased_in_lake(lake: Lake, entity: Entity, company: str) -> Unreleased:
    """Return the documents whose newest version in the lake is unreleased."""
    if entity.unreleased is None:
        return Unreleased()
    states = ", ".join(f"'{state}'" for state in sorted(entity.unreleased.states))

    def read(listings: Mapping[str, Listing]) -> Unreleased:
        with lake.connect() as connection:
            find_newest(connection, listings[entity.name], "newest")
            register(connection, "held", entity.schema, newest="newest")
            rows = connection.execute(f"select _key from held where status in ({states})").fetchall()
            # One of each type: a path without the type finds only those of its main type.
            others = connection.execute(
                f"select max(_key) from held where status not in ({states}) group by split_part(_key, '|', 1)"
            ).fetchall()
            return Unreleased(
                frozenset(str(row[0]) for row in rows), tuple(sorted(str(row[0]) for row in others))
            )

    return lake.steady([entity.name], company, read)


def unreleased_in(entity: Entity, table: pa.Table) -> set[str]:
    """Return the keys of the unreleased documents of a table."""
    if entity.unreleased is None:
        return set()
    states = pa.array(sorted(entity.unreleased.states))
    return set(table.filter(pc.is_in(table.column("status"), states)).column("_key").to_pylist())


def gone(
    client: VismaClient,
    entity: Entity,
    suspects: Collection[str],
    *,
    witnesses: Sequence[str] = (),
    allow_deletes: bool,
) -> list[str]:
    """Return the unreleased documents that are gone: not listed, and 404 when read.

    Raises ReadGuard when too many are missing, or when the ERP knows none of the witnesses either.
    """
    if entity.unreleased is None or not suspects:
        return []
    query = {entity.unreleased.parameter: entity.unreleased.value}

    def keys(page: Page) -> set[str | None]:
        return {record_key(entity, record) for record in page.records}

    listed = set().union(*client.pages(entity, keys, extra=query))
    missing = sorted(set(suspects) - listed)
    company = client.company.code
    if not allow_deletes:
        guard(entity, company, held=len(suspects), missing=len(missing))
    answers = in_parallel(lambda key: client.single(entity, key), missing)
    lost = [key for key, answer in zip(missing, answers, strict=True) if answer is None]
    if (
        lost
        and witnesses
        and not allow_deletes
        and all(client.single(entity, key) is None for key in witnesses)
    ):
        raise ReadGuard(entity.name, company, held=len(suspects) + 1, missing=len(lost) + 1)
    return lost


def tombstones(
    lake: Lake, entity: Entity, company: str, keys: Collection[str], read_at: datetime
) -> pa.Table:
    """Return tombstones for some keys: the last content and stamp, marked deleted, read now."""
    latest = lake.latest(entity.name, company) if keys else None
    if latest is None:
        return entity.schema.empty_table()
    latest = conform(latest, entity.schema)
    mine = pc.is_in(latest.column("_key"), pa.array(sorted(keys), pa.string()))
    return marked_deleted(latest.filter(pc.and_not(mine, latest.column("_deleted"))), read_at)


def marked_deleted(rows: pa.Table, read_at: datetime) -> pa.Table:
    """Return the rows as tombstones."""
    values = {"_read_at": pa.scalar(read_at, MOMENT), "_deleted": pa.scalar(value=True)}
    for name, value in values.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.repeat(value, len(rows)))
    return rows
