"""What Anaplan's API answers, as typed values: models, imports, files, tasks and their results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENDED = frozenset({"COMPLETE", "CANCELLED"})
# A cell may hold a text of any length; the csv module's own limit would make a whole table unreadable.
LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `state` is UNLOCKED, LOCKED, ARCHIVED, MAINTENANCE ... (vendors/anaplan.md section 5)."""

    id: str
    name: str
    state: str
    busy: bool

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Model":
        """From `model`."""
        return cls(
            id=data["id"],
            name=data.get("name", ""),
            state=data.get("activeState", ""),
            busy=bool(data.get("modelTransactionRunning", False)),
        )


@dataclass(frozen=True, slots=True)
class ImportAction:
    """One import as the model builder made it. `source_id` names its file when it starts with 113."""

    id: str
    name: str
    type: str
    source_id: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "ImportAction":
        """From one item of `imports`."""
        return cls(
            id=data["id"],
            name=data["name"],
            type=data.get("importType", ""),
            source_id=data.get("importDataSourceId", ""),
        )

    @property
    def reads_a_file(self) -> bool:
        """Whether its source is an uploaded file, and not another module, list or model."""
        return self.source_id.startswith("113")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How an import's data source wants its file written. Lines are counted from 1."""

    headers: tuple[str, ...]
    encoding: str = "UTF-8"
    separator: str = ","
    delimiter: str = '"'
    decimal_separator: str = "."
    header_row: int = 1
    first_data_row: int = 2

    @classmethod
    def read(cls, source: Mapping[str, Any]) -> "FileFormat":
        """From `importMetadata.source`."""
        return cls(
            headers=tuple(source.get("headerNames", ())),
            encoding=source.get("textEncoding") or "UTF-8",
            separator=source.get("columnSeparator") or ",",
            delimiter=source.get("textDelimiter", '"'),
            decimal_separator=source.get("decimalSeparator") or ".",
            header_row=source.get("headerRow", 1),
            first_data_row=source.get("firstDataRow", 2),
        )


@dataclass(frozen=True, slots=True)
class NamedObject:
    """A list, module or file: id and name are all we need of it."""

    id: str
    name: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "NamedObject":
        """From one item of `lists`, `modules` or `files`."""
        return cls(id=data["id"], name=data.get("name", ""))


@dataclass(frozen=True, slots=True)
class View(NamedObject):
    """A view of a module: its default view has the module's id, a saved one is named `Module.View`."""

    module_id: str = ""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "View":
        """From one item of `views`."""
        return cls(id=data["id"], name=data.get("name", ""), module_id=data.get("moduleId", data["id"]))


@dataclass(frozen=True, slots=True)
class LineItem:
    """A line item of a module: its format (NUMBER, TEXT, BOOLEAN, DATE, ENTITY ...) and all dimensions."""

    id: str
    name: str
    format: str
    dimensions: tuple[NamedObject, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "LineItem":
        """From one item of `items`, asked for with `includeAll`."""
        return cls(
            id=data["id"],
            name=data["name"],
            format=data.get("format", ""),
            dimensions=tuple(NamedObject.read(dimension) for dimension in data.get("appliesTo") or ()),
        )


@dataclass(frozen=True, slots=True)
class Detail:
    """One message of a task result. `counts` holds the numbers of the flat `values` list."""

    type: str
    text: str
    counts: Mapping[str, int]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Detail":
        """`values` alternates key and value, all text, in no fixed order (vendors/anaplan.md section 7)."""
        values = [str(value) for value in data.get("values") or ()]
        pairs = zip(values[::2], values[1::2], strict=False)
        counts = {key: int(value) for key, value in pairs if value.isdecimal()}
        return cls(type=data.get("type", ""), text=data.get("localMessageText", ""), counts=counts)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task that ended says about itself. `successful` and `dump` may both be true.

    `name` is the object's, in the nested results of a process only.
    """

    successful: bool
    dump: bool
    object_id: str
    details: tuple[Detail, ...]
    name: str = ""
    nested: tuple["TaskResult", ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "TaskResult":
        """From `task.result`, or one of its `nestedResults`."""
        return cls(
            successful=bool(data.get("successful", False)),
            dump=bool(data.get("failureDumpAvailable", False)),
            object_id=str(data.get("objectId", "")),
            details=tuple(Detail.read(detail) for detail in data.get("details") or ()),
            name=str(data.get("objectName") or ""),
            nested=tuple(cls.read(nested) for nested in data.get("nestedResults") or ()),
        )

    def count(self, name: str) -> int | None:
        """The sum of a count over all messages; None when no message holds it."""
        found = [detail.counts[name] for detail in self.details if name in detail.counts]
        return sum(found) if found else None

    @property
    def words(self) -> str:
        """Anaplan's own words: the text of each message, or its type where it has no text."""
        return "; ".join(detail.text.strip() or detail.type for detail in self.details) or "no message"


@dataclass(frozen=True, slots=True)
class Task:
    """One run of an import, process or action. `created_at` is Anaplan's clock: milliseconds since 1970."""

    id: str
    state: str
    created_at: int
    result: TaskResult | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Task":
        """From `task`, one of `tasks`, or the bare `{"taskId": ...}` some documents show."""
        result = data.get("result")
        return cls(
            id=data["taskId"],
            state=data.get("taskState", "NOT_STARTED"),
            created_at=int(data.get("creationTime", 0)),
            result=TaskResult.read(result) if result else None,
        )

    @property
    def ended(self) -> bool:
        """COMPLETE and CANCELLED are the end. COMPLETE does not mean success."""
        return self.state in ENDED
