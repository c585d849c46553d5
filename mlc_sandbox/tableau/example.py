"""What the site holds when it is new: role names and example addresses, no people."""

from __future__ import annotations

from mlc_sandbox.tableau.store import DataSource, Flow, Group, Project, Site, Task, User
from mlc_sandbox.tableau.world import World

DOMAIN = "nordfjell.example"
INTEGRATION = f"integration@{DOMAIN}"
PAT, SECOND_PAT = "erp-sync", "erp-sync-2"
PROJECT = "ERP"
EXTRACT, FLOW = "Exchange rates", "Supplier clean-up"
# The models an installation delivers, in the words of its own settings.
DESTINATIONS = (
    "suppliers",
    "customers",
    "gl_accounts",
    "dimension_values",
    "supplier_invoices",
    "supplier_invoice_lines",
    "supplier_payments",
    "purchase_orders",
    "purchase_receipts",
    "customer_invoices",
    "customer_credit_notes",
    "customer_payments",
    "gl_balances",
    "gl_journal_lines",
    "entitlements",
)

# address -> title, site role, groups
_USERS = {
    "integration": ("ERP integration", "SiteAdministratorCreator", ()),
    "controller": ("Finance controller", "Creator", ("Finance", "Finance NO", "Finance SE", "Finance DK")),
    "accountant.no": ("Accountant Norway", "Explorer", ("Finance", "Finance NO")),
    "accountant.se": ("Accountant Sweden", "Explorer", ("Finance", "Finance SE")),
    "accountant.dk": ("Accountant Denmark", "Explorer", ("Finance", "Finance DK")),
    "purchasing": ("Purchasing manager", "ExplorerCanPublish", ("Purchasing",)),
    "buyer.one": ("Buyer one", "Viewer", ("Purchasing",)),
    "buyer.two": ("Buyer two", "Viewer", ("Purchasing",)),
    "sales": ("Sales manager", "Explorer", ("Sales",)),
    "seller.north": ("Seller north", "Viewer", ("Sales",)),
    "seller.south": ("Seller south", "Viewer", ("Sales",)),
    "former": ("Former employee", "Unlicensed", ()),
}
_GROUPS = ("All Users", "Finance", "Finance NO", "Finance SE", "Finance DK", "Purchasing", "Sales")


def fill(world: World) -> None:
    """Two sites; on the first one users, groups, projects, an extract with a schedule, and a flow."""
    ours = Site(world.id("site erp"), "ERP Reporting", "erp")
    foreign = Site(world.id("site board"), "Board Reporting", "board")
    world.sites = {ours.id: ours, foreign.id: foreign}
    ours.groups = {world.id(f"group {name}"): Group(world.id(f"group {name}"), name) for name in _GROUPS}
    by_name = {group.name: group for group in ours.groups.values()}
    for address, (title, role, groups) in _USERS.items():
        user = User(world.id(f"user {address}"), f"{address}@{DOMAIN}", title, role)
        ours.users[user.id] = user
        for name in ("All Users", *groups):
            by_name[name].members.append(user.id)
    _content(world, ours)
    for name in (PAT, SECOND_PAT):
        world.login.add_pat(name, INTEGRATION, world.secret(name))
    world.login.passwords[INTEGRATION] = world.secret("password")


def _content(world: World, site: Site) -> None:
    now, owner = world.clock.wire(), world.id("user integration")
    for name, description in (("default", "The default project"), (PROJECT, "What the ERP delivers")):
        site.projects[world.id(f"project {name}")] = Project(
            world.id(f"project {name}"), name, owner, now, description=description
        )
    project = world.id("project default")
    extract = DataSource(
        world.id(EXTRACT), EXTRACT, project, owner, now, now, world.id(f"{EXTRACT} connection")
    )
    flow = Flow(world.id(FLOW), FLOW, project, owner, now)
    site.datasources[extract.id], site.flows[flow.id] = extract, flow
    days = [("weekDay", day) for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")]
    task = Task(world.id("task"), extract.id, "Daily", "02:00:00", [("hours", "24"), *days])
    site.tasks[task.id] = task
