"""What a contract says to Power BI: its table, how columns look, relationships, measures (vendors/powerbi.md
section 3).
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlc_dagster.mappings.contract import Contract, Section

# Table and relationship names: 1 to 100 of these (section 3). Quotes and brackets would break DAX.
NAME = r"^[\w \-#@^~]{1,90}$"
TEXT_LIMIT, DECIMAL_PRECISION, DECIMAL_SCALE = 4000, 28, 4

Name = Annotated[str, Field(pattern=NAME)]
Place = tuple[str | int, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Look(_Part):
    """How a column is shown. Without a caption it is the contract's name in words."""

    caption: Name | None = None
    format: str | None = None
    hidden: bool = False
    category: str | None = None
    sort_by: str | None = None


class Measure(_Part):
    """A number over a fact table: a `sum` of a column or a `count` of rows, of the rows that `where` names;
    or `dax` that is made of other measures.
    """

    sum: str | None = None
    count: Literal[True] | None = None
    dax: str | None = None
    where: dict[str, str | int | bool | list[str | int]] = Field(default_factory=dict)
    format: str = "#,0.00"
    description: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(value is not None for value in (self.sum, self.count, self.dax)) != 1:
            raise ValueError("a measure is exactly one of sum, count, dax")
        if self.dax is not None and self.where:
            raise ValueError("`where` belongs to sum and count; write the filter into the dax")
        return self


class Aging(_Part):
    """Five measures of what is open by how long it is overdue: not due, 1-30, 31-60, 61-90, over 90 days."""

    name: Name
    balance: str
    due: str


class TableSection(Section):
    """The Power BI part of a contract.

    relationships: column of this table -> model whose key it holds. A fact has no visible column: it is two
    physical tables and a log, and only measures read it right.
    """

    table: Name
    kind: Literal["dimension", "fact"]
    columns: dict[str, Look] = Field(default_factory=dict)
    relationships: dict[str, str] = Field(default_factory=dict)
    measures: dict[Name, Measure] = Field(default_factory=dict)
    aging: Aging | None = None

    def problems(self, contract: Contract) -> Iterator[tuple[Place, str, str]]:
        """Columns that do not exist, types Power BI has not, and measures where no measure can be."""
        if len(contract.key) != 1:
            yield (
                (),
                "A Power BI table has a key of one column.",
                "Join the parts in the model, as `code` does.",
            )
        if contract.deleted is not None:
            message = "Deleted rows really go, so the contract says nothing of them."
            yield (), message, "Remove `deleted`."
        if self.kind == "dimension" and (self.measures or self.aging):
            yield ("measures",), "Measures belong to facts.", "Move them to the contract of a fact."
        for place, column in self._named():
            if column not in contract.columns:
                yield place, f"`{column}` is no column.", f"Known: {', '.join(contract.columns)}."
        yield from self._type_problems(contract)

    def _named(self) -> Iterator[tuple[Place, str]]:
        yield from ((("columns", name), name) for name in self.columns)
        yield from ((("columns", name), look.sort_by) for name, look in self.columns.items() if look.sort_by)
        yield from ((("relationships", name), name) for name in self.relationships)
        for name, measure in self.measures.items():
            if measure.sum:
                yield ("measures", name), measure.sum
            yield from ((("measures", name, "where"), column) for column in measure.where)
        if self.aging:
            yield ("aging", "balance"), self.aging.balance
            yield ("aging", "due"), self.aging.due

    def _type_problems(self, contract: Contract) -> Iterator[tuple[Place, str, str]]:
        for name, column in contract.columns.items():
            kind = column.column_type
            if kind.kind == "decimal" and (kind.scale > DECIMAL_SCALE or kind.precision > DECIMAL_PRECISION):
                remedy = f"Use decimal({DECIMAL_PRECISION},{DECIMAL_SCALE})."
                yield (), f"`{name}` is {kind}; Power BI keeps four decimals of 28 digits.", remedy
        wanted: list[tuple[Place, str, tuple[str, ...]]] = [
            (("measures", name), measure.sum, ("decimal", "integer"))
            for name, measure in self.measures.items()
            if measure.sum
        ]
        if self.aging:
            wanted += [
                (("aging", "balance"), self.aging.balance, ("decimal", "integer")),
                (("aging", "due"), self.aging.due, ("date",)),
            ]
        for place, name, kinds in wanted:
            if name in contract.columns and contract.columns[name].column_type.kind not in kinds:
                yield (
                    place,
                    f"`{name}` is {contract.columns[name].type}.",
                    f"It must be {' or '.join(kinds)}.",
                )
