"""Creates the dataset once, and adds to it what the contracts have gained; shows its plan first.

Creation is the fragile step: names are not unique, a lost answer leaves the question whether there is one,
and after 31 Oct 2027 there will be no new ones (vendors/powerbi.md sections 3 and 14).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_dagster.powerbi.client import PowerBiClient, QueryRefused
from mlc_dagster.powerbi.dax import CONTROL
from mlc_dagster.powerbi.remembered import Dataset, Table
from mlc_dagster.powerbi.schema import added, fixed, hashes, links
from mlc_dagster.powerbi.star import Star
from mlc_dagster.transport.errors import Again, InDoubt
from mlc_dagster.transport.session import exact_json

# After a creation nobody answered, the dataset is looked for this long before another is made.
PATIENCE, POLL_SECONDS = timedelta(minutes=5), 10.0
PROBE = f"EVALUATE ROW ( \"rows\", COUNTROWS ( '{CONTROL}' ) + 0 )"


class SetupRefused(Exception):
    """Nothing was changed; the text says what a person has to decide."""


@dataclass(frozen=True)
class Plan:
    """What would be done: create or adopt the dataset, or the tables to declare anew."""

    steps: tuple[str, ...]
    adopt: str = ""
    put: tuple[str, ...] = ()


class Setup:
    """The set-up of one dataset by name."""

    def __init__(self, client: PowerBiClient, dataset: Dataset, star: Star, name: str) -> None:
        self._client, self._dataset, self._star, self._name = client, dataset, star, name

    def plan(self, *, adopt: str = "") -> Plan:
        """Look, and say what would be done. `adopt`: the id of a dataset to use in place of a new one.

        Raises:
            SetupRefused: what the contracts ask for cannot be done to the dataset that exists.
        """
        there = self._client.datasets()
        if self._dataset.id:
            return self._changes([str(found["id"]) for found in there])
        named = [
            str(found["id"])
            for found in there
            if found["name"] == self._name and found.get("addRowsAPIEnabled", True)
        ]
        if adopt:
            named = [adopt]
        elif named and self._dataset.creating_since is None:
            raise SetupRefused(
                f"The workspace has a push dataset called {self._name!r} already, not known to be ours: "
                f"{', '.join(named)}. Use it with --adopt ID, or give another name in mlc.yaml. "
                "Nothing was changed."
            )
        if len(named) > 1:
            raise SetupRefused(
                f"There are {len(named)} datasets called {self._name!r}: {', '.join(named)}. Delete those "
                "that are empty in Power BI, or name the one to use with --adopt ID. Nothing was changed."
            )
        if named:
            self._same_tables(named[0])
            return Plan((f"use dataset {named[0]}, which has our tables",), adopt=named[0])
        star = self._star
        counts = {"tables": star.tables, "relationships": star.relationships, "measures": star.measures}
        size = ", ".join(f"{len(parts)} {what}" for what, parts in counts.items())
        return Plan((f"create dataset {self._name!r}: {size}",))

    def apply(self, plan: Plan) -> str:
        """Do what a plan says and return the dataset's id. May be repeated after any failure.

        Raises:
            SetupRefused: the creation was not answered and the dataset does not show yet.
        """
        if not self._dataset.id:
            dataset = plan.adopt or self._create()
            self._dataset.save(id=dataset, creating_since=None, **self._schema())
        bodies = {table.name: table.body() for table in self._star.tables}
        for name in plan.put:
            self._client.put_table(self._dataset.id, bodies[name])
        if CONTROL in plan.put:
            self._switch_again()
        self._dataset.save(queries=self._answers_queries(), **self._schema())
        return self._dataset.id

    def _changes(self, there: Sequence[str]) -> Plan:
        if self._dataset.id not in there:
            raise SetupRefused(
                f"The workspace does not show dataset {self._dataset.id}. Check the workspace and its role; "
                "if it was deleted in Power BI, give another name in mlc.yaml: all is sent again then."
            )
        refused, steps, put = [], [], []
        for table in self._star.tables:
            created = self._dataset.tables.get(table.name)
            if created is None:
                refused.append(f"Table {table.name!r} is new, and a dataset takes no more tables.")
                continue
            refused += fixed(table, created)
            if new := added(table, created):
                steps.append(f"add {', '.join(new)} to {table.name!r}")
                put.append(table.name)
        if differing := sorted(set(links(self._star)) ^ set(self._dataset.relationships)):
            refused.append(f"Relationships are fixed at creation: {', '.join(differing)}.")
        if refused:
            raise SetupRefused(
                "The dataset cannot become what the contracts say. "
                + " ".join(refused)
                + " Take it back, or give another dataset name in mlc.yaml. Nothing was changed."
            )
        wanted, known = hashes(self._star), self._dataset.measures
        changed = sorted(name for name in wanted.keys() | known.keys() if wanted.get(name) != known.get(name))
        if changed:
            steps.append(f"declare measures anew: {', '.join(changed)}")
            put.append(CONTROL)
        return Plan(tuple(steps), put=tuple(put))

    def _create(self) -> str:
        """Create it, or find what a former creation left. The note is on disk before the call."""
        now = self._client.clock.now()
        begun = self._dataset.creating_since
        if begun is not None and (found := self._find(until=begun + PATIENCE)):
            return found
        self._dataset.save(creating_since=now.isoformat())
        try:
            created = self._client.create(self._star.body(self._name))
            why = "Power BI answered without an id."
        except InDoubt as doubt:
            created, why = "", str(doubt)
        if not created and not (created := self._find(until=now + PATIENCE)):
            raise SetupRefused(f"{why} No dataset {self._name!r} shows yet. Run it again later.")
        return created

    def _find(self, until: datetime) -> str:
        """The id of the dataset by its name, looked for until then; empty when it does not show."""
        clock = self._client.clock
        while True:
            named = [str(found["id"]) for found in self._client.datasets() if found["name"] == self._name]
            if named or clock.now() >= until:
                return next(iter(named), "")
            clock.sleep(POLL_SECONDS)

    def _same_tables(self, dataset: str) -> None:
        there = {str(table["name"]) for table in self._client.tables(dataset)}
        wanted = {table.name for table in self._star.tables}
        if there != wanted:
            raise SetupRefused(
                f"Dataset {dataset} has other tables than the contracts: "
                f"{', '.join(sorted(there ^ wanted))}. Nothing was changed."
            )

    def _switch_again(self) -> None:
        """After a PUT nothing promises that the control rows are still there: the newest of each once more.

        It needs no lease: a delivery that switches meanwhile posts a row of a higher seq, or this very one.
        """
        titles = [shape.title for shape in self._star.shapes.values()]
        rows = [
            {"entity": title, **switch}
            for title in titles
            if (switch := Table(self._dataset.memory, title).state.switch)["slot"]
        ]
        if rows:
            self._client.post_rows(self._dataset.id, CONTROL, exact_json({"rows": rows}).encode())

    def _answers_queries(self) -> bool:
        """Whether executeQueries works on this dataset for us: not certain for push datasets (section 11)."""
        try:
            self._client.query(self._dataset.id, PROBE)
        except (QueryRefused, Again):
            return False
        return True

    def _schema(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "tables": {table.name: table.types for table in self._star.tables},
            "measures": hashes(self._star),
            "relationships": links(self._star),
        }
