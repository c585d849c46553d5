"""One model as the table of a data source: columns by their captions, with Hyper's types."""

import hashlib
from dataclasses import dataclass

from mlc_dagster.mappings.model import Model
from mlc_dagster.mappings.types import ColumnType
from mlc_dagster.tableau.section import SourceSection

SQL_TYPES = {
    "text": "TEXT",
    "integer": "BIGINT",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "boolean": "BOOL",
}


@dataclass(frozen=True)
class Column:
    """source: its name in the contract; name: in Tableau; comment: the contract's description."""

    source: str
    name: str
    type: ColumnType
    comment: str = ""

    @property
    def sql(self) -> str:
        """Its type in Hyper (section 13). Money is NUMERIC, never a float."""
        kind = self.type
        return f"NUMERIC({kind.precision},{kind.scale})" if kind.kind == "decimal" else SQL_TYPES[kind.kind]


@dataclass(frozen=True)
class Shape:
    """A data source as its contract declares it."""

    title: str
    description: str
    key: Column
    columns: tuple[Column, ...]
    section: SourceSection

    @classmethod
    def of(cls, model: Model) -> "Shape":
        """From a model of dbt_like_mappings/tableau, whose section was checked when it was loaded."""
        section, contract = model.section, model.contract
        if not isinstance(section, SourceSection):
            raise TypeError(f"{model.key} has no section `tableau`")
        columns = tuple(
            Column(name, section.caption(name), column.column_type, column.description)
            for name, column in contract.columns.items()
        )
        key = next(column for column in columns if column.source == contract.key[0])
        return cls(section.datasource, contract.description, key, columns, section)

    @property
    def names_people(self) -> bool:
        """Whether its rows name users or groups of the site."""
        return bool(self.section.users or self.section.groups)

    @property
    def fingerprint(self) -> str:
        """What has to be equal for an update to fit what is published: names, types and the key."""
        text = "\n".join(f"{column.name} {column.sql}" for column in (self.key, *self.columns))
        return hashlib.sha256(text.encode()).hexdigest()
