"""Small changes by the transactional API: the same model as by imports, which step in where it is unclear."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Op
from mlc_dagster.transport.errors import Closed
from mlc_sandbox.anaplan.model import Module
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import PROCESS, SMALL, invoice_feed
from tests.anaplan.rows import LIST, MODULE, Books, arrived, batch, change
from tests.transport.clocks import ManualClock

Connect = Callable[..., AnaplanClient]


@pytest.fixture
def invoices(client: AnaplanClient) -> AnaplanFeed:
    return invoice_feed(client, **SMALL)


def module(world: World) -> Module:
    found: Module = world.model.named("modules", MODULE)
    return found


def content(world: World) -> tuple[dict[str, Any], dict[str, str]]:
    return world.module_rows(MODULE), {code: item.text for code, item in world.list_items(LIST).items()}


def writes(sandbox: Sandbox) -> list[str]:
    """The calls that changed something, without ids."""
    calls = sandbox.log.calls("anaplan", match="/2/0/")
    return [
        f"{call.method} {call.path.rsplit('/', 1)[-1].partition('?')[0]}"
        for call in calls
        if call.method != "GET" and ("/lists/" in call.path or "/data" in call.path)
    ]


def test_new_rows_are_three_calls_and_no_task(sandbox: Sandbox, invoices: AnaplanFeed, world: World) -> None:
    changes = [change("1001"), change("1002", amount=Decimal("999999999999.99"), balance=Decimal("1E+3"))]
    assert invoices.preflight(changes) == {}
    outcome = invoices.send(batch(*changes))
    assert outcome.refused == {}
    assert content(world)[0] == {c.row.key: arrived(c.row.payload) for c in changes}
    assert content(world)[1] == {"NO01|Invoice|1001": "1001", "NO01|Invoice|1002": "1002"}
    assert writes(sandbox) == ["PUT items", "POST items", "POST data"]
    assert (world.tasks.tasks, sandbox.log.count("anaplan", match="/files")) == ({}, 0)


def test_changed_rows_are_two_calls(sandbox: Sandbox, invoices: AnaplanFeed, world: World) -> None:
    invoices.send(batch(change("1001")))
    sandbox.log.reset()
    outcome = invoices.send(batch(change("1001", Op.UPDATE, status="Closed", reference_number="1001-B")))
    assert content(world)[1] == {"NO01|Invoice|1001": "1001-B"}
    assert content(world)[0]["NO01|Invoice|1001"]["status"] == "Closed"
    assert writes(sandbox) == ["PUT items", "POST data"]
    assert outcome.detail == {"items updated": 1, "items added": 0, "items deleted": 0, "cells written": 15}


VARIED = [
    change("1001", supplier_name=None, description="Zeile\u2028zwei", amount=Decimal("-0.00")),
    change("1002", vat_amount=None, due_date=None, balance=Decimal("1234567890.123456789")),
    change("1003", supplier_reference="", description='say "hi"; ÆØÅ 😀', amount=Decimal("1E-9")),
]
AGAIN = [
    change("1001", Op.UPDATE, status=None, amount=None),
    change("1002", Op.UPDATE, due_date=None, supplier_reference=None),
    change("1003", Op.DELETE, status="Deleted", amount=0),
]


def test_both_ways_leave_the_same_model_whatever_the_values(
    client: AnaplanClient, sandbox: Sandbox, world: World
) -> None:
    empty, ends = sandbox.anaplan.dump(), []
    for settings in ({}, SMALL):
        sandbox.anaplan.load(empty)
        feed = invoice_feed(client, **settings)
        for changes in (VARIED, AGAIN):
            assert feed.send(batch(*changes)).refused == {}
        ends.append(content(world))
    assert world.tasks.tasks == {}
    assert ends[0] == ends[1]


def test_a_number_goes_out_as_exact_digits(
    sandbox: Sandbox, client: AnaplanClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies, call = [], client.http.call
    monkeypatch.setattr(
        client.http, "call", lambda *a, **r: (bodies.append(r.get("data") or b""), call(*a, **r))[1]
    )
    invoice_feed(client, **SMALL).send(batch(change("1", balance=Decimal("12345678901234567.10"))))
    assert any(b'"value":12345678901234567.1}' in body for body in bodies)


def test_more_changes_than_the_limit_go_by_imports(invoices: AnaplanFeed, world: World) -> None:
    changes = [change(str(number)) for number in range(SMALL["small_changes"]["up_to"] + 1)]
    invoices.preflight(changes)
    invoices.send(batch(*changes))
    assert len(world.history) == 2


@pytest.mark.parametrize("long_way", [{}, PROCESS])
def test_a_refused_cell_lets_the_imports_judge_and_their_words_are_shown(
    client: AnaplanClient, world: World, long_way: Mapping[str, Any]
) -> None:
    feed = invoice_feed(client, **long_way, **SMALL)
    changes = [change("1001"), change("1002", supplier="NO01|nobody")]
    feed.preflight(changes)
    outcome = feed.send(batch(*changes))
    assert list(outcome.refused) == ["NO01|Invoice|1002"]
    assert "Item not located in Suppliers list" in outcome.refused["NO01|Invoice|1002"]
    assert outcome.partial == {"NO01|Invoice|1002": {"code": "NO01|Invoice|1002"}}
    assert "a cell was refused" in outcome.detail["small changes"]
    assert world.module_rows(MODULE)["NO01|Invoice|1001"] == arrived(changes[0].row.payload)
    assert len(world.history) == 2


def test_a_calculated_line_item_is_left_to_the_import_which_ignores_it(
    invoices: AnaplanFeed, world: World
) -> None:
    module(world).line_items["vat_amount"].formula = "amount / 5"
    outcome = invoices.send(batch(change("1001")))
    assert (outcome.refused, len(world.history)) == ({}, 2)
    assert "calculated" in outcome.detail["small changes"]


def test_a_model_that_refuses_blanks_is_filled_by_imports(invoices: AnaplanFeed, world: World) -> None:
    world.switches["blank_cell_write"] = "refuses"
    assert invoices.send(batch(change("1001"))).refused == {}
    assert world.history == []
    outcome = invoices.send(batch(change("1001", Op.UPDATE, due_date=None)))
    assert len(world.history) == 2
    assert "due_date" not in world.module_rows(MODULE)["NO01|Invoice|1001"]
    assert "empty" in outcome.detail["small changes"]


def test_codes_that_may_be_equal_to_anaplan_go_to_the_list_import(
    invoices: AnaplanFeed, world: World
) -> None:
    world.switches["code_matching"] = "folded"
    outcome = invoices.send(batch(change("1a", amount=Decimal(5)), change("1A", amount=Decimal(7))))
    assert "Duplicate key" in outcome.refused["NO01|Invoice|1A"]
    assert [row["amount"] for row in world.module_rows(MODULE).values()] == [5]


def test_a_value_no_cell_can_hold_is_refused_by_the_files_rules_and_the_others_go(
    invoices: AnaplanFeed, sandbox: Sandbox
) -> None:
    outcome = invoices.send(batch(change("1001", amount=Decimal("NaN")), change("1002")))
    assert dict(outcome.refused) == {"NO01|Invoice|1001": "NaN is not a number"}
    assert writes(sandbox) == []


@pytest.mark.parametrize("status", [400, 403, 404, 409, 425])
@pytest.mark.parametrize("call", ["PUT .*/items", "POST .*/items", "POST .*/data"])
def test_a_call_that_is_refused_lets_the_imports_do_it(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, call: str, status: int
) -> None:
    sandbox.faults.arm("anaplan", "http_status", match=call, times=None, status=status)
    outcome = invoices.send(batch(change("1001")))
    assert (outcome.refused, len(world.history)) == ({}, 2)
    assert f"status {status}" in outcome.detail["small changes"]


@pytest.mark.parametrize(("status", "who"), [(422, "unarchive"), (423, "unlock")])
def test_a_closed_model_stops_and_says_who_must_act(
    sandbox: Sandbox, invoices: AnaplanFeed, status: int, who: str
) -> None:
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/data", status=status)
    with pytest.raises(errors.Stop, match=who) as stopped:
        invoices.send(batch(change("1001")))
    assert stopped.value.partial == {"NO01|Invoice|1001": {"code": "NO01|Invoice|1001"}}


def test_an_offline_model_is_asked_again_later(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm("anaplan", "http_status", match="PUT .*/items", status=424)
    with pytest.raises(errors.Closed, match="is asked again at"):
        invoices.send(batch(change("1001")))


@pytest.mark.parametrize("lost", ["PUT items", "POST items", "POST data"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_write_whose_answer_is_lost_is_waited_for_and_then_carried_by_imports(
    sandbox: Sandbox, client: AnaplanClient, world: World, lost: str, when: str
) -> None:
    method, end = lost.split()
    sandbox.faults.arm("anaplan", "drop_connection", match=f"{method} .*/{end}", when=when)
    row = change("1001")
    assert invoice_feed(client, **SMALL).send(batch(row)).refused == {}
    assert sum(client.clock.slept) >= Pace().grace
    assert writes(sandbox).count(lost) <= 1
    assert content(world)[0] == {row.row.key: arrived(row.row.payload)}
    assert len(world.history) == 2


def test_a_gateway_error_on_a_write_may_hide_that_it_happened(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, clock: ManualClock
) -> None:
    sandbox.faults.arm("anaplan", "server_error", match="POST .*/data", status=504)
    invoices.send(batch(change("1001")))
    assert sum(clock.slept) >= Pace().grace
    assert len(world.history) == 2


def test_while_a_lost_write_may_still_arrive_nothing_newer_is_sent(
    sandbox: Sandbox, client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, books = invoice_feed(client, pace=Pace(grace=5, deadline=100), **SMALL), Books()
    feed.preflight([change("1001")])
    state, idle = client.catalog.model(), client.catalog.model
    monkeypatch.setattr(
        client.catalog, "model", lambda: type(state)(state.id, state.name, state.state, busy=True)
    )
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/data", when="before")
    rows = [change("1001")]
    with pytest.raises(errors.InDoubtError, match="a write whose answer was lost has not ended"):
        feed.send(books.batch(rows))
    with pytest.raises(errors.InDoubtError):
        feed.resolve(books.batch(rows, books.seen[-1]))
    assert world.history == []
    without = invoice_feed(client, pace=Pace(grace=5, deadline=100))
    with pytest.raises(errors.InDoubtError):
        without.resolve(books.batch(rows, books.seen[-1]))
    monkeypatch.setattr(client.catalog, "model", idle)
    assert feed.resolve(books.batch(rows, books.seen[-1])).refused == {}
    assert len(world.history) == 2


def test_a_lockout_in_the_middle_ends_with_its_time_and_nothing_under_way(
    client: AnaplanClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, books = invoice_feed(client, **SMALL), Books()

    def locked_out(*_: Any) -> None:
        raise Closed("Anaplan", clock.now())

    monkeypatch.setattr(client.cells, "write", locked_out)
    with pytest.raises(errors.Closed) as closed:
        feed.send(books.batch([change("1001")]))
    assert closed.value.opens_at == clock.now()
    assert list(closed.value.partial) == ["NO01|Invoice|1001"]
    assert books.seen[-1]["small"]["state"] == "left"


def test_the_way_is_on_file_before_its_first_call(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    calls: list[tuple[str, int]] = []
    current = batch(change("1001"))
    current.keep = lambda note: calls.append((note["small"]["state"], len(writes(sandbox))))
    invoices.send(current)
    assert calls == [("writing", 0), ("done", 3)]


def test_a_batch_that_landed_is_known_without_another_write(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    books = Books()
    first = invoices.send(books.batch([change("1001")]))
    sandbox.log.reset()
    assert invoices.resolve(books.batch([change("1001")], books.seen[-1])) == first
    assert writes(sandbox) == []


def test_a_list_that_is_not_numbered_takes_the_name_itself(client: AnaplanClient, world: World) -> None:
    by_list = world.model.named("lists", LIST)
    by_list.numbered, by_list.display_property = False, None
    feed = invoice_feed(client, small_changes=SMALL["small_changes"] | {"name_property": None})
    feed.send(batch(change("1001")))
    feed.send(batch(change("1001", Op.UPDATE, reference_number="1001-B")))
    assert world.list_items(LIST)["NO01|Invoice|1001"].name == "1001-B"
    assert world.history == []


def test_a_numbered_list_without_a_name_property_takes_codes_alone(
    client: AnaplanClient, world: World
) -> None:
    small = SMALL["small_changes"] | {"name_property": None}
    feed = invoice_feed(client, item_name=None, small_changes=small)
    feed.send(batch(change("1001")))
    feed.send(batch(change("1001", Op.UPDATE)))
    assert world.list_items(LIST)["NO01|Invoice|1001"].properties == {}
    assert world.history == []


def test_items_that_imports_name_are_not_left_with_stale_names(client: AnaplanClient) -> None:
    small = SMALL["small_changes"] | {"name_property": None}
    with pytest.raises(errors.Stop, match=r"numbered list.*by 'reference_number'.*`name_property`"):
        invoice_feed(client, small_changes=small).preflight([change("1001")])


def test_a_dimension_besides_the_list_is_named_by_parameters(client: AnaplanClient, world: World) -> None:
    found = module(world)
    found.dimensions = (*found.dimensions, "20000000020")
    with pytest.raises(errors.Stop, match=r"has the dimension 'Versions'\. Name its item"):
        invoice_feed(client, **SMALL).preflight([change("1001")])
    feed = invoice_feed(client, parameters={"Version": "Actual"}, **SMALL)
    feed.preflight([change("1001")])
    assert feed.send(batch(change("1001"))).refused == {}
    assert list(world.module_rows(MODULE)) == ["NO01|Invoice|1001 / Actual"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"list": "#Invoices"}, "has no list '#Invoices'"),
        ({"module": "DAT01"}, "has no module 'DAT01'"),
        ({"module": "DAT01 Suppliers"}, "has no line item document_type"),
        ({"list": "Suppliers"}, "does not have 'Suppliers' as a dimension"),
    ],
)
def test_a_list_or_module_that_does_not_fit_is_explained(
    client: AnaplanClient, wrong: Mapping[str, str], words: str
) -> None:
    feed = invoice_feed(client, small_changes=SMALL["small_changes"] | wrong)
    with pytest.raises(errors.Stop, match=words):
        feed.preflight([change("1001")])


def test_the_check_without_changes_looks_at_both_ways(client: AnaplanClient, world: World) -> None:
    with pytest.raises(errors.Stop, match="has no import 'Nothing'"):
        invoice_feed(client, data_import="Nothing", **SMALL).preflight([])
    invoice_feed(client, data_import="Nothing", **SMALL).preflight([change("1001")])


def test_cells_beyond_one_calls_limit_go_in_several_and_failures_keep_their_place(
    client: AnaplanClient, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.anaplan.client.cells.MOST_CELLS", 2)
    found, by_list = module(world), world.model.named("lists", LIST)
    client.cells.add_items(by_list.id, [{"code": "A"}])
    cells = [
        {
            "lineItemId": found.line_items["amount"].id,
            "dimensions": [{"dimensionId": by_list.id, "itemCode": code}],
            "value": Decimal(1),
        }
        for code in ("A", "A", "A", "nobody", "A")
    ]
    written = client.cells.write(found.id, cells)
    assert (written.done, list(written.refused)) == (4, [3])
    assert sandbox.log.count("anaplan", match="/data") == 3


def test_cells_beyond_the_bytes_of_one_call_go_in_several(
    client: AnaplanClient, sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    text = "æ" * 1_500_000
    assert invoices.send(batch(*(change(str(n), description=text) for n in range(3)))).refused == {}
    calls = sandbox.log.calls("anaplan", match="/data")
    assert len(calls) > 1


def test_a_batch_that_left_the_small_way_names_what_may_be_there(
    sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/data", status=400)
    sandbox.faults.arm("anaplan", "task_cancelled", match="Supplier Invoices list")
    with pytest.raises(errors.NotLanded) as failed:
        invoices.send(batch(change("1001")))
    assert list(failed.value.partial) == ["NO01|Invoice|1001"]
