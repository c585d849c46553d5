"""The organisation as a demo finds it: example members, teams, two empty projects, one template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlc_sandbox.asana.store import (
    Membership,
    Project,
    Section,
    Team,
    TeamMembership,
    Template,
    User,
    Variable,
    Workspace,
)

if TYPE_CHECKING:
    from mlc_sandbox.asana.world import World

DOMAIN = "nordfjell.example"
# Key to name and address: roles, not people.
MEMBERS = {
    "integration": ("ERP Integration", "erp-integration"),
    "clerk": ("AP Clerk", "ap-clerk"),
    "buyer_nordics": ("Buyer Nordics", "buyer-nordics"),
    "buyer_abroad": ("Buyer Abroad", "buyer-abroad"),
    "controller": ("Controller", "controller"),
    "project_lead": ("Project Lead", "project-lead"),
}
PROJECTS = {"purchase_orders": "Purchase orders", "supplier_invoices": "Supplier invoices"}
PRIVATE_PROJECT = "Board papers"
FIRST_SECTION = "Untitled section"


def found(world: World) -> dict[str, str]:
    """Fill an empty world; returns gids by key: members, `team`, `template` and the projects."""
    world.add(Workspace(world.new_gid(), "Nordfjell", (DOMAIN,)))
    gids = {key: _member(world, name, local) for key, (name, local) in MEMBERS.items()}
    finance = world.add(Team(world.new_gid(), "Finance", list(gids.values())))
    for user in finance.members:
        world.add(TeamMembership(world.new_gid(), finance.gid, user))
    for key, name in PROJECTS.items():
        gids[key] = new_project(world, name, gids["controller"], finance.gid).gid
    board = new_project(world, PRIVATE_PROJECT, gids["controller"], finance.gid, privacy="private")
    world.add(Membership(world.new_gid(), board.gid, gids["controller"], "admin"))
    template = Template(
        world.new_gid(),
        "Purchasing project",
        finance.gid,
        gids["controller"],
        {"Requested": ["Agree on the budget"], "Ordered": [], "Received": ["Close the project"]},
        [Variable("1", "Start date", "The first order is placed on it.")],
        [Variable("1", "Buyer")],
    )
    world.add(template)
    return gids | {"team": finance.gid, "template": template.gid}


def new_project(
    world: World, name: str, owner: str, team: str | None, *, privacy: str = "public_to_workspace"
) -> Project:
    """A project with its first section."""
    now = world.clock.now()
    project = world.add(Project(world.new_gid(), name, now, now, owner, team, privacy=privacy))
    section = world.add(Section(world.new_gid(), FIRST_SECTION, project.gid, now))
    project.sections.append(section.gid)
    return project


def _member(world: World, name: str, local: str) -> str:
    return world.add(User(world.new_gid(), name, f"{local}@{DOMAIN}")).gid
