"""Publishing a data source (section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlc_sandbox.tableau.actions import ActionFailed, Rules, Table
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.hyper import Unusable, unpack
from mlc_sandbox.tableau.store import DataSource, Site, luid

if TYPE_CHECKING:
    from mlc_sandbox.tableau.world import World


@dataclass(slots=True)
class Publication:
    """A file to publish: `mode` is create, overwrite or append."""

    name: str
    project: str
    owner: str
    kind: str  # hyper, parquet, tdsx
    mode: str
    file: str
    description: str = ""


def existing(site: Site, name: str, project: str) -> DataSource | None:
    """The data source of this name in the project; case does not matter."""
    return next(
        (
            found
            for found in site.datasources.values()
            if found.name.casefold() == name.casefold() and found.project == project
        ),
        None,
    )


def check(site: Site, wanted: Publication) -> None:
    """What can be refused at once. Raises ApiError 404004, 404005, 403007."""
    if wanted.project not in site.projects:
        raise ApiError(404005, f"Project {wanted.project} does not exist.")
    found = existing(site, wanted.name, wanted.project)
    if found is None and wanted.mode == "append":
        raise ApiError(404004, f"There is no data source '{wanted.name}' to append to.")
    if found is not None and wanted.mode == "create":
        raise ApiError(403007, f"A data source '{wanted.name}' exists and overwrite is not true.")


def publish(world: World, site: Site, wanted: Publication) -> DataSource:
    """Open the file and take it over. Raises ApiError, 400011 for a file that cannot be used."""
    check(site, wanted)
    found = existing(site, wanted.name, wanted.project)
    file = _usable(world, site, wanted, found)
    now = world.clock.wire()
    if found is not None and wanted.mode == "overwrite" and not world.switches["overwrite_keeps_id"]:
        world.remove(site, found)
        found = None
    if found is None:
        found = DataSource(luid(), wanted.name, wanted.project, wanted.owner, now, now, luid())
        found.hidden_lists = world.switches["index_lag_lists"]
        site.datasources[found.id] = found
        found.description, event = wanted.description, "created"
    else:
        world.files.drop(found.file)
        event = "updated"
    found.file, found.updated = file, now
    if world.switches["overwrite_describes"]:
        found.description = wanted.description or found.description
    world.note(found, wanted.mode)
    world.webhooks.fire(site, event, found)
    return found


def _usable(world: World, site: Site, wanted: Publication, found: DataSource | None) -> str:
    """The .hyper file that is published, under a name of its own. Raises ApiError 400011, 403008."""
    file = world.files.name()
    try:
        _unpack(world, wanted, file)
        _check_storage(world, site, file)
        tables = world.hyper.inspect(world.files.path(file))
        if found is not None and wanted.mode == "append":
            return _appended(world, found, file, tables)
        return world.files.move(file)
    except (Unusable, ActionFailed) as error:
        raise ApiError(400011, f"The file could not be published: {error}") from error
    finally:
        for spare in (wanted.file, file):
            world.files.drop(spare)


def _check_storage(world: World, site: Site, file: str) -> None:
    held = sum(world.size(source) for source in site.datasources.values())
    if held + world.files.path(file).stat().st_size > world.switches.limit("storage_mb") * 2**20:
        raise ApiError(403008, "The site's storage is used up.")


def _unpack(world: World, wanted: Publication, file: str) -> None:
    """Raises Unusable."""
    source, made = world.files.path(wanted.file), world.files.path(file)
    if wanted.kind == "hyper":
        source.rename(made)
    elif wanted.kind == "tdsx":
        unpack(source, made)
    else:
        world.hyper.from_parquet(source, made)


def _appended(world: World, found: DataSource, file: str, tables: list[Table]) -> str:
    """The old rows and the new ones. Both have one table, of the same columns. Raises Unusable."""
    if found.file is None:
        raise Unusable("The target is no extract.")
    here = world.hyper.inspect(world.files.path(found.file))
    if len(here) != 1 or len(tables) != 1:
        raise Unusable("Extracts with several tables cannot be appended to.")
    if dict(here[0].columns) != dict(tables[0].columns):
        raise Unusable("The schemas do not match.")
    grown = world.files.copy(found.file)
    names = {"source-schema": tables[0].schema, "source-table": tables[0].name}
    step = {"action": "insert", "target-schema": here[0].schema, "target-table": here[0].name} | names
    try:
        world.hyper.apply(world.files.path(grown), world.files.path(file), [step], Rules())
    except ActionFailed:
        world.files.drop(grown)
        raise
    return grown
