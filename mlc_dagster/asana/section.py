"""What a contract says to Asana: which column is which part of a task, and the custom fields.

Sheet sections 2 and 3.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlc_dagster.mappings.contract import Contract, Section

Place = tuple[str | int, ...]
Name = Annotated[str, Field(min_length=1, max_length=80)]
# Places where a money field may round; six are the most Asana keeps (section 3).
PRECISION = 2
KINDS = {"text": "text", "integer": "number", "decimal": "number", "date": "date"}
FieldKind = Literal["text", "number", "date", "enum"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomField(_Part):
    """One custom field. `vocabulary`: its values are options of an enum while there are at most 500 of them;
    those beyond go into a text field of the same name with "(other)".
    """

    name: Name
    vocabulary: bool = False
    precision: Annotated[int, Field(ge=0, le=6)] | None = None
    description: str = ""

    @property
    def other(self) -> str:
        """The text field for values that found no room among the options."""
        return f"{self.name} (other)"


class TaskSection(Section):
    """The parts of a task by the columns that hold them, and the custom fields by column.

    `key_field` is the text field that holds the row's key; without it the rows are subtasks: `parent` names
    their model and `parent_key` the column with its key. `comment` is posted when its text changes, once.
    `lines` is a table for the notes, `line_count` how many lines it shows. `places` are the columns that
    name a project, by `project_by` of the settings.
    """

    name: str
    notes: str | None = None
    lines: str | None = None
    line_count: str | None = None
    due_on: str | None = None
    completed: str
    section: str | None = None
    assignee: str | None = None
    comment: str | None = None
    key_field: Name | None = None
    parent: str | None = None
    parent_key: str | None = None
    places: dict[Literal["supplier", "branch", "erp_project"], str] = Field(default_factory=dict)
    fields: dict[str, CustomField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _task_or_subtask(self) -> Self:
        if (self.key_field is None) == (self.parent is None):
            raise ValueError("name either the `key_field` of tasks or the `parent` of subtasks")
        if self.parent and not self.parent_key:
            raise ValueError("`parent` needs `parent_key`: the column with the parent's key")
        if self.parent and self.fields:
            raise ValueError("a subtask has no custom fields: it is in no project")
        return self

    @property
    def columns(self) -> dict[str, str]:
        """The column of each part that has one."""
        parts = ("name", "notes", "lines", "line_count", "due_on", "completed", "section", "assignee")
        more = ("comment", "parent_key")
        return {part: column for part in (*parts, *more) if (column := getattr(self, part)) is not None}

    def problems(self, contract: Contract) -> Iterator[tuple[Place, str, str]]:
        """Columns that are none, and fields that no column of this type can fill."""
        remedy = f"Columns: {', '.join(contract.columns)}."
        for part, column in self.columns.items():
            if column not in contract.columns:
                yield (part,), f"`{column}` is no column.", remedy
        for place, column in self.places.items():
            if column not in contract.columns:
                yield ("places", place), f"`{column}` is no column.", remedy
        for column in self.fields:
            if column not in contract.columns:
                yield ("fields", column), f"`{column}` is no column.", remedy
            elif contract.columns[column].column_type.kind not in KINDS:
                kind = contract.columns[column].type
                yield ("fields", column), f"No custom field takes a {kind}.", "Make it text in the SQL."
        names = [field.name for field in self.fields.values()]
        for name in {name for name in names if names.count(name) > 1} & set(names):
            yield ("fields",), f"Two fields are called {name!r}.", "Give each its own name."


def kind_of(contract: Contract, column: str, field: CustomField) -> FieldKind:
    """The kind of custom field that holds a column."""
    if field.vocabulary:
        return "enum"
    kind: Any = KINDS[contract.columns[column].column_type.kind]
    return kind  # type: ignore[no-any-return]
