"""Deleted records: the ERP shows no tombstones, so what is missing is looked for (section 13.2)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import Lake
from mlc_dagster.lake.partitions import Listing
from mlc_dagster.transport import Refused
from mlc_dagster.visma.client import Page, VismaClient
from mlc_dagster.visma.entity import STATUS, Entity
from mlc_dagster.visma.fields import MOMENT
from mlc_dagster.visma.merge import conform
from mlc_dagster.visma.parallel import in_parallel
from mlc_dagster.visma.records import record_key

# Missing records up to the larger of these are believed; more look like a broken answer.
BELIEVED_COUNT = 20
BELIEVED_SHARE = 0.1


class ReadGuard(Exception):
    """A read brought so much less than the lake holds that it is not believed. Nothing was written."""

    def __init__(self, entity: str, company: str, *, held: int, missing: int) -> None:
        super().__init__(
            f"{entity} of {company}: the ERP's answer lacks {missing} of the {held} records that the lake or "
            "a target holds. Nothing was deleted or written. Check the company's tenant and rights: a list "
            "over a wrong company is empty, not refused. If the records are really gone, read again with "
            "allow_deletes."
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
class Held:
    """What the lake knows of documents that may be deleted.

    ``unreleased`` may be deleted, ``deleted`` were; ``witnesses`` are some that cannot be.
    """

    unreleased: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    witnesses: tuple[str, ...] = ()


def held(lake: Lake, entity: Entity, company: str) -> Held:
    """Return what the newest versions in the lake say, for entities whose documents may be deleted."""
    if entity.unreleased is None:
        return Held()
    states = entity.unreleased.states

    def read(listings: Mapping[str, Listing]) -> Held:
        # Part by part, twice: of a million documents a few dozen are open or deleted.
        parts, once = listings[entity.name].parts, [pa.chunked_array([], pa.string())]
        for part in parts(["_key", "_deleted", STATUS]):
            unreleased = pc.is_in(part.column(STATUS), pa.array(sorted(states)))
            once.append(part.column("_key").filter(pc.or_(unreleased, part.column("_deleted"))))
        keys = pa.chunked_array([chunk for column in once for chunk in column.chunks], pa.string())
        versions, closed = [], set[str]()
        for part in parts(["_key", "_stamp", "_read_at", "_deleted", STATUS]):
            mine = pc.is_in(part.column("_key"), keys)
            versions.append(part.filter(mine))
            closed |= _first_and_last(part.column("_key").filter(pc.invert(mine)))
        return _judged(versions, closed, states)

    return lake.steady([entity.name], company, read)


def _judged(versions: Sequence[pa.Table], closed: set[str], states: Collection[str]) -> Held:
    """Return what the newest of some documents' versions say; `closed` are others that are no question."""
    if not versions:
        return Held()
    table = pa.concat_tables(versions)
    oldest_first = [(name, "ascending", "at_start") for name in ("_stamp", "_read_at", "_day")]
    table = table.take(pc.sort_indices(table, sort_keys=oldest_first))
    newest = {row["_key"]: row for row in table.to_pylist()}
    deleted = {key for key, row in newest.items() if row["_deleted"]}
    unreleased = {key for key, row in newest.items() if row[STATUS] in states} - deleted
    known = pa.chunked_array([sorted(closed | newest.keys() - deleted - unreleased)], pa.string())
    return Held(frozenset(unreleased), frozenset(deleted), tuple(sorted(_first_and_last(known))))


def _first_and_last(keys: pa.ChunkedArray) -> set[str]:
    """Two of each type: a path without the type finds only its main type's, and a witness may be gone too."""
    types = pc.list_element(pc.split_pattern(keys, "|", max_splits=1), 0)
    ends = pa.table({"type": types, "key": keys}).group_by("type").aggregate([("key", "min"), ("key", "max")])
    return {key for name in ("key_min", "key_max") for key in ends.column(name).to_pylist()}


def unreleased_in(entity: Entity, table: pa.Table) -> set[str]:
    """Return the keys of the unreleased documents of a table."""
    if entity.unreleased is None:
        return set()
    states = pa.array(sorted(entity.unreleased.states))
    return set(table.filter(pc.is_in(table.column(STATUS), states)).column("_key").to_pylist())


def gone(
    client: VismaClient,
    entity: Entity,
    suspects: Collection[str],
    *,
    witnesses: Sequence[str] = (),
    allow_deletes: bool,
) -> list[str]:
    """Return the unreleased documents that are gone: not listed, and 404 when read.

    Where the address names no type, a 404 says so only of types of which a witness answers; the others are
    left to the key sweep. Raises ReadGuard when too many are missing, or when no witness answers at all.
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
    answers = in_parallel(lambda key: is_there(client, entity, key), missing)
    lost = [key for key, there in zip(missing, answers, strict=True) if there is False]
    if not lost or not witnesses or allow_deletes:
        return lost
    answering = {_type(key) for key in witnesses if is_there(client, entity, key)}
    if not answering:
        raise ReadGuard(entity.name, company, held=len(suspects) + 1, missing=len(lost) + 1)
    return [key for key in lost if entity.addressed or _type(key) in answering]


def is_there(client: VismaClient, entity: Entity, key: str) -> bool | None:
    """Ask for one record by its address; None when another record answers there (section 13.3)."""
    try:
        record = client.get(client.single_path(entity, key))
    except Refused as refused:
        if refused.status == 404:
            return False
        raise
    return True if record_key(entity, record) == key else None


def _type(key: str) -> str:
    return key.partition("|")[0]


def tombstones(
    lake: Lake, entity: Entity, company: str, keys: Collection[str], read_at: datetime
) -> pa.Table:
    """Return tombstones for some keys: the last content and stamp, marked deleted, read now.

    Of a record that the lake has never seen, nothing but its key: a destination may hold it.
    """
    latest = lake.latest(entity.name, company, keys) if keys else None
    known = entity.schema.empty_table() if latest is None else conform(latest, entity.schema)
    alive = known.filter(pc.invert(known.column("_deleted")))
    unknown = sorted(set(keys).difference(known.column("_key").to_pylist()))
    bare = pa.Table.from_pylist([{"_key": key} for key in unknown], entity.schema)
    return marked_deleted(pa.concat_tables([alive, bare]), read_at)


def marked_deleted(rows: pa.Table, read_at: datetime) -> pa.Table:
    """Return the rows as tombstones."""
    values = {"_read_at": pa.scalar(read_at, MOMENT), "_deleted": pa.scalar(value=True)}
    for name, value in values.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.repeat(value, len(rows)))
    return rows
