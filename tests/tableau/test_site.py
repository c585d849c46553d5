"""What becomes of our data on the site: failed refreshes, names that are gone, the end of our way in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlc_dagster.definitions import defs
from mlc_dagster.delivery import Row, deliver
from mlc_dagster.graph.tableau import JOB
from mlc_dagster.receiver import Signals
from mlc_dagster.tableau.webhooks import ABOUT, SOURCE
from mlc_dagster.tallies import ALL
from mlc_sandbox.tableau import World
from mlc_sandbox.tableau.actions import Rules
from tests.support.house import QUIET, House, open_house, running_sandbox
from tests.tableau.site import INVOICES, SUPPLIERS, TITLE, invoice, supplier

COMPANY, ENTITLEMENTS = "NO01", "tableau/entitlements"
DESTINATIONS = ("suppliers", "supplier_invoices", "entitlements")
ALL_GONE = {
    "action": "delete",
    "target-schema": "Extract",
    "target-table": "Extract",
    "condition": {"op": "eq", "target-col": "Company", "const": {"type": "string", "v": COMPANY}},
}
CONTROLLER, SALES = "controller@nordfjell.example", "Sales"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Any]]:
    folder: Path = tmp_path_factory.mktemp("site")
    with running_sandbox(seed=3, scale=0.05, companies=(COMPANY,)) as sandbox:
        sandbox.tableau.switches.update({"job_polls": 0})
        section = sandbox.tableau.config_section(sandbox.url)
        section["tableau"]["destinations"] = list(DESTINATIONS)
        with open_house(sandbox, folder, pairs=section) as house:
            send(house, SUPPLIERS, [supplier("50000"), supplier("50001")])
            send(house, INVOICES, [invoice("1")])
            send(house, ENTITLEMENTS, [entitled("50000", user=CONTROLLER), entitled("50001", group=SALES)])
            yield house, (sandbox.tableau.dump(), sandbox.clock.offset)


@pytest.fixture
def house(opened: tuple[House, Any]) -> House:
    """Everything is delivered, and nothing has failed."""
    house, (state, offset) = opened
    house.sandbox.clock.offset, house.sandbox.clock.advanced = offset, timedelta(0)
    house.sandbox.tableau.load(state)
    house.sandbox.faults.clear()
    house.sandbox.log.reset()
    return house


@pytest.fixture
def world(house: House) -> World:
    return house.sandbox.tableau.world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def entitled(number: str, user: str | None = None, group: str | None = None) -> Row:
    code = f"{COMPANY}|{user or group}|{number}"
    names = {"user_name": user, "group_name": group, "customer": None, "supplier": f"{COMPANY}|{number}"}
    return Row(code, "MAIN", code, {"code": code, "company": COMPANY, **names})


def send(house: House, name: str, rows: list[Row], gone: tuple[str, ...] = ()) -> None:
    report = deliver(
        house.suite().destination(name),
        COMPANY,
        rows,
        {*(row.source_key for row in rows), *gone},
        ledger=house.suite().ledger,
        run_id="run 1",
        fingerprint="f",
        clock=house.clock,
    )
    assert report.complete


def look(instance: dg.DagsterInstance, **tags: str) -> dict[str, Any]:
    """Run the job: what each check found."""
    job = defs().resolve_job_def(JOB)
    result = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False, tags=tags)
    assert result.success
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """The run the sensor asks for, or why it asks for none."""
    definitions = defs()
    sensor = next(each for each in definitions.sensors or () if each.name == JOB)
    resources = {"suite": definitions.resources["suite"]}  # type: ignore[index]
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        told = sensor(context)  # type: ignore[operator]
    return told if isinstance(told, dg.RunRequest) else str(told.skip_message)


def refresh(world: World, house: House, *, fails: bool) -> None:
    """The task of the extract runs."""
    if fails:
        house.sandbox.faults.arm("tableau", "job_ends", code=1, note="The login failed.")
    world.jobs.run_schedules()


def to_do(found: Any) -> str:
    return str(found.metadata["what_to_do"].value)


def test_where_all_is_well_every_check_passes(house: House, instance: dg.DagsterInstance) -> None:
    found = look(instance)
    assert {name: each.passed for name, each in found.items()} == {
        "access_token": True,
        "extract_refreshes": True,
        "names_exist": True,
    }


def test_the_calls_of_a_look_are_counted(house: House, instance: dg.DagsterInstance) -> None:
    look(instance)
    before = house.suite().tallies.all()["tableau/site", ALL]["calls"].count
    look(instance)
    assert house.suite().tallies.all()["tableau/site", ALL]["calls"].count > before > 0


def test_the_site_depends_on_our_data_sources_and_no_chain_runs_it(house: House) -> None:
    graph = house.definitions.resolve_asset_graph()
    assert {key.path[-1] for key in graph.get(dg.AssetKey(["tableau", "site"])).parent_keys} == set(
        DESTINATIONS
    )
    chain = dg.AssetSelection.groups("visma_tableau").upstream().resolve(graph)
    assert dg.AssetKey(["tableau", "site"]) not in chain


def test_a_task_that_failed_is_told_until_it_succeeds_without_any_webhook(
    house: House, world: World, instance: dg.DagsterInstance
) -> None:
    refresh(world, house, fails=True)
    found = look(instance)["extract_refreshes"]
    assert not found.passed
    assert found.description == "1 could not be refreshed. Exchange rates (The login failed)."
    assert "correct its connection" in to_do(found)
    house.sandbox.clock.advance(timedelta(days=3))
    assert "Exchange rates" in look(instance)["extract_refreshes"].description
    refresh(world, house, fails=False)
    assert look(instance)["extract_refreshes"].passed


def test_a_flow_that_failed_is_told_until_it_succeeds(
    house: House, world: World, instance: dg.DagsterInstance
) -> None:
    flow = world.id("Supplier clean-up")
    house.sandbox.faults.arm("tableau", "job_ends", code=1)
    world.jobs.run_flow(world.site(), flow)
    world.jobs.release()
    assert look(instance)["extract_refreshes"].description == "1 could not be refreshed. Supplier clean-up."
    house.sandbox.clock.advance(timedelta(seconds=2))
    world.jobs.run_flow(world.site(), flow)
    world.jobs.release()
    assert look(instance)["extract_refreshes"].passed


@pytest.mark.parametrize("touched", [False, True])
def test_of_a_data_source_of_ours_it_is_told_whether_it_still_equals_the_ledger(
    house: House, world: World, instance: dg.DagsterInstance, touched: bool
) -> None:
    source = world.datasource(TITLE)
    if touched:
        world.hyper.apply(world.files.path(source.file), None, [ALL_GONE], Rules())
    world.jobs.refresh(world.site(), source)
    world.jobs.release()
    found = look(instance)["extract_refreshes"]
    assert found.description.startswith(f"1 could not be refreshed. {TITLE} (The extract has no connection")
    assert ("its rows are those of the ledger" in found.description) != touched
    assert "off its refresh schedule" in to_do(found)


def test_a_site_that_cannot_be_asked_is_a_warning_that_says_so(
    house: House, instance: dg.DagsterInstance
) -> None:
    house.sandbox.faults.arm("tableau", "server_error", match="GET .*/tasks/", times=20, status=503)
    found = look(instance)["extract_refreshes"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "503" in found.description


def test_who_and_what_vanished_later_is_told_by_row_and_stands_in_quarantine_until_it_is_back(
    house: House, world: World, instance: dg.DagsterInstance
) -> None:
    site = world.site()
    user = next(user for user in site.users.values() if user.name == CONTROLLER)
    group = next(group for group in site.groups.values() if group.name == SALES)
    del site.users[user.id], site.groups[group.id]
    send(house, SUPPLIERS, [supplier("50000")], gone=("50001",))
    found = look(instance)["names_exist"]
    assert found.description.startswith("2 rows name what is gone; the first is ")
    waiting = {entry.key: entry.reason for entry in house.suite().quarantine.open(ENTITLEMENTS, COMPANY)}
    assert waiting == {
        f"NO01|{CONTROLLER}|50000": f"the site has no user '{CONTROLLER}'",
        "NO01|Sales|50001": "the site has no group 'Sales' and supplier 'NO01|50001' is not among suppliers "
        "any more",
    }
    site.users[user.id], site.groups[group.id] = user, group
    send(house, SUPPLIERS, [supplier("50000"), supplier("50001")])
    assert look(instance)["names_exist"].passed
    assert house.suite().quarantine.open(ENTITLEMENTS, COMPANY) == []


def test_an_access_token_that_ends_soon_is_a_warning_and_one_that_ended_an_error(
    house: House, instance: dg.DagsterInstance
) -> None:
    for days, severity in ((20, dg.AssetCheckSeverity.WARN), (-1, dg.AssetCheckSeverity.ERROR)):
        day = (house.clock.now() + timedelta(days=days)).date()
        house.set("pairs", "tableau", "auth", "ends", value=day)
        found = look(instance)["access_token"]
        assert (found.passed, found.severity) == (False, severity)
        assert found.description == f"Tableau's access token erp-sync ends on {day}."
        assert "Make a new access token" in to_do(found)
    house.set("pairs", "tableau", "auth", "ends", value=None)
    assert look(instance)["access_token"].passed


def test_the_sensor_looks_by_time_which_keeps_the_token_in_use(
    house: House, world: World, instance: dg.DagsterInstance
) -> None:
    assert isinstance(tick(instance), dg.RunRequest)
    look(instance)
    assert tick(instance) == "No webhook has called, and the next look is not due."
    for _ in range(3):
        # Rarer than the token may be idle.
        house.sandbox.clock.advance(timedelta(days=8))
        assert isinstance(tick(instance), dg.RunRequest)
        assert look(instance)["access_token"].passed
    assert world.login.pats["erp-sync"].used > house.sandbox.clock.now() - timedelta(days=1)


def test_a_signal_is_looked_at_once_and_not_before_its_run_was_started(
    house: House, instance: dg.DagsterInstance
) -> None:
    look(instance)
    signals = Signals(house.suite().engine, house.clock)
    signals.keep(SOURCE, ABOUT, b"a failed refresh")
    asked = tick(instance)
    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == tick(instance).run_key, "until it was started the same run is asked for"
    look(instance, **{"dagster/run_key": str(asked.run_key)})
    assert tick(instance) == "The signal's look was started."
    assert tick(instance) == "No webhook has called, and the next look is not due."


def test_before_anything_was_published_nobody_is_asked(
    house: House, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLC_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    assert tick(instance) == "Nothing was published yet."
    assert house.sandbox.log.calls("tableau") == []
