"""What the reader must know about one kind of ERP record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from string import Formatter

import pyarrow as pa

from mlc_dagster.lake import with_system
from mlc_dagster.visma.fields import Field, lake_columns, only, wire_struct

# The state of a document that may be deleted, and the number of a line: the same name in all entities.
STATUS, LINE = "status", "lineNumber"


class Filter(Enum):
    """How a list is limited to what changed (vendors/visma.md section 5)."""

    WITH_CONDITION = "lastModifiedDateTime with its condition"
    SINCE = "lastModifiedDateTime alone, meaning since"
    NONE = "no change filter: read whole and compared"


class Paging(Enum):
    """How a list comes (vendors/visma.md section 4)."""

    PAGED = "pages of records"
    BY_LINE = "pages counted in lines: one record may be split over several"
    NONE = "all in one answer"
    BY_ID = "a list of ids, then each record by its id"


@dataclass(frozen=True)
class Unreleased:
    """The query that lists documents which may still be deleted, and the states they are in."""

    parameter: str
    value: str
    states: frozenset[str]


@dataclass(frozen=True)
class Entity:
    """One kind of ERP record.

    ``key`` names the fields that identify a record; dots reach into sections, a trailing ``?`` allows an
    empty part. ``single`` is the path of one record, with key fields in braces. ``number`` is what people
    call the record by. ``lines`` is the list of a BY_LINE entity. ``written`` is the path for PUT where it
    is not the one for reading. ``internal`` is the ERP's own id of a record, which stays when its number
    changes (section 13.2); ``cited`` are the places where documents, or their lines, name the record by its
    number.
    """

    name: str
    title: str
    path: str
    key: tuple[str, ...]
    number: str
    fields: tuple[Field, ...] = field(repr=False)
    single: str | None = None
    stamp: str | None = "lastModifiedDateTime"
    filter: Filter = Filter.WITH_CONDITION
    paging: Paging = Paging.PAGED
    expand: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    unreleased: Unreleased | None = None
    lines: str | None = None
    demands_filter: bool = False
    written: str | None = None
    internal: str | None = None
    cited: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What quarantine, audit trail and tallies call it: visma/suppliers and so on."""
        return f"visma/{self.name}"

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns in the lake: the lake's own first, then the declared fields."""
        return with_system(lake_columns(self.fields))

    @cached_property
    def wire(self) -> pa.StructType:
        """The type a JSON record is taken in as."""
        return wire_struct(self.fields)

    @cached_property
    def indexed(self) -> frozenset[str]:
        """The paths of the fields that are looked at before a record is written, and of their sections."""
        names = [name.removesuffix("?") for name in self.key]
        names += [self.stamp] if self.stamp else []
        names += [STATUS] if self.unreleased else []
        names += [f"{self.lines}.{LINE}"] if self.lines else []
        return frozenset(
            ".".join(steps[:depth])
            for steps in (name.split(".") for name in names)
            for depth in range(1, len(steps) + 1)
        )

    @cached_property
    def keys_only(self) -> "Entity":
        """The same list without its optional sections, of which only keys, stamps and ids are taken in."""
        paths = self.indexed | ({self.internal} if self.internal else frozenset())
        return replace(self, fields=only(self.fields, paths), expand=())

    def sections_with(self, path: str) -> Iterator[str | None]:
        """Where a path such as `account.number` leads to a value: None for the record itself, else a list."""
        steps = path.split(".")
        record = pa.struct(list(self.schema))
        if _leads(record, steps) and path not in {name.removesuffix("?") for name in self.key}:
            yield None
        for column in record:
            if pa.types.is_list(column.type) and _leads(column.type.value_type, steps):
                yield column.name

    @cached_property
    def addressed(self) -> bool:
        """Whether the path of one record names all of its key: then what answers there is that record.

        Where the type is missing, a document of another one may answer, or only those of the main type.
        """
        named = {name for _, name, _, _ in Formatter().parse(self.single or "")}
        return {name.removesuffix("?") for name in self.key} <= named

    def parts(self, key: str) -> dict[str, str]:
        """The fields of a key by name. A bar in the last one is part of it: people make up numbers."""
        names = [name.removesuffix("?") for name in self.key]
        return dict(zip(names, key.split("|", len(names) - 1), strict=True))

    def number_in(self, key: str) -> str:
        """What people call the record of a key by."""
        return self.parts(key)[self.number]

    @property
    def paged(self) -> bool:
        """Whether the list takes pageNumber and pageSize."""
        return self.paging in (Paging.PAGED, Paging.BY_LINE)

    @property
    def has_filter(self) -> bool:
        """Whether what changed since a moment can be asked for."""
        return self.filter is not Filter.NONE

    @property
    def is_master_data(self) -> bool:
        """Whether documents refer to its records, of whatever day: the ERP gives these an id of their own."""
        return self.internal is not None

    @property
    def query(self) -> dict[str, str]:
        """The parameters every list and single read carries."""
        return {**self.params, **dict.fromkeys(self.expand, "true")}


def _leads(kind: pa.DataType, steps: Sequence[str]) -> bool:
    for step in steps:
        if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
            return False
        kind = kind.field(step).type
    return True
