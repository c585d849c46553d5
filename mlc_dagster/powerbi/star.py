"""The push dataset as the contracts declare it: tables, columns, relationships, measures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlc_dagster.mappings.contract import ColumnSpec
from mlc_dagster.mappings.model import Model
from mlc_dagster.powerbi.dax import CONTROL, DATES, SLOTS, Fact, in_slot
from mlc_dagster.powerbi.section import Measure, TableSection
from mlc_dagster.problems import Problem, ProblemsFound

# What a dataset may have (vendors/powerbi.md section 8).
MOST = {"tables": 75, "columns": 75, "relationships": 75}
TYPES = {
    "text": "String",
    "integer": "Int64",
    "decimal": "Decimal",
    "date": "DateTime",
    "timestamp": "DateTime",
    "boolean": "Boolean",
}
FORMATS = {"Decimal": "#,0.00", "Int64": "0", "date": "yyyy-mm-dd", "timestamp": "yyyy-mm-dd hh:nn:ss"}
BUCKETS: tuple[tuple[str, int | None, int | None], ...] = (
    ("not due", None, 0),
    ("1-30 days", 1, 30),
    ("31-60 days", 31, 60),
    ("61-90 days", 61, 90),
    ("over 90 days", 91, None),
)


@dataclass(frozen=True)
class Column:
    """A column as Power BI gets it. `source` is the contract's name, empty for a technical column."""

    name: str
    type: str
    source: str = ""
    hidden: bool = False
    format: str | None = None
    description: str = ""
    category: str | None = None
    sort_by: str | None = None

    def body(self) -> dict[str, Any]:
        """The column in a create call. Only measures add up: no column does by itself."""
        known = {"formatString": self.format, "dataCategory": self.category, "sortByColumn": self.sort_by}
        optional = {name: value for name, value in known.items() if value is not None}
        fixed = {"name": self.name, "dataType": self.type, "isHidden": self.hidden, "summarizeBy": "none"}
        return {**fixed, **optional}


@dataclass(frozen=True)
class DaxMeasure:
    """A measure with its DAX."""

    name: str
    dax: str
    format: str | None = None
    hidden: bool = False
    description: str = ""

    def body(self) -> dict[str, Any]:
        """The measure in a create call."""
        known = {"formatString": self.format, "description": self.description or None}
        optional = {name: value for name, value in known.items() if value}
        return {"name": self.name, "expression": self.dax, "isHidden": self.hidden, **optional}


@dataclass(frozen=True)
class Table:
    """A physical table."""

    name: str
    columns: tuple[Column, ...]
    hidden: bool = False
    description: str = ""
    measures: tuple[DaxMeasure, ...] = ()

    def body(self) -> dict[str, Any]:
        """The table in a create call or in a PUT of its schema."""
        body: dict[str, Any] = {
            "name": self.name,
            "isHidden": self.hidden,
            "columns": [column.body() for column in self.columns],
        }
        if self.measures:
            body["measures"] = [measure.body() for measure in self.measures]
        return {**body, "description": self.description} if self.description else body

    @property
    def types(self) -> dict[str, str]:
        """Type by column: what rows have to fit."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True)
class Relationship:
    """Many to one: a column of a fact's slot or of a dimension, to the key of a dimension."""

    from_table: str
    from_column: str
    to_table: str
    to_column: str

    def body(self, number: int) -> dict[str, Any]:
        """The relationship in a create call."""
        return {
            "name": f"r{number}",
            "fromTable": self.from_table,
            "fromColumn": self.from_column,
            "toTable": self.to_table,
            "toColumn": self.to_column,
            "crossFilteringBehavior": "OneDirection",
        }


@dataclass(frozen=True)
class Shape:
    """One model's table: a dimension is one physical table, a fact two slots of the same columns.

    `columns` are the contract's, in its order; `key` is the column that identifies a row.
    """

    model: str
    title: str
    fact: bool
    key: Column
    columns: tuple[Column, ...]
    description: str

    @property
    def technical(self) -> tuple[Column, ...]:
        """What every row carries beside its values (vendors/powerbi.md section 13)."""
        return TECHNICAL + VERSIONED if self.fact else TECHNICAL

    def physical(self, slot: str) -> str:
        """The physical table's name: of a slot of a fact, or of a dimension, which has none."""
        return in_slot(self.title, slot) if self.fact else self.title

    @property
    def names(self) -> tuple[str, ...]:
        """The physical tables."""
        return tuple(self.physical(slot) for slot in SLOTS) if self.fact else (self.title,)

    def tables(self) -> Iterator[Table]:
        """The physical tables."""
        for name in self.names:
            yield Table(name, (*self.columns, *self.technical), self.fact, self.description)


TECHNICAL = (
    Column("_load_id", "String", hidden=True),
    Column("_batch_no", "Int64", hidden=True),
    Column("_check", "Int64", hidden=True),
)
VERSIONED = (Column("_version", "Int64", hidden=True), Column("_deleted", "Int64", hidden=True))
CONTROL_COLUMNS = (
    Column("seq", "Int64", hidden=True),
    Column("entity", "String", hidden=True),
    Column("slot", "String", hidden=True),
    Column("floor", "Int64", hidden=True),
)


@dataclass(frozen=True)
class Star:
    """The whole dataset."""

    shapes: Mapping[str, Shape]
    relationships: tuple[Relationship, ...]
    measures: tuple[DaxMeasure, ...]
    control: Table = field(init=False)

    def __post_init__(self) -> None:
        description = "All measures. Its hidden rows say which of its two tables each fact is read from."
        object.__setattr__(
            self, "control", Table(CONTROL, CONTROL_COLUMNS, False, description, self.measures)
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All physical tables, the control table first."""
        return (self.control, *(table for shape in self.shapes.values() for table in shape.tables()))

    def body(self, name: str) -> dict[str, Any]:
        """The create call's JSON (vendors/powerbi.md section 3)."""
        return {
            "name": name,
            "defaultMode": "Push",
            "tables": [table.body() for table in self.tables],
            "relationships": [
                relationship.body(number) for number, relationship in enumerate(self.relationships, start=1)
            ],
        }


def star(models: Iterable[Model]) -> Star:
    """The dataset of these models, all of one target.

    Raises:
        ProblemsFound: names that collide, relationships that lead nowhere, more than Power BI takes.
    """
    listed = [(model, model.section) for model in models]
    declared = [(model, section) for model, section in listed if isinstance(section, TableSection)]
    shapes = {model.name: _shape(model, section) for model, section in declared}
    problems = [*_unknown(declared, shapes), *_without_dates(declared, shapes)]
    if problems:
        raise ProblemsFound(problems)
    made = Star(
        shapes,
        tuple(link for model, section in declared for link in _relationships(shapes, model.name, section)),
        tuple(measure for model, section in declared for measure in _measures(shapes[model.name], section)),
    )
    if problems := [*_doubles(made), *_too_many(made)]:
        raise ProblemsFound(problems)
    return made


def _shape(model: Model, section: TableSection) -> Shape:
    columns = {name: _column(name, spec, section) for name, spec in model.contract.columns.items()}
    key = columns[model.contract.key[0]]
    return Shape(
        model.name, section.table, section.kind == "fact", key, tuple(columns.values()), model.description
    )


def _column(name: str, spec: ColumnSpec, section: TableSection) -> Column:
    look, kind = section.columns.get(name), spec.column_type.kind
    type_ = TYPES[kind]
    sorted_by = look.sort_by if look else None
    return Column(
        name=_caption(name, section),
        type=type_,
        source=name,
        hidden=section.kind == "fact" or bool(look and look.hidden),
        format=(look.format if look else None) or FORMATS.get(kind) or FORMATS.get(type_),
        description=spec.description,
        category=look.category if look else None,
        sort_by=_caption(sorted_by, section) if sorted_by else None,
    )


def _caption(name: str, section: TableSection) -> str:
    look = section.columns.get(name)
    words = name.replace("_", " ")
    return look.caption if look and look.caption else words[0].upper() + words[1:]


def _relationships(shapes: Mapping[str, Shape], model: str, section: TableSection) -> Iterator[Relationship]:
    for name, other in section.relationships.items():
        for table in shapes[model].names:
            yield Relationship(table, _caption(name, section), shapes[other].title, shapes[other].key.name)


def _measures(shape: Shape, section: TableSection) -> Iterator[DaxMeasure]:
    if not shape.fact:
        return
    fact = Fact(shape.title, shape.key.name)
    yield DaxMeasure(fact.slot_measure, fact.control("slot"), hidden=True)
    yield DaxMeasure(fact.floor_measure, fact.control("floor"), hidden=True)
    for name, measure in section.measures.items():
        yield DaxMeasure(name, _dax(fact, measure, section), measure.format, False, measure.description)
    if aging := section.aging:
        balance, due = _caption(aging.balance, section), _caption(aging.due, section)
        for bucket, first, last in BUCKETS:
            text = f"Of what is open now: {bucket}, on the day selected in Dates or today."
            dax = fact.overdue(balance, due, first, last)
            yield DaxMeasure(f"{aging.name} {bucket}", dax, FORMATS["Decimal"], False, text)


def _dax(fact: Fact, measure: Measure, section: TableSection) -> str:
    where = {_caption(name, section): wanted for name, wanted in measure.where.items()}
    if measure.sum:
        return fact.sum(_caption(measure.sum, section), where)
    return measure.dax or fact.count(where)


def _unknown(
    declared: Sequence[tuple[Model, TableSection]], shapes: Mapping[str, Shape]
) -> Iterator[Problem]:
    for model, section in declared:
        for name, other in section.relationships.items():
            if other not in shapes or shapes[other].fact:
                known = ", ".join(sorted(key for key, shape in shapes.items() if not shape.fact))
                message = f"`{name}` leads to `{other}`, which is no dimension of this target."
                yield Problem(model.contract_file, 0, message, f"Known: {known}.")
            elif _caption(name, section) not in {column.name for column in shapes[model.name].columns}:
                yield Problem(model.contract_file, 0, f"`{name}` is no column.", "Correct the relationship.")


def _without_dates(
    declared: Sequence[tuple[Model, TableSection]], shapes: Mapping[str, Shape]
) -> Iterator[Problem]:
    has_dates = any((shape.title, shape.key.name) == DATES for shape in shapes.values() if not shape.fact)
    for model, section in declared:
        if section.aging and not has_dates:
            message = f"Aging counts from a day in {DATES[0]}[{DATES[1]}], and no model makes that table."
            yield Problem(model.contract_file, 0, message, "Add it, or remove `aging`.")


def _doubles(made: Star) -> Iterator[Problem]:
    """Power BI tells names apart without case."""
    tables = [table.name for table in made.tables]
    measures = [measure.name for measure in made.measures]
    columns = [f"{table.name}[{column.name}]" for table in made.tables for column in table.columns]
    for kind, names in (("table", tables), ("measure", measures), ("column", columns)):
        often = Counter(name.lower() for name in names)
        for name in sorted({name for name in names if often[name.lower()] > 1}):
            yield Problem("dbt_like_mappings/powerbi", 0, f"Two are called {kind} `{name}`.", "Rename one.")


def _too_many(made: Star) -> Iterator[Problem]:
    widest = max((len(table.columns) for table in made.tables), default=0)
    found = {"tables": len(made.tables), "columns": widest, "relationships": len(made.relationships)}
    for what, count in found.items():
        if count > MOST[what]:
            message = f"The dataset has {count} {what}; Power BI takes {MOST[what]}."
            yield Problem("dbt_like_mappings/powerbi", 0, message, "Take some away.")
