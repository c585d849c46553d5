"""What Tableau needs once: the project, and that data sources of our names are ours. Shows its plan first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlc_dagster.delivery.memory import Memory
from mlc_dagster.tableau.client import TableauClient
from mlc_dagster.tableau.remembered import Source


@dataclass(frozen=True)
class Plan:
    """What would be done: in words; the project to make; the ids of data sources to take over, by title."""

    steps: tuple[str, ...]
    project: str = ""
    adopt: Mapping[str, str] | None = None


class Setup:
    """The set-up of one project. All methods raise transport's CallFailed."""

    def __init__(self, client: TableauClient, memory: Memory, project: str, titles: Sequence[str]) -> None:
        self._client, self._memory, self._project, self._titles = client, memory, project, titles

    def plan(self) -> Plan:
        """Look, and say what would be done."""
        project = self._client.project(self._project)
        if project is None:
            return Plan((f"create the project {self._project!r}",), project=self._project)
        strange: dict[str, str] = {}
        for title in self._titles:
            if not Source(self._memory, title).state.ours:
                found = self._client.datasource_named(title, project)
                strange |= {title: found} if found else {}
        steps = [
            f"take over the data source {title!r}: the next delivery replaces its rows" for title in strange
        ]
        return Plan(tuple(steps), adopt=strange)

    def apply(self, plan: Plan) -> None:
        """Do what a plan says. May be repeated after any failure."""
        if plan.project and self._client.project(plan.project) is None:
            self._client.create_project(plan.project)
        for title, found in (plan.adopt or {}).items():
            # Without a fingerprint, so the next delivery publishes it whole.
            Source(self._memory, title).save(ours=True, id=found)
