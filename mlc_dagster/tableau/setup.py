"""What Tableau needs once: the project, that data sources of our names are ours, and webhooks. Plan first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlc_dagster.delivery.memory import Memory
from mlc_dagster.tableau.client import TableauClient
from mlc_dagster.tableau.remembered import Source
from mlc_dagster.tableau.webhooks import HookPlan, Webhooks

NO_ADDRESS = (
    "no webhooks are made: mlc.yaml names no `receiver: url:` (docs/receiver.md); nothing depends on them"
)


@dataclass(frozen=True)
class Plan:
    """What would be done: the project to make, if any; the ids of data sources to take over, by title."""

    project: str = ""
    adopt: Mapping[str, str] = field(default_factory=dict)
    hooks: HookPlan = field(default_factory=HookPlan)

    @property
    def steps(self) -> list[str]:
        """In words."""
        steps = [f"create the project {self.project!r}"] if self.project else []
        for title in self.adopt:
            steps.append(f"take over the data source {title!r}: the next delivery replaces its rows")
        return [*steps, *self.hooks.steps]


class Setup:
    """The set-up of one project. All methods raise transport's CallFailed."""

    def __init__(
        self,
        client: TableauClient,
        memory: Memory,
        project: str,
        titles: Sequence[str],
        webhooks: Webhooks | None,
    ) -> None:
        """`webhooks`: None where Tableau has no address to reach us at."""
        self._client, self._memory, self._project, self._titles = client, memory, project, titles
        self._webhooks = webhooks

    def plan(self) -> Plan:
        """Look, and say what would be done."""
        hooks = self._webhooks.plan() if self._webhooks else HookPlan(unable=NO_ADDRESS)
        project = self._client.project(self._project)
        if project is None:
            return Plan(project=self._project, hooks=hooks)
        return Plan(adopt=self._strange(project), hooks=hooks)

    def apply(self, plan: Plan) -> list[str]:
        """Do what a plan says; what could not be done, in words. May be repeated after any failure."""
        if plan.project and self._client.project(plan.project) is None:
            self._client.create_project(plan.project)
        for title, found in plan.adopt.items():
            # Without a fingerprint, so the next delivery publishes it whole.
            Source(self._memory, title).save(ours=True, id=found)
        return self._webhooks.apply(plan.hooks) if self._webhooks and not plan.hooks.unable else []

    def _strange(self, project: str) -> dict[str, str]:
        """Data sources of our names that are not known to be ours."""
        strange: dict[str, str] = {}
        for title in self._titles:
            if not Source(self._memory, title).state.ours:
                found = self._client.datasource_named(title, project)
                strange |= {title: found} if found else {}
        return strange
