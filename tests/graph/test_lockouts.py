"""A vendor closes its window: what is done is kept, no call is made, no run is red, and the rest goes on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.finding import Kind
from mlc_dagster.graph.alerts import ReadTo, read_runs
from mlc_dagster.graph.automation import chain, polling_sensor, resume_sensor
from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key, range_tags
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import AGAIN, COMPANY_TAG, PAIR_TAG
from mlc_dagster.operations.sweeps import owed
from mlc_sandbox.core import Call
from tests.graph.conftest import MakeHouse
from tests.support.house import House
from tests.support.planning import expected

LOCKED_SECONDS = 90
INVOICES = "DAT01 Supplier Invoices"


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """It waits for no window at all."""
    return make_house(destinations=["suppliers", "supplier_invoices"], patience=0)


def lock_visma(house: House, match: str, *, after: int = 0) -> None:
    house.sandbox.faults.arm(
        "visma", "rate_limit_lockout", match=match, after=after, retry_after=LOCKED_SECONDS
    )


def resume(house: House, pair: str = "anaplan") -> dg.SensorResult | dg.SkipReason:
    """One tick of the sensor that goes on with interrupted work."""
    sensor = resume_sensor(pair, chain(pair) if pair != "visma" else dg.AssetSelection.groups(pair))
    suite = SuiteResource(settings_file=str(house.settings.file))
    with dg.build_sensor_context(instance=house.instance, resources={"suite": suite}) as context:
        return sensor(context)  # type: ignore[no-any-return]


def asked_to_run(tick: dg.SensorResult | dg.SkipReason) -> Sequence[dg.RunRequest]:
    assert isinstance(tick, dg.SensorResult), tick
    return tick.run_requests or []


def launch(house: House, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """What Dagster's daemon does with a run request."""
    graph = house.definitions.resolve_asset_graph()
    wanted = request.asset_selection or chain("anaplan").resolve(graph)
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return house.materialize(*(asset.to_user_string() for asset in wanted), tags=tags, **request.run_config)


def let_it_open(house: House) -> None:
    house.sandbox.clock.advance(timedelta(seconds=LOCKED_SECONDS + 1))


def refused(house: House) -> list[Call]:
    return [call for call in house.sandbox.log.calls() if call.status == 429]


def test_a_lockout_of_the_erp_ends_green_and_keeps_what_is_done(house: House) -> None:
    lock_visma(house, r"/supplier\?")
    assert house.run().success
    assert house.partitions("visma/supplier_invoices") == {key("NO01", day) for day in house.days}
    assert house.partitions("visma/suppliers") == set()
    assert house.partitions("anaplan/rows/supplier_invoices") == set()
    [waiting] = house.suite().deferrals.waiting("anaplan")
    assert (waiting.company, waiting.first_day, waiting.last_day) == ("NO01", house.days[0], house.today)


def test_no_call_is_made_while_the_window_is_closed(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    house.run()
    assert len(refused(house)) == 1, "the call that met the lockout"
    house.sandbox.log.reset()
    assert house.run().success
    assert house.sandbox.log.calls("visma", match="/api/") == []


def test_the_rest_goes_on_by_itself_when_the_window_opens(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    house.run()
    tick = resume(house)
    assert isinstance(tick, dg.SkipReason)
    assert "waits until" in str(tick.skip_message)
    let_it_open(house)
    [request] = asked_to_run(resume(house))
    assert request.tags == {
        **range_tags("NO01", house.days[0], house.today),
        PAIR_TAG: "anaplan",
        COMPANY_TAG: "NO01",
    }
    assert launch(house, request).success
    assert house.modules()[INVOICES] == expected(house.sandbox, ["NO01"])[INVOICES]
    tick = resume(house)
    assert isinstance(tick, dg.SkipReason)
    assert tick.skip_message == "Nothing waits."


def test_what_was_wholly_read_before_the_lockout_is_not_read_again(house: House) -> None:
    """Else a load of many windows would spend each on what the first ones brought, and never end."""
    assert house.read("suppliers").success
    lock_visma(house, "/supplierInvoice")
    house.run()
    let_it_open(house)
    house.sandbox.log.reset()
    [request] = asked_to_run(resume(house))
    assert launch(house, request).success
    asked = house.sandbox.log.calls("visma", match=r"/supplier\?")
    assert asked
    assert all("lastModifiedDateTime=" in call.path for call in asked), "only what changed since"


def test_days_wholly_read_that_a_person_wants_again_are_still_read_after_a_lockout(house: House) -> None:
    house.run()
    lock_visma(house, r"/supplier\?")
    assert house.materialize("visma/suppliers", tags=range_tags("NO01", *house.days[:2])).success
    let_it_open(house)
    [request] = asked_to_run(resume(house, "visma"))
    assert request.tags.items() >= AGAIN.items()


def test_a_replay_that_was_locked_out_goes_on_as_one(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    tags = {**range_tags("NO01", house.today, house.today), PAIR_TAG: "anaplan", **AGAIN}
    assert house.materialize("visma/supplier_invoices", tags=tags).success
    let_it_open(house)
    [request] = asked_to_run(resume(house))
    assert request.tags == {**tags, COMPANY_TAG: "NO01"}


def open_alerts(house: House) -> list[str]:
    """What failed runs people are told of, from all of Dagster's runs."""
    book = Book(house.suite().engine)
    read_runs(house.instance, book, house.settings, ReadTo(datetime(2000, 1, 1, tzinfo=UTC)))
    return [alert.finding.subject for alert in book.open() if alert.finding.kind is Kind.RUN]


def test_a_run_that_was_only_put_off_does_not_say_that_what_failed_before_is_well(house: House) -> None:
    house.sandbox.faults.arm("visma", "unauthorized", times=None, match="/supplierInvoice")
    assert not house.run().success
    assert open_alerts(house) == ["anaplan NO01"]
    house.sandbox.faults.clear()
    lock_visma(house, "/supplierInvoice")
    assert house.run().success
    assert open_alerts(house) == ["anaplan NO01"]
    let_it_open(house)
    assert house.run().success
    assert open_alerts(house) == []


WHOLE = {"visma__employees": {"config": {"whole": True, "allow_deletes": True}}}


def test_a_read_of_everything_goes_on_as_one(house: House) -> None:
    house.read("employees")
    [gone, *_] = house.sandbox.visma.table("NO01", "employee")
    house.sandbox.visma.delete("NO01", "employee", gone.key)
    house.clock.sleep(60)
    lock_visma(house, r"/employee\?")
    assert house.read("employees", ops=WHOLE).success
    let_it_open(house)
    lock_visma(house, r"/employee\?")
    [request] = asked_to_run(resume(house, "visma"))
    assert launch(house, request).success
    let_it_open(house)
    [again] = asked_to_run(resume(house, "visma"))
    assert again.asset_selection == [dg.AssetKey(["visma", "employees"])]
    assert again.run_config == {"ops": WHOLE}
    assert launch(house, again).success
    assert owed(house.suite(), "NO01") == {"employees": 1}, "the key sweep looks for it"
    assert isinstance(resume(house, "visma"), dg.SkipReason)


def test_a_read_of_everything_within_a_pairs_run_goes_on_beside_the_pairs_own(house: House) -> None:
    lock_visma(house, r"/supplier\?")
    config = {"visma__suppliers": {"config": {"whole": True}}}
    chained = ("visma/suppliers", "anaplan/rows/suppliers", "anaplan/suppliers")
    tags = range_tags("NO01", house.days[0], house.today)
    assert house.materialize(*chained, tags=tags, ops=config).success
    let_it_open(house)
    [own], [configured] = asked_to_run(resume(house)), asked_to_run(resume(house, "visma"))
    assert (own.asset_selection, own.run_config) == (None, {})
    assert configured.run_config == {"ops": config}


def test_a_company_whose_read_of_everything_is_done_is_not_read_again(house: House) -> None:
    tags = {RANGE_START: key("NO01", house.today), RANGE_END: key("SE01", house.today)}
    lock_visma(house, r"/employee\?", after=1)
    assert house.materialize("visma/employees", tags=tags, ops=WHOLE).success
    assert house.partitions("visma/employees") == {key("NO01", house.today)}
    assert [item.company for item in house.suite().deferrals.waiting()] == ["SE01"]


def test_a_daemon_that_dies_before_the_launch_asks_again(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    house.run()
    let_it_open(house)
    [first], [second] = asked_to_run(resume(house)), asked_to_run(resume(house))
    assert first.run_key == second.run_key


def test_work_that_meets_another_lockout_waits_for_that_one_too(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    house.run()
    let_it_open(house)
    [request] = asked_to_run(resume(house))
    lock_visma(house, "/supplierInvoice")
    assert launch(house, request).success
    assert isinstance(resume(house), dg.SkipReason)
    let_it_open(house)
    [again] = asked_to_run(resume(house))
    assert again.run_key != request.run_key
    assert launch(house, again).success
    assert house.modules()[INVOICES] == expected(house.sandbox, ["NO01"])[INVOICES]


def test_a_company_that_is_locked_out_keeps_no_other_from_its_work(house: House) -> None:
    lock_visma(house, "/supplier")
    tags = {RANGE_START: key("NO01", house.today), RANGE_END: key("SE01", house.today), PAIR_TAG: "anaplan"}
    assert house.materialize("visma/suppliers", "anaplan/rows/suppliers", tags=tags).success
    assert house.partitions("visma/suppliers") == {key("SE01", house.today)}
    assert house.partitions("anaplan/rows/suppliers") == set()
    waiting = house.suite().deferrals.waiting("anaplan")
    assert {item.company for item in waiting} == {"NO01", "SE01"}, "its further steps are still due"


def test_the_polling_sensor_waits_as_well(house: House) -> None:
    lock_visma(house, "/supplierInvoice")
    house.run()
    house.sandbox.log.reset()
    sensor = polling_sensor("anaplan", house.settings.pairs.on()["anaplan"])
    suite = SuiteResource(settings_file=str(house.settings.file))
    with dg.build_sensor_context(instance=house.instance, resources={"suite": suite}) as context:
        tick = sensor(context)
    requests = asked_to_run(tick)  # type: ignore[arg-type]
    assert [request.tags[COMPANY_TAG] for request in requests] == ["SE01"]
    assert house.sandbox.log.count() == 0


def test_a_lockout_of_anaplan_ends_green_and_goes_on_when_it_opens(make_house: MakeHouse) -> None:
    # Our own share of Anaplan's minute asks for waits of a second or two now and then; those are no lockout.
    house = make_house(destinations=["suppliers", "supplier_invoices"], patience=5)
    arm = house.sandbox.faults.arm
    arm("anaplan", "rate_limit", times=None, match="POST .*/imports/", after=2, retry_after=LOCKED_SECONDS)
    assert house.run().success
    assert len(house.modules()["DAT01 Suppliers"]) == len(house.sandbox.visma.truth("NO01", "supplier"))
    assert house.modules()[INVOICES] == {}
    assert house.partitions("anaplan/suppliers") == {key("NO01", day) for day in house.days}
    assert house.partitions("anaplan/supplier_invoices") == set()
    assert len(refused(house)) == 1
    house.sandbox.faults.clear()
    house.sandbox.log.reset()
    assert house.run().success
    assert house.sandbox.log.count("anaplan") == 0
    let_it_open(house)
    [request] = asked_to_run(resume(house))
    assert launch(house, request).success
    assert house.modules()[INVOICES] == expected(house.sandbox, ["NO01"])[INVOICES]
