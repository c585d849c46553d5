"""A model's contract: columns, types, key and tests, parsed from YAML with every mistake and its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mlc_dagster.mappings.types import ColumnType
from mlc_dagster.problems import Problem
from mlc_dagster.yamlfile import YamlFile

SOURCE_KEY, SOURCE_NUMBER = "source_key", "source_number"
Severity = Literal["error", "warn"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _known_type(text: str) -> str:
    ColumnType.parse(text)
    return text


def _test(given: Any) -> Any:
    if isinstance(given, str):
        return {given: True}
    return (
        {name: True if value is None else value for name, value in given.items()}
        if isinstance(given, dict)
        else given
    )


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Relation(_Part):
    """Where a value must exist: a column of another model of the same target, or of a lookup."""

    model: str | None = None
    lookup: str | None = None
    column: str

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.model is None) == (self.lookup is None):
            raise ValueError("name a model or a lookup")
        return self


class SqlTest(_Part):
    """A query over `{{ rows }}` that returns the rows that fail."""

    name: Name
    query: str
    severity: Severity = "error"


class TestSpec(_Part):
    """One test of a column or of the whole model: exactly one kind, and how much it matters."""

    __test__ = False
    not_null: Literal[True] | None = None
    unique: Literal[True] | list[str] | None = None
    accepted_values: list[str | int | bool] | None = None
    relationships: Relation | None = None
    sql: SqlTest | None = None
    severity: Severity = "error"

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(getattr(self, name) is not None for name in KINDS) != 1:
            raise ValueError(f"a test is exactly one of {', '.join(KINDS)}")
        return self


KINDS = ("not_null", "unique", "accepted_values", "relationships", "sql")
Test = Annotated[TestSpec, BeforeValidator(_test)]


class ColumnSpec(_Part):
    """One column of the rows a destination receives."""

    type: Annotated[str, AfterValidator(_known_type)]
    max_length: Annotated[int, Field(gt=0)] | None = None
    description: str = ""
    tests: list[Test] = []

    @property
    def column_type(self) -> ColumnType:
        """The parsed type."""
        return ColumnType.parse(self.type)


class Contract(_Part):
    """What a model promises its destination.

    `whole`: a row adds up several records, so every run evaluates all of them, not only those that changed.
    """

    description: str
    source: str
    whole: bool = False
    key: Annotated[list[str], Field(min_length=1)]
    number: str
    columns: Annotated[dict[Name, ColumnSpec], Field(min_length=1)]
    tests: list[Test] = []
    deleted: dict[str, Any] | None = None
    after: list[str] = []

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns a model returns that no destination receives: the record's key and maybe its number."""
        return (SOURCE_KEY, SOURCE_NUMBER) if self.number == SOURCE_NUMBER else (SOURCE_KEY,)

    @property
    def tombstone(self) -> dict[str, Any] | None:
        """The typed column values that mark a deleted row; None where rows are really deleted."""
        if self.deleted is None:
            return None
        return {name: self.columns[name].column_type.value(value) for name, value in self.deleted.items()}


@dataclass(frozen=True, slots=True)
class Check:
    """One test with its place and its name, as an asset check will carry it.

    `row_level` checks of severity error send failing rows to quarantine; other errors block the delivery.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    spec: TestSpec
    severity: Severity
    row_level: bool
    line: int
    description: str

    @property
    def blocking(self) -> bool:
        """Whether a failure keeps the delivery from starting."""
        return self.severity == "error" and not self.row_level


class Section(BaseModel):
    """What a contract says to its own target only, under the target's name. Targets derive their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def problems(self, contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str, str]]:  # noqa: ARG002
        """What is wrong beside the rest of the contract: place in the section, message and remedy."""
        yield from ()


# The sections of the targets that have one, by target.
Sections = Mapping[str, type[Section]]


def parse(
    file: YamlFile, target: str = "", sections: Sections | None = None
) -> tuple[Contract | None, Section | None, list[Problem]]:
    """The contract in a file and its target's section, both or neither, and everything wrong with them."""
    problems, kind = list(file.problems), (sections or {}).get(target)
    data, section = file.data, None
    if kind is not None and isinstance(data, dict):
        data = {name: value for name, value in data.items() if name != target}
        section, mistakes = _section(file, target, kind)
        problems += mistakes
    try:
        contract = Contract.model_validate(data)
    except ValidationError as error:
        return None, None, problems + [_problem(file, dict(item)) for item in error.errors()]
    problems += _inconsistencies(contract, file)
    if section is not None:
        problems += [
            file.problem((target, *place), message, remedy)
            for place, message, remedy in section.problems(contract)
        ]
    return (contract if kind is None or section else None), section, problems


def _section(file: YamlFile, target: str, kind: type[Section]) -> tuple[Section | None, list[Problem]]:
    if target not in file.data:
        return None, [file.problem((), f"`{target}` is missing.", f"See docs/{target}.md for what it says.")]
    try:
        return kind.model_validate(file.data[target]), []
    except ValidationError as error:
        mistakes = [dict(item) | {"loc": (target, *item["loc"])} for item in error.errors()]
        return None, [_problem(file, mistake) for mistake in mistakes]


def checks(contract: Contract, file: YamlFile) -> list[Check]:
    """All tests of a contract by name, those of columns first."""
    found = [
        _check(spec, (name,), file.line(("columns", name, "tests", index)), row_level=True)
        for name, column in contract.columns.items()
        for index, spec in enumerate(column.tests)
    ]
    for index, spec in enumerate(contract.tests):
        columns = tuple(spec.unique) if isinstance(spec.unique, list) else ()
        found.append(_check(spec, columns, file.line(("tests", index)), row_level=False))
    return found


def closest(name: str, known: Sequence[str]) -> str:
    """A remedy that suggests the nearest known name, or lists them all."""
    if near := get_close_matches(name, known, n=1):
        return f"Did you mean `{near[0]}`?"
    return f"Known: {', '.join(sorted(known))}." if known else "There are none yet."


def _check(spec: TestSpec, columns: tuple[str, ...], line: int, *, row_level: bool) -> Check:
    severity: Severity = "warn" if spec.sql and spec.sql.severity == "warn" else spec.severity
    listed = "_".join(columns)
    names = {
        "not_null": (f"{listed}_not_null", f"{listed} is never empty."),
        "unique": (f"{listed}_unique", f"{', '.join(columns)}: no two rows are equal."),
        "accepted_values": (
            f"{listed}_accepted_values",
            f"{listed} is one of {', '.join(str(value) for value in spec.accepted_values or ())}.",
        ),
    }
    if spec.sql:
        name, description = spec.sql.name, f"No row fails the query {spec.sql.name}."
    elif spec.relationships:
        where = f"{spec.relationships.model or spec.relationships.lookup}.{spec.relationships.column}"
        name, description = f"{listed}_in_{where.replace('.', '_')}", f"{listed} exists in {where}."
    else:
        name, description = names[spec.kind]
    return Check(name, spec.kind, columns, spec, severity, row_level, line, description)


def _problem(file: YamlFile, error: Mapping[str, Any]) -> Problem:
    place = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return file.problem(place, f"`{place[-1]}` is no key here.", closest(str(place[-1]), _KEYS))
    if error["type"] == "missing":
        return file.problem(
            place, f"`{place[-1]}` is missing.", "See docs/mappings.md for the keys of a contract."
        )
    message = str(error["msg"]).removeprefix("Value error, ")
    return file.problem(place, f"`{'.'.join(str(part) for part in place)}`: {message}.")


def _inconsistencies(contract: Contract, file: YamlFile) -> Iterator[Problem]:
    columns = list(contract.columns)
    for index, name in enumerate(contract.key):
        if name not in columns:
            yield file.problem(("key", index), f"The key `{name}` is no column.", closest(name, columns))
    if contract.number not in (*columns, SOURCE_NUMBER):
        yield file.problem(
            ("number",), f"`{contract.number}` is no column.", closest(contract.number, columns)
        )
    for name, value in (contract.deleted or {}).items():
        if name not in columns:
            yield file.problem(("deleted", name), f"`{name}` is no column.", closest(name, columns))
            continue
        try:
            contract.columns[name].column_type.value(value)
        except ValueError as error:
            yield file.problem(("deleted", name), f"`{name}`: {error}.")
    for name, column in contract.columns.items():
        if name in (SOURCE_KEY, SOURCE_NUMBER):
            yield file.problem(("columns", name), f"`{name}` is no column of the rows.", "Leave it out here.")
        if column.max_length and column.type != "text":
            yield file.problem(("columns", name, "max_length"), "Only text has a `max_length`.", "Remove it.")
    yield from _test_problems(contract, file)


def _test_problems(contract: Contract, file: YamlFile) -> Iterator[Problem]:
    for name, column in contract.columns.items():
        for index, spec in enumerate(column.tests):
            if isinstance(spec.unique, list):
                place = ("columns", name, "tests", index)
                yield file.problem(place, "`unique` of a column names no columns.", "Write `- unique`.")
    for index, spec in enumerate(contract.tests):
        if not spec.sql and not isinstance(spec.unique, list):
            message = f"`{spec.kind}` is no test of a whole model."
            yield file.problem(
                ("tests", index), message, "Use `unique: [column, ...]` or `sql`, or test a column."
            )
        for column_name in spec.unique if isinstance(spec.unique, list) else ():
            if column_name not in contract.columns:
                remedy = closest(column_name, list(contract.columns))
                yield file.problem(("tests", index), f"`{column_name}` is no column.", remedy)
    seen: set[str] = {"types", "key_unique"}
    for check in checks(contract, file):
        if check.name in seen:
            yield Problem(
                file.name, check.line, f"Two tests are called `{check.name}`.", "Remove or rename one."
            )
        seen.add(check.name)


_KEYS = [name for part in (Contract, ColumnSpec, TestSpec, SqlTest, Relation) for name in part.model_fields]
