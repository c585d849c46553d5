"""Builds the data hub model from its declarations, plus the lists around it that no feed fills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.model import (
    TIME_ID,
    VERSIONS_ID,
    AnaplanList,
    DataSource,
    DeleteAction,
    ExportAction,
    Format,
    ImportAction,
    LineItem,
    Model,
    Module,
    Process,
    SavedView,
)
from mlc_sandbox.anaplan.periods import calendar

# Id prefixes by kind of object (vendors/anaplan.md section 1).
_PREFIX = {
    "list": 101,
    "module": 102,
    "version": 107,
    "import": 112,
    "file": 113,
    "export": 116,
    "action": 117,
    "process": 118,
    "view": 203,
    "line item": 206,
}

DELETE_LINE_ITEM = "Delete?"
CODE_LINE_ITEM = "Code"


@dataclass
class Ids:
    """Hands out ids: a prefix by kind and nine digits that count up."""

    used: dict[str, int] = field(default_factory=dict)

    def new(self, kind: str) -> str:
        """The next id of the kind."""
        number = self.used.get(kind, 0)
        self.used[kind] = number + 1
        return f"{_PREFIX[kind]}{number:09d}"


# The model calendar: so many years, of which two are past and one is to come.
YEARS, PAST_YEARS = 4, 2


def data_hub(year: int) -> Model:
    """The model every sandbox tenant starts with in some year: empty lists and modules, ready actions."""
    model, ids = Model(hub.MODEL_ID, hub.MODEL_NAME, hub.WORKSPACE_ID), Ids()
    model.versions = {ids.new("version"): name for name in ("Actual", "Budget", "Forecast")}
    model.periods = calendar(year - PAST_YEARS, YEARS)
    for feed in hub.FEEDS:
        _add_list(model, ids, feed)
    for feed in hub.FEEDS:
        _add_module(model, ids, feed)
        _add_imports(model, ids, feed)
    _add_companies(model, ids)
    for cube in (hub.BUDGET, hub.ACTUALS):
        _add_cube(model, ids, cube)
    return model


def _add_list(model: Model, ids: Ids, feed: hub.Feed) -> None:
    """Numbered: display names repeat between companies, and names in a list that is not numbered may not."""
    properties = {hub.DISPLAY_NAME: Format("TEXT")}
    made = AnaplanList(
        ids.new("list"),
        feed.list_name,
        numbered=True,
        properties=properties,
        display_property=hub.DISPLAY_NAME,
    )
    model.lists[made.id] = made


def _line_items(model: Model, ids: Ids, feed: hub.Feed) -> Iterator[LineItem]:
    yield LineItem(
        ids.new("line item"), CODE_LINE_ITEM, Format("TEXT"), formula=f"CODE(ITEM('{feed.list_name}'))"
    )
    for column in feed.columns:
        list_id = model.named("lists", column.list_name).id if column.list_name else None
        yield LineItem(ids.new("line item"), column.name, Format(column.kind, list_id))
    yield LineItem(ids.new("line item"), DELETE_LINE_ITEM, Format("BOOLEAN"))


def _add_module(model: Model, ids: Ids, feed: hub.Feed) -> None:
    by_list = model.named("lists", feed.list_name)
    module = Module(ids.new("module"), feed.module_name, (by_list.id,))
    module.line_items = {item.name: item for item in _line_items(model, ids, feed)}
    _add_views(model, ids, module, f"{feed.title} export")
    delete = DeleteAction(
        ids.new("action"), f"Delete from {feed.list_name}", by_list.id, module.id, DELETE_LINE_ITEM
    )
    model.actions[delete.id] = delete


def _add_views(model: Model, ids: Ids, module: Module, export_name: str, *, filled: bool = False) -> None:
    """The module with a saved view of all of it, or of the rows in which something stands, and its export."""
    view_id = ids.new("view")
    module.saved_views = {view_id: SavedView("Filled" if filled else "All", filled)}
    model.modules[module.id] = module
    export = ExportAction(ids.new("export"), export_name, view_id)
    model.exports[export.id] = export


def _add_imports(model: Model, ids: Ids, feed: hub.Feed) -> None:
    by_list, module = model.named("lists", feed.list_name), model.named("modules", feed.module_name)
    list_map = {hub.CODE_HEADER: "code", "name": f"property:{hub.DISPLAY_NAME}"}
    data_map = {hub.CODE_HEADER: f"dimension:{by_list.id}"} | {
        column.name: column.name for column in feed.columns
    }
    steps = (
        _add_import(model, ids, f"{feed.title} list", by_list.id, list_map),
        _add_import(model, ids, f"{feed.title} data", module.id, data_map),
    )
    # What docs/anaplan.md asks the builder for: the file's items are cleared first, others stay as they are.
    steps[1].clear = "items"
    _add_process(model, ids, f"{feed.title} load", *steps)


def _add_process(model: Model, ids: Ids, name: str, *steps: ImportAction) -> None:
    process = Process(ids.new("process"), name, tuple(step.id for step in steps))
    model.processes[process.id] = process


def _add_import(
    model: Model,
    ids: Ids,
    name: str,
    target_id: str,
    mapping: dict[str, str],
    *,
    prompts: tuple[str, ...] = (),
) -> ImportAction:
    """An import with a data source of its own, whose header is the mapped columns."""
    kind = "HIERARCHY_DATA" if target_id in model.lists else "MODULE_DATA"
    source = DataSource(ids.new("file"), f"{name}.csv", headers=tuple(mapping))
    action = ImportAction(ids.new("import"), name, kind, source.id, target_id, mapping, prompts=prompts)
    model.files[source.id] = source
    model.imports[action.id] = action
    return action


def _add_companies(model: Model, ids: Ids) -> None:
    """A list that is not numbered, with parent, properties and a subset: unlike the feeds."""
    groups = AnaplanList(ids.new("list"), "Company Groups")
    companies = AnaplanList(
        ids.new("list"),
        "Companies",
        parent_id=groups.id,
        properties={"Currency": Format("TEXT"), "Opened": Format("DATE"), "Share": Format("NUMBER")},
        subsets=("Active",),
        production_data=False,
    )
    model.lists |= {groups.id: groups, companies.id: companies}
    _add_import(model, ids, "Company Groups list", groups.id, {"code": "code", "name": "name"})
    mapping = {
        "code": "code",
        "name": "name",
        "group": "parent",
        "currency": "property:Currency",
        "opened": "property:Opened",
        "share": "property:Share",
    }
    _add_import(model, ids, "Companies list", companies.id, mapping)


def _add_cube(model: Model, ids: Ids, cube: hub.Cube) -> None:
    """Its import only updates the cells of its rows: to clear the mapped items of several dimensions would
    empty every combination of them.
    """
    dimensions = {
        column: TIME_ID if name == "Time" else model.named("lists", name).id
        for column, name in cube.by.items()
    }
    module = Module(ids.new("module"), cube.module_name, (*dimensions.values(), VERSIONS_ID))
    for name, formula in cube.formulas.items():
        module.line_items[name] = LineItem(ids.new("line item"), name, Format("TEXT"), formula=formula)
    for name in cube.numbers:
        module.line_items[name] = LineItem(ids.new("line item"), name, Format("NUMBER"))
    _add_views(model, ids, module, f"{cube.title} export", filled=True)
    mapping = {column: f"dimension:{key}" for column, key in dimensions.items()}
    step = _add_import(
        model,
        ids,
        f"{cube.title} data",
        module.id,
        mapping | {name: name for name in cube.numbers},
        prompts=("Version",),
    )
    _add_process(model, ids, f"{cube.title} load", step)
