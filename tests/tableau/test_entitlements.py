"""Entitlements name only users and groups that the site has; flows and tasks start after a change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlc_dagster.delivery import Quarantine, Row
from mlc_sandbox.server import Sandbox
from mlc_sandbox.tableau import World
from mlc_sandbox.tableau.store import User
from tests.tableau.site import Installation, invoice

NAME, CONTROLLER = "tableau/entitlements", "controller@nordfjell.example"


def entitlement(user: str | None = None, group: str | None = None) -> Row:
    code = f"NO01|{user}|{group}"
    payload: dict[str, Any] = {
        "code": code,
        "company": "NO01",
        "user_name": user,
        "group_name": group,
        "customer": None,
        "supplier": None,
    }
    return Row(code, code, code, payload)


def test_an_entitlement_of_an_unknown_user_or_group_is_refused_with_its_name(ours: Installation) -> None:
    known = [entitlement("Controller@nordfjell.example"), entitlement(None, "finance no")]
    report = ours.deliver(
        [*known, entitlement("nobody@nordfjell.example"), entitlement(None, "Nobodies")], name=NAME
    )
    assert (report.created, report.quarantined) == (2, 2)
    assert ours.shown(NAME) == ours.wanted(known, NAME)
    reasons = sorted(entry.reason for entry in Quarantine(ours.engine, ours.clock).open(NAME, "NO01"))
    assert reasons == ["the site has no group 'Nobodies'", "the site has no user 'nobody@nordfjell.example'"]


def waiting(ours: Installation) -> dict[str, str]:
    """The reasons of what stands in quarantine, by number."""
    entries = Quarantine(ours.engine, ours.clock).open(NAME, "NO01")
    return {f"{entry.id} {entry.key}": entry.reason for entry in entries}


def look(ours: Installation) -> None:
    ours.tableau.dangling("entitlements", ["NO01"], "a look")


def test_who_vanished_stays_in_quarantine_when_everything_is_mapped_again(
    ours: Installation, world: World
) -> None:
    rows = [entitlement(CONTROLLER), entitlement(None, "Finance NO")]
    ours.deliver(rows, name=NAME)
    user = removed(world, CONTROLLER)
    look(ours)
    told = waiting(ours)
    assert list(told.values()) == [f"the site has no user '{CONTROLLER}'"]
    assert ours.deliver(rows, name=NAME).unchanged == 2
    assert waiting(ours) == told
    look(ours)
    assert waiting(ours) == told, "it is the same entry, told once"
    world.site().users[user.id] = user
    look(ours)
    assert waiting(ours) == {}


def test_who_vanished_is_released_when_nothing_names_him_any_more(ours: Installation, world: World) -> None:
    rows = [entitlement(CONTROLLER), entitlement(None, "Finance NO")]
    ours.deliver(rows, name=NAME)
    removed(world, CONTROLLER)
    look(ours)
    ours.deliver([rows[1]], name=NAME, gone=[rows[0]])
    look(ours)
    assert waiting(ours) == {}


def test_a_look_does_not_release_the_new_version_of_a_row_that_was_refused(ours: Installation) -> None:
    row = entitlement(CONTROLLER)
    ours.deliver([row], name=NAME)
    ours.deliver([replace(row, payload={**row.payload, "user_name": "nobody"})], name=NAME)
    told = waiting(ours)
    assert list(told.values()) == ["the site has no user 'nobody'"]
    look(ours)
    assert waiting(ours) == told


def removed(world: World, name: str) -> User:
    """Take a user from the site."""
    user = next(user for user in world.site().users.values() if user.name == name)
    return world.site().users.pop(user.id)


def test_after_a_change_tasks_and_flows_start_and_once_only(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    site = sandbox.tableau.world.site()
    ours = install(
        refresh_tasks=tuple(site.tasks), run_flows=tuple(site.flows), destinations=("supplier_invoices",)
    )
    for _ in range(2):
        report = ours.deliver([invoice("1")])
        ours.tableau.delivered(report, last=True)
    assert sandbox.log.count("tableau", method="POST", match="runNow") == 1
    assert sandbox.log.count("tableau", method="POST", match="/flows/.*/run") == 1


def test_what_could_not_be_started_is_started_with_the_next_run(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    flows = tuple(sandbox.tableau.world.site().flows)
    ours = install(run_flows=flows, destinations=("supplier_invoices",))
    sandbox.faults.arm("tableau", "server_error", match="/flows/", status=503)
    for _ in range(2):
        ours.tableau.delivered(ours.deliver([invoice("1")]), last=True)
    assert sandbox.log.count("tableau", method="POST", match="/flows/.*/run") == 2


def test_people_start_tasks_and_flows_whenever_they_want_and_are_told_what_did_not_start(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    site = sandbox.tableau.world.site()
    task, flow = next(iter(site.tasks)), next(iter(site.flows))
    ours = install(refresh_tasks=(task,), run_flows=(flow,), destinations=("supplier_invoices",))
    assert not ours.tableau.refreshes.start()
    assert sandbox.log.count("tableau", method="POST", match="runNow") == 1
    sandbox.faults.arm("tableau", "server_error", match="/flows/", status=503)
    assert list(ours.tableau.refreshes.start()) == [f"Flow {flow}"]
