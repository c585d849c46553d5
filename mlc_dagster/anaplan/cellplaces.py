"""Where the cells of a row are: the module, its line items, and the item of each dimension they stand by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlc_dagster.anaplan.answers import LineItem, NamedObject
from mlc_dagster.anaplan.client.catalog import Catalog
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.preflight import PreflightFailed, named
from mlc_dagster.settings.anaplan import AnaplanSmallChanges

TIME_ID, VERSIONS_ID = "20000000003", "20000000020"


@dataclass(frozen=True, slots=True)
class CellPlaces:
    """A feed's module as pre-flight found it, with the line item of each column.

    by: the dimension whose items a column of the key names. fixed: the items of other dimensions, as the
    settings' `parameters`. item_list: the one whose items the rows are; None where rows are cells by other
    feeds' items. numbered: its items have codes and no names of their own.
    """

    module: NamedObject
    line_items: Mapping[str, LineItem]
    by: Mapping[str, NamedObject]
    fixed: Mapping[str, str]
    item_list: NamedObject | None = None
    numbered: bool = False

    @classmethod
    def find(
        cls, catalog: Catalog, feed: Feed, settings: AnaplanSmallChanges, parameters: Mapping[str, str]
    ) -> "CellPlaces":
        """Look everything up, and check that every cell can be addressed.

        Raises:
            PreflightFailed: the settings or the model must change.
            CallFailed: of the client.
        """
        module = named(catalog.modules(), settings.module, "module")
        line_items = _line_items(catalog, module, feed)
        if settings.list is None:
            by = _dimensions(module, line_items.values(), settings.by, feed.key)
            found = cls(module, line_items, by, parameters)
        else:
            by_list = named(catalog.lists(), settings.list, "list")
            numbered = catalog.is_numbered(by_list.id)
            if numbered and feed.item_name and not settings.name_property:
                raise PreflightFailed(
                    f"small_changes: {by_list.name!r} is a numbered list, whose items the imports name by "
                    f"{feed.item_name!r}. Name the property of its display name as `name_property`, or names "
                    f"would stay as they were."
                )
            found = cls(module, line_items, {feed.code_column: by_list}, parameters, by_list, numbered)
        for item in line_items.values():
            found.coordinates(item, dict.fromkeys(feed.key, ""))
        return found

    def coordinates(self, item: LineItem, place: Mapping[str, str]) -> list[dict[str, str]]:
        """Every dimension of a line item, as the cell API takes them (vendors/anaplan.md section 9).

        `place` is the row's key by column: an item of a list by its code, a month by its name.
        """
        columns = {dimension.id: column for column, dimension in self.by.items()}
        has = {dimension.id for dimension in item.dimensions}
        if lacking := [dimension.name for dimension in self.by.values() if dimension.id not in has]:
            raise PreflightFailed(
                f"small_changes: line item {item.name!r} of {self.module.name!r} does not have "
                f"{lacking[0]!r} as a dimension. Correct the settings."
            )
        return [
            {
                "dimensionId": dimension.id,
                _IDENTIFIER.get(dimension.id, "itemCode"): place[columns[dimension.id]],
            }
            if dimension.id in columns
            else {"dimensionId": dimension.id, "itemName": self._fixed(dimension)}
            for dimension in item.dimensions
        ]

    def _fixed(self, dimension: NamedObject) -> str:
        names = {dimension.name} | ({"Version"} if dimension.id == VERSIONS_ID else set())
        if found := [item for name, item in self.fixed.items() if name in names]:
            return found[0]
        raise PreflightFailed(
            f"small_changes: module {self.module.name!r} has the dimension {dimension.name!r}. Name its "
            f"item under `parameters`; else leave `small_changes` out."
        )


# Periods have names and no codes.
_IDENTIFIER = {TIME_ID: "itemName"}


def _line_items(catalog: Catalog, module: NamedObject, feed: Feed) -> dict[str, LineItem]:
    found = {item.name: item for item in catalog.line_items(module.id)}
    wanted = [name for name in feed.columns if name not in feed.key]
    if missing := [name for name in wanted if name not in found]:
        raise PreflightFailed(
            f"small_changes: module {module.name!r} has no line item {', '.join(missing)}. Line items "
            f"must have the names of the mapping's columns; else leave `small_changes` out."
        )
    return {name: found[name] for name in wanted}


def _dimensions(
    module: NamedObject, line_items: Iterable[LineItem], by: Mapping[str, str], key: tuple[str, ...]
) -> dict[str, NamedObject]:
    """The dimension of each column of the key, as `by` names it."""
    if set(by) != set(key):
        raise PreflightFailed(
            f"small_changes: the mapping's key is {', '.join(key)}, and `by` names {', '.join(by)}. Name the "
            f"module's dimension for each column of the key."
        )
    there = {dimension.name: dimension for item in line_items for dimension in item.dimensions}
    if missing := [name for name in by.values() if name not in there]:
        raise PreflightFailed(
            f"small_changes: module {module.name!r} has no dimension {', '.join(missing)}. It has "
            f"{', '.join(there)}: correct `by`."
        )
    return {column: there[name] for column, name in by.items()}
