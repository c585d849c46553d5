"""Entitlements name only users and groups that the site has; flows and tasks start after a change."""

from collections.abc import Callable
from typing import Any

from mlc_dagster.delivery import Quarantine, Row
from mlc_sandbox.server import Sandbox
from tests.tableau.site import Installation, invoice

NAME = "tableau/entitlements"


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


def test_after_a_change_tasks_and_flows_start_and_once_only(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    site = sandbox.tableau.world.site()
    ours = install(
        refresh_tasks=tuple(site.tasks), run_flows=tuple(site.flows), destinations=("supplier_invoices",)
    )
    for _ in range(2):
        report = ours.deliver([invoice("1")])
        ours.tableau.delivered("supplier_invoices", report)
    assert sandbox.log.count("tableau", method="POST", match="runNow") == 1
    assert sandbox.log.count("tableau", method="POST", match="/flows/.*/run") == 1


def test_what_could_not_be_started_is_started_with_the_next_run(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    flows = tuple(sandbox.tableau.world.site().flows)
    ours = install(run_flows=flows, destinations=("supplier_invoices",))
    sandbox.faults.arm("tableau", "server_error", match="/flows/", status=503)
    for _ in range(2):
        ours.tableau.delivered("supplier_invoices", ours.deliver([invoice("1")]))
    assert sandbox.log.count("tableau", method="POST", match="/flows/.*/run") == 2
