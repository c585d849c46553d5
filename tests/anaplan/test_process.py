"""Both imports inside one process: one task, a verdict for each import, and no row counted twice."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Op
from mlc_sandbox.anaplan.build import Ids, _add_import
from mlc_sandbox.anaplan.model import ImportAction
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import INVOICES, PROCESS, invoice_feed
from tests.anaplan.rows import LIST, MODULE, Books, arrived, batch, change

Connect = Callable[..., AnaplanClient]
LOAD = "Supplier Invoices load"


@pytest.fixture
def invoices(client: AnaplanClient) -> AnaplanFeed:
    return invoice_feed(client, **PROCESS)


def starts(sandbox: Sandbox) -> list[str]:
    calls = sandbox.log.calls("anaplan", method="POST", match="/tasks")
    return [call.path.split("/")[-3] for call in calls]


def add_step(world: World, action_id: str, at: int | None = None) -> None:
    """What a builder adds to the process, at its end or at a place."""
    process = world.model.named("processes", LOAD)
    steps = list(process.steps)
    steps.insert(len(steps) if at is None else at, action_id)
    process.steps = tuple(steps)


def new_import(world: World, name: str, target: str, source: ImportAction | None = None) -> ImportAction:
    """A further import of the builder's; with `source` it reads that import's file."""
    ids = Ids({"file": 900, "import": 900})
    kind = "modules" if target == MODULE else "lists"
    made = _add_import(world.model, ids, name, world.model.named(kind, target).id, {"code": "code"})
    made.source_id = source.source_id if source else made.source_id
    return made


def test_a_load_arrives_by_one_task(invoices: AnaplanFeed, world: World, sandbox: Sandbox) -> None:
    changes = [change("1001"), change("1002", amount=Decimal("999999999999.99"))]
    assert invoices.preflight(changes) == {}
    outcome = invoices.send(batch(*changes))
    assert (outcome.refused, outcome.partial) == ({}, {})
    assert world.module_rows(MODULE) == {c.row.key: arrived(c.row.payload) for c in changes}
    assert set(world.list_items(LIST)) == {c.row.key for c in changes}
    assert starts(sandbox) == ["processes"]


def test_the_audit_trail_names_the_task_and_the_counts_of_each_import(
    invoices: AnaplanFeed, world: World
) -> None:
    detail = invoices.send(batch(change("1001"), change("1002", supplier="NO01|nobody"))).detail
    assert detail == {
        "process task": next(iter(world.tasks.tasks)),
        "list rows": 2,
        "list created": 2,
        "data rows": 2,
        "data updated": 1,
        "data rejected": 1,
    }


def test_a_row_the_data_import_refuses_keeps_its_words_and_names_its_item(invoices: AnaplanFeed) -> None:
    outcome = invoices.send(batch(change("1001"), change("1002", supplier="NO01|nobody")))
    assert "Item not located in Suppliers list" in outcome.refused["NO01|Invoice|1002"]
    assert outcome.partial == {"NO01|Invoice|1002": {"code": "NO01|Invoice|1002"}}


def test_a_row_with_a_warning_is_not_delivered(invoices: AnaplanFeed, world: World) -> None:
    world.switches["bad_cell"] = "warn"
    outcome = invoices.send(batch(change("1001", supplier="NO01|nobody"), change("1002")))
    assert list(outcome.refused) == ["NO01|Invoice|1001"]


def test_rows_ignored_without_a_dump_leave_no_row_delivered(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm("anaplan", "ignore_rows", match="Supplier Invoices data", matching="1002")
    with pytest.raises(errors.NotLanded, match="left out 1 of 2 rows"):
        invoices.send(batch(change("1001"), change("1002")))


def test_a_row_both_imports_refuse_is_refused_once_in_the_lists_words(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    sandbox.faults.arm(
        "anaplan", "reject_rows", match="Invoices list", matching="1002", text="Not in this list"
    )
    outcome = invoices.send(batch(change("1001"), change("1002")))
    assert dict(outcome.refused) == {"NO01|Invoice|1002": "Not in this list"}
    assert outcome.partial == {}
    assert set(world.module_rows(MODULE)) == {"NO01|Invoice|1001"}


def test_dumps_of_both_imports_are_kept_with_the_batch(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    books = Books()
    sandbox.faults.arm("anaplan", "reject_rows", match="Invoices list", matching="1002")
    invoices.send(books.batch([change("1001", supplier="NO01|nobody"), change("1002")]))
    dumps = books.seen[-1]["process"]["dumps"]
    assert "1002" in dumps["list"]
    assert "NO01|nobody" in dumps["data"]


@pytest.mark.parametrize("stops", [True, False])
def test_a_list_import_that_fails_whole_leaves_no_row_delivered(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, stops: bool
) -> None:
    world.switches["process_stops_at_failure"] = stops
    sandbox.faults.arm("anaplan", "import_fails_whole", match="Supplier Invoices list", text="Oops")
    with pytest.raises(
        errors.NotLanded, match=f"process '{LOAD}', task [0-9A-F]+: Supplier Invoices list: Oops"
    ):
        invoices.send(batch(change("1001")))
    assert invoices.send(batch(change("1001"))).refused == {}


def test_an_import_the_process_never_came_to_has_loaded_nothing(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    """A step before ours fails, and the process stops there."""
    add_step(world, _other_module(world).id, at=1)
    with pytest.raises(errors.NotLanded, match="the process ended before this import ran"):
        invoices.send(batch(change("1001")))
    assert world.module_rows(MODULE) == {}


def test_a_later_step_that_fails_is_no_success(sandbox: Sandbox, invoices: AnaplanFeed, world: World) -> None:
    add_step(world, _other_module(world).id)
    with pytest.raises(errors.NotLanded, match=r"Accounts from elsewhere: .*no longer available") as failed:
        invoices.send(batch(change("1001")))
    assert list(failed.value.partial) == ["NO01|Invoice|1001"]


def _other_module(world: World) -> ImportAction:
    """An import from another module: the sandbox cannot run one, so it fails as one whose source is gone."""
    made = new_import(world, "Accounts from elsewhere", "GL Accounts")
    world.model.files["102000000001"] = world.model.files[made.source_id]
    made.source_id = "102000000001"
    return made


def test_a_failure_only_the_builder_can_heal_stops(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm(
        "anaplan", "import_fails_whole", match="Supplier Invoices data", type="moduleImportNoWriteAccess"
    )
    with pytest.raises(errors.Stop, match="write access to the module"):
        invoices.send(batch(change("1001")))


def test_a_cancelled_process_goes_again_with_the_next_run(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    sandbox.faults.arm("anaplan", "task_cancelled", match=LOAD)
    with pytest.raises(errors.NotLanded, match="was cancelled in Anaplan"):
        invoices.send(batch(change("1001")))
    assert world.module_rows(MODULE) == {}


def test_a_start_whose_answer_is_lost_is_adopted(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks")
    assert invoices.send(batch(change("1001"))).refused == {}
    assert [run.import_name for run in world.history] == ["Supplier Invoices list", "Supplier Invoices data"]


def test_codes_that_may_be_equal_to_anaplan_are_refused_before_anything_is_sent(
    invoices: AnaplanFeed, world: World
) -> None:
    """The data import would add up what the list import refused."""
    world.switches["code_matching"] = "folded"
    changes = [change("1a", amount=Decimal(5)), change("1A", amount=Decimal(7)), change("2")]
    unfit = invoices.preflight(changes)
    assert set(unfit) == {"NO01|Invoice|1a", "NO01|Invoice|1A"}
    assert "may be one code to Anaplan" in unfit["NO01|Invoice|1A"]


def test_a_row_one_of_the_files_cannot_hold_is_left_out_of_both_as_far_as_it_goes(
    invoices: AnaplanFeed, world: World
) -> None:
    for part in ("list", "data"):
        world.model.files[world.import_named(f"Supplier Invoices {part}").source_id].encoding = "ISO-8859-1"
    outcome = invoices.send(batch(change("1001"), change("1002", description="Łódź")))
    assert "does not exist in ISO-8859-1" in outcome.refused["NO01|Invoice|1002"]
    assert set(world.module_rows(MODULE)) == {"NO01|Invoice|1001"}
    only = invoices.send(batch(change("1003", description="Łódź")))
    assert list(only.refused) == ["NO01|Invoice|1003"]
    assert len(world.tasks.tasks) == 1


def test_a_delete_step_and_an_export_in_the_process_are_welcome(invoices: AnaplanFeed, world: World) -> None:
    add_step(world, world.model.named("actions", "Delete from #Supplier Invoices").id)
    add_step(world, world.model.named("exports", "Supplier Invoices export").id)
    assert invoices.preflight([change("1001")]) == {}
    assert invoices.send(batch(change("1001"))).refused == {}


def test_an_unknown_process_is_explained(client: AnaplanClient) -> None:
    with pytest.raises(errors.Stop, match="has no process 'Nightly'"):
        invoice_feed(client, process="Nightly").preflight([change("1001")])


@pytest.mark.parametrize("order", ["reversed", "without the module", "a further file", "one file for both"])
def test_a_process_that_does_not_fit_stops_before_anything_is_sent(
    invoices: AnaplanFeed, world: World, sandbox: Sandbox, order: str
) -> None:
    process = world.model.named("processes", LOAD)
    listed, loaded = (world.import_named(f"Supplier Invoices {part}") for part in ("list", "data"))
    if order == "reversed":
        process.steps = process.steps[::-1]
    elif order == "without the module":
        process.steps = process.steps[:1]
    elif order == "a further file":
        add_step(world, new_import(world, "Leftovers", LIST).id)
    else:
        loaded.source_id = listed.source_id
    words = "read one file" if order == "one file for both" else "at most one list import, then one module"
    with pytest.raises(errors.Stop, match=words):
        invoices.preflight([change("1001", Op.UPDATE)])
    assert sandbox.log.count("anaplan", match="/chunks/|/tasks") == 0


def test_a_header_that_differs_is_described(invoices: AnaplanFeed, world: World) -> None:
    source = world.model.files[world.import_named("Supplier Invoices data").source_id]
    source.headers = INVOICES.headers[:-1]
    with pytest.raises(errors.Stop, match="the import lacks description"):
        invoices.preflight([change("1001")])
