"""Makes and attaches the custom fields the contracts declare, and tries `external`; shows its plan first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.asana.projects import Fields
from mlc_dagster.asana.shape import Declared
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.transport.errors import CallFailed, InDoubt

EXTERNAL = "external"
PROBE = "ERP sync: probe of external ids (to be deleted)"
# A new enum needs an option (section 3); values get theirs when they first come.
FIRST_OPTION = "(none)"


class SetupRefused(Exception):
    """Nothing was changed; the text says what a person has to decide."""


@dataclass(frozen=True)
class Plan:
    """What would be done: fields to make, fields of the workspace to use, and where fields are missing."""

    make: tuple[Declared, ...]
    adopt: tuple[tuple[str, str], ...]
    attach: tuple[tuple[str, str], ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The plan in words."""
        made = [f"make the {each.kind} field {each.name!r}" for each in self.make]
        used = [f"use the workspace's field {name!r}" for name, _ in self.adopt]
        by_project: dict[str, list[str]] = {}
        for name, project in self.attach:
            by_project.setdefault(project, []).append(repr(name))
        attached = [
            f"attach to project {project}: {', '.join(names)}" for project, names in by_project.items()
        ]
        return (*made, *used, *attached)


class Setup:
    """The custom fields of one workspace. `declared`: those each project needs, by its gid."""

    def __init__(
        self, client: AsanaClient, memory: Memory, declared: Sequence[tuple[str | None, Sequence[Declared]]]
    ) -> None:
        self._client, self._memory, self._declared = client, memory, declared
        self._fields = Fields(client, memory)

    def plan(self) -> Plan:
        """Look, and say what would be done.

        Raises SetupRefused: a field of the workspace has our name and another type.
        """
        ours = self._fields.gids
        there = {each["name"]: each for each in self._workspace_fields()}
        gids = {str(each["gid"]) for each in there.values()}
        known = {name: gid for name, gid in ours.items() if gid in gids}
        unknown = [each for each in _distinct(self._declared) if each.name not in known]
        adopt = [(each.name, str(there[each.name]["gid"])) for each in unknown if each.name in there]
        for each in unknown:
            if each.name in there and there[each.name]["resource_subtype"] != each.kind:
                kind = there[each.name]["resource_subtype"]
                raise SetupRefused(
                    f"The workspace has a field {each.name!r} of type {kind}, and {each.kind} is needed: a "
                    "field's type cannot change. Rename that field in Asana, or ours in the contract. "
                    "Nothing was changed."
                )
        make = [each for each in unknown if each.name not in there]
        return Plan(tuple(make), tuple(adopt), tuple(self._missing(known | dict(adopt))))

    def apply(self, plan: Plan) -> bool:
        """Do what a plan says; whether `external` works for us is returned and remembered.

        May be repeated after any failure: what is there is used, not made again.
        """
        for name, gid in plan.adopt:
            self._fields.remember(name, gid)
        for declared in plan.make:
            self._fields.remember(declared.name, self._make(declared))
        gids = self._fields.gids
        for name, project in plan.attach:
            self._fields.attach(project, gids[name])
        return self._probe()

    def _make(self, declared: Declared) -> str:
        body: dict[str, Any] = {
            "workspace": self._client.workspace,
            "name": declared.name,
            "resource_subtype": declared.kind,
            "description": declared.description,
        }
        if declared.kind == "number":
            body |= {"precision": declared.precision}
        if declared.kind == "enum":
            body |= {"enum_options": [{"name": FIRST_OPTION}]}
        try:
            return str(self._client.create("/custom_fields", body)["gid"])
        except InDoubt:
            # Names are unique in a workspace (section 3): if it was made it is found.
            made = [each for each in self._workspace_fields() if each["name"] == declared.name]
            if not made:
                raise
            return str(made[0]["gid"])

    def _missing(self, known: dict[str, str]) -> Iterable[tuple[str, str]]:
        for project, fields in self._declared:
            if project is not None:
                there = self._fields.attached(project)
                yield from ((each.name, project) for each in fields if known.get(each.name) not in there)

    def _workspace_fields(self) -> list[dict[str, Any]]:
        path = f"/workspaces/{self._client.workspace}/custom_fields"
        return list(self._client.pages(path, ["name", "resource_subtype"]))

    def _probe(self) -> bool:
        """Whether this token may keep our id on a task and find it by that (section 8: uncertain)."""
        task = self._client.create("/tasks", {"workspace": self._client.workspace, "name": PROBE})
        ours = f"erp.probe.{task['gid']}"
        try:
            self._client.put(f"/tasks/{task['gid']}", {"external": {"gid": ours}})
            found = self._client.find(f"/tasks/external:{ours}", ["gid"])
            works = found is not None and found["gid"] == task["gid"]
        except CallFailed:
            works = False
        finally:
            self._client.delete(f"/tasks/{task['gid']}")
        self._memory.change(EXTERNAL, lambda _: {"works": works})
        return works


def external_works(memory: Memory) -> bool:
    """Whether the set-up found that `external` works for us."""
    return bool(memory.read(EXTERNAL).value.get("works"))


def _distinct(declared: Sequence[tuple[str | None, Sequence[Declared]]]) -> list[Declared]:
    """Each field once; two models may share one when its type is the same."""
    found: dict[str, Declared] = {}
    for _, fields in declared:
        for each in fields:
            other = found.setdefault(each.name, each)
            if other.kind != each.kind:
                raise SetupRefused(
                    f"Two models want a field {each.name!r}, one as {other.kind} and one as {each.kind}. "
                    "Give one of them another name in its contract. Nothing was changed."
                )
    return list(found.values())
