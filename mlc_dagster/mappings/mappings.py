"""The mappings of one folder: loaded whole or refused whole, and read again when a file changes."""

import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from graphlib import CycleError
from pathlib import Path
from typing import TYPE_CHECKING

from mlc_dagster.lake import Lake
from mlc_dagster.mappings.contract import Sections
from mlc_dagster.mappings.errors import MappingErrors
from mlc_dagster.mappings.findings import check_infos
from mlc_dagster.mappings.loading import Loaded, display, load_folder, order, reference_problems, stamps
from mlc_dagster.mappings.model import CheckInfo, CheckResult, ColumnInfo, Mapped, Model
from mlc_dagster.mappings.running import Catalog, run
from mlc_dagster.mappings.sources import everything, fingerprint, latest_entities
from mlc_dagster.mappings.validation import COMPANY, validate
from mlc_dagster.problems import Problem

if TYPE_CHECKING:
    from mlc_dagster.mappings.lineage import Lineage


class Mappings:
    """All models of a folder. An edited file takes effect with the next call of `models` or `run`."""

    def __init__(self, folder: Path, catalog: Catalog, sections: Sections | None = None) -> None:
        self.folder, self._catalog, self._sections = folder, catalog, sections or {}
        self._lock = threading.Lock()
        self._stamps = stamps(folder)
        self._loaded = _load(folder, catalog, self._sections)
        self._version = 1

    @classmethod
    def load(cls, folder: Path, catalog: Catalog, sections: Sections | None = None) -> "Mappings":
        """Read, parse and compile everything. `sections` are what contracts say to their target, by target.

        Raises:
            MappingErrors: lists every mistake in every file, with line and remedy.
        """
        return cls(folder, catalog, sections)

    @property
    def version(self) -> int:
        """Rises when an edited file takes effect."""
        self._fresh()
        return self._version

    @property
    def models(self) -> Mapping[str, Model]:
        """The models by key, such as `anaplan/supplier_invoices`."""
        return self._fresh().models

    def run(
        self,
        model: str,
        lake: Lake,
        company: str,
        days: Sequence[date],
        *,
        also: Collection[str] = (),
        seen: str | None = None,
    ) -> Mapped:
        """The rows of the records that changed in some days, or are in `also`, as they are now.

        `seen` is the fingerprint of the last finished delivery. When it is not the current one, all records
        are evaluated: an edited model or lookup, or a joined entity that moved, must reach every row.

        Raises:
            MappingErrors: a file was edited and has mistakes now.
            MappingFailed: the SQL failed on a record.
            LakeBusy: other runs kept replacing the files.
        """
        found, loaded = self._find(model)
        return run(found, loaded, self._catalog, lake, company, days=days, also=also, seen=seen)

    def fingerprint(self, model: str, lake: Lake, company: str) -> str:
        """Of the model, contract, lookups, variables and joined entities: what `seen` is compared with."""
        return fingerprint(*self._find(model), lake, company)

    @property
    def digest(self) -> str:
        """Of all SQL, lookups and variables: what a test may look into besides the lake."""
        return everything(self._fresh())

    def inputs(self, model: str) -> list[str]:
        """Every entity a run reads: the model's own, and those its tests look into."""
        found, loaded = self._find(model)
        return list(dict.fromkeys([found.source, *latest_entities(found, loaded)]))

    def checks(self, model: str, mapped: Mapped) -> list[CheckResult]:
        """What the contract's tests found in a run of the model."""
        if mapped.model != model:
            raise ValueError(f"These are rows of {mapped.model}, not of {model}.")
        return list(mapped.checks)

    def check_names(self, model: str) -> list[CheckInfo]:
        """The checks of a model, known before any row is."""
        return check_infos(self._model(model))

    def columns(self, model: str) -> list[ColumnInfo]:
        """The columns with type and description, in contract order."""
        columns = self._model(model).contract.columns
        return [ColumnInfo(name, column.type, column.description) for name, column in columns.items()]

    def column_lineage(self, model: str) -> "Lineage":
        """For each column the (entity, field) pairs it is made of; empty for literals and lookups."""
        # Imported here, because only those who show lineage need the parser.
        from mlc_dagster.mappings.lineage import trace  # noqa: PLC0415

        found, loaded = self._find(model)
        entities = {name: list(self._catalog.schema(name).names) for name in found.entities}
        return trace(found.template.render(COMPANY, loaded.variables), entities, list(found.contract.columns))

    def compiled_sql(self, model: str) -> str:
        """The DuckDB SQL a model renders to; `COMPANY` stands where a run has the company's code."""
        found, loaded = self._find(model)
        return found.template.render(COMPANY, loaded.variables)

    def in_order(self, target: str) -> list[str]:
        """The keys of a target's models, each after those it names in `after`."""
        return order([model for model in self.models.values() if model.target == target])

    def _model(self, model: str) -> Model:
        return self._find(model)[0]

    def _find(self, model: str) -> tuple[Model, Loaded]:
        loaded = self._fresh()
        if model not in loaded.models:
            raise KeyError(f"There is no model {model}. Known: {', '.join(sorted(loaded.models))}.")
        return loaded.models[model], loaded

    def _fresh(self) -> Loaded:
        with self._lock:
            if (now := stamps(self.folder)) != self._stamps:
                self._loaded = _load(self.folder, self._catalog, self._sections)
                self._stamps = now
                self._version += 1
            return self._loaded


def _load(folder: Path, catalog: Catalog, sections: Sections) -> Loaded:
    loaded = load_folder(folder, sections)
    loaded.problems += reference_problems(loaded, catalog.entities())
    loaded.problems += validate(loaded, catalog)
    if not loaded.problems:
        try:
            order(list(loaded.models.values()))
        except CycleError as error:
            cycle = " -> ".join(error.args[1])
            message = f"`after` goes in a circle: {cycle}."
            loaded.problems.append(Problem(display(folder), 0, message, "Remove one of them."))
    if loaded.problems:
        raise MappingErrors(loaded.problems)
    return loaded
