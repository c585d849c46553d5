"""What a model holds, read back through views and exports, and compared with what was delivered."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan import tables
from mlc_dagster.anaplan.answers import NamedObject
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.readback import AnaplanReadBack
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery import Comparison, Ledger, Report, Row, reconcile
from mlc_dagster.delivery import deliver as deliver_rows
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.transport.errors import Again
from mlc_sandbox.anaplan import routes_cells
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import INVOICES, TOMBSTONE, invoice_feed
from tests.anaplan.rows import LIST, MODULE, change, imported_by_hand
from tests.transport.clocks import ManualClock

NAME, VIEW, EXPORT = "anaplan/supplier_invoices", f"{MODULE}.All", "Supplier Invoices export"
KINDS = {
    **dict.fromkeys(INVOICES.headers, "text"),
    **dict.fromkeys(("amount", "vat_amount", "balance"), "decimal"),
    **dict.fromkeys(("date", "due_date"), "date"),
}
Deliver = Callable[..., Report]
Compare = Callable[..., Comparison]


def row(number: str, company: str = "NO01", **values: Any) -> Row:
    made = change(number, code=f"{company}|Invoice|{number}", company=company, **values).row
    return Row(made.payload["code"], made.source_key, number, made.payload)


def read_back(client: AnaplanClient, shown_by: str = VIEW, **options: Any) -> AnaplanReadBack:
    return AnaplanReadBack(client, shown_by, **{"name": NAME, "kinds": KINDS} | options)


@pytest.fixture
def deliver(ledger: Ledger, clock: ManualClock, client: AnaplanClient) -> Deliver:
    def run(*rows: Row, gone: tuple[str, ...] = (), company: str = "NO01") -> Report:
        scope = {row.source_key for row in rows} | set(gone) | ledger.outstanding(NAME, company)
        given: dict[str, Any] = {"ledger": ledger, "run_id": "run", "fingerprint": "f", "clock": clock}
        return deliver_rows(invoice_feed(client), company, rows, scope, **given)

    return run


@pytest.fixture
def compare(ledger: Ledger, client: AnaplanClient) -> Compare:
    def compared(shown_by: str = VIEW, company: str = "NO01") -> Comparison:
        return reconcile(ledger, read_back(client, shown_by), NAME, company, tombstone=TOMBSTONE)

    return compared


def write_cell(client: AnaplanClient, code: str, line_item: str, value: str) -> None:
    """What a planner does with the keyboard."""
    module = next(thing for thing in client.catalog.modules() if thing.name == MODULE)
    cell = {
        "lineItemName": line_item,
        "dimensions": [{"dimensionName": LIST, "itemCode": code}],
        "value": value,
    }
    path = f"/models/{client.model_id}/modules/{module.id}/data"
    assert client.http.call("POST", path, json=[cell]).json()["numberOfCellsChanged"] == 1


def by_hand(client: AnaplanClient, action: str, **body: Any) -> None:
    """Change the list's items as a planner does."""
    wanted = next(thing for thing in client.catalog.lists() if thing.name == LIST)
    path = f"/workspaces/{client.workspace_id}/models/{client.model_id}/lists/{wanted.id}/items"
    client.http.call("POST", f"{path}?action={action}", json={"items": [body]})


def lines(*rows: Row) -> bytes:
    """A data file as it lies in the model since the builder's first upload."""
    text = [",".join(INVOICES.headers)]
    for line in rows:
        cells = {**line.payload, "description": "", "supplier_name": "", "supplier_reference": ""}
        text.append(",".join("" if cells[name] is None else str(cells[name]) for name in INVOICES.headers))
    return "\n".join(text).encode()


def export_of(client: AnaplanClient) -> NamedObject:
    return next(thing for thing in client.catalog.exports() if thing.name == EXPORT)


# Ways to read


@pytest.mark.parametrize("shown_by", [VIEW, MODULE, EXPORT])
def test_what_was_delivered_is_read_back_equal(deliver: Deliver, compare: Compare, shown_by: str) -> None:
    deliver(row("1001"), row("1002", amount=Decimal("0.10"), vat_amount=None, due_date=None, description=""))
    found = compare(shown_by)
    assert found.equal, found.differences
    assert (found.expected, found.found) == (2, 2)
    assert found.totals["amount"] == (Decimal("1234.66"), Decimal("1234.66"))
    assert found.totals["balance"] == (Decimal("-0.20"), Decimal("-0.20"))


def test_a_view_costs_the_two_calls_that_are_forecast(
    deliver: Deliver, compare: Compare, client: AnaplanClient, sandbox: Sandbox
) -> None:
    deliver(row("1001"))
    sandbox.log.reset()
    assert compare().equal
    assert sandbox.log.count("anaplan") == read_back(client).calls(1) == 2


def test_a_view_too_large_for_one_call_is_read_in_pages_and_given_back(
    deliver: Deliver, compare: Compare, world: World, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_cells, "MOST_VIEW_CELLS", 10)
    monkeypatch.setattr(routes_cells, "PAGE_ROWS", 2)
    deliver(*(row(str(number)) for number in range(1001, 1006)))
    found = compare()
    assert (found.equal, found.found) == (True, 5)
    assert sandbox.log.count("anaplan", method="GET", match=r"/pages/\d") == 3
    assert world.read_requests == {}


def test_pages_are_given_back_when_reading_them_fails(
    deliver: Deliver, compare: Compare, world: World, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_cells, "MOST_VIEW_CELLS", 10)
    deliver(row("1001"))
    sandbox.faults.arm("anaplan", "server_error", match="/pages/0", times=None)
    with pytest.raises(Again):
        compare()
    assert world.read_requests == {}


def test_a_read_request_that_does_not_end_is_given_up_and_given_back(
    client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_cells, "MOST_VIEW_CELLS", -1)
    reading = read_back(client, pace=Pace(deadline=-1))
    with pytest.raises(Again, match=r"read request of view .* has not ended"):
        list(reading.rows("NO01"))
    assert world.read_requests == {}


def test_the_chunks_of_an_export_may_end_within_a_character(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    world.switches["export_chunk_bytes"] = 7
    deliver(row("1001"), row("1002", description='a "quoted", text'))
    assert compare(EXPORT).equal


def test_an_export_whose_start_had_no_answer_is_found_and_not_started_again(
    deliver: Deliver, compare: Compare, world: World, sandbox: Sandbox, client: AnaplanClient
) -> None:
    deliver(row("1001"))
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/exports/.*/tasks")
    assert compare(EXPORT).equal
    assert [task.kind for task in world.tasks.tasks.values()].count("exports") == 1


def test_an_export_that_was_cancelled_is_read_again_another_time(
    deliver: Deliver, compare: Compare, sandbox: Sandbox
) -> None:
    deliver(row("1001"))
    sandbox.faults.arm("anaplan", "task_cancelled", match=EXPORT)
    with pytest.raises(Again, match=EXPORT):
        compare(EXPORT)


def test_an_export_somebody_runs_now_is_left_alone(client: AnaplanClient, world: World) -> None:
    world.switches["task_polls"] = 1000
    client.tasks.start("exports", export_of(client).id)
    with pytest.raises(Again, match="already running"):
        list(read_back(client, EXPORT).rows("NO01"))
    assert len(world.tasks.tasks) == 1


def test_a_file_that_another_run_may_have_overwritten_while_it_was_read_is_not_believed(
    deliver: Deliver, client: AnaplanClient
) -> None:
    deliver(row("1001"))
    export = export_of(client)
    table = tables.of_export(client, export, Pace())
    next(table)
    client.tasks.start("exports", export.id)
    with pytest.raises(Again, match="ran again while its file was read"):
        list(table)


# What cannot be read


def test_a_view_that_does_not_exist_names_what_is_needed(compare: Compare, client: AnaplanClient) -> None:
    words = r"no saved view and no export 'DAT01 Nothing\.All'.*Module\.View"
    with pytest.raises(Stop, match=words):
        compare("DAT01 Nothing.All")
    with pytest.raises(Stop, match=words):
        read_back(client, "DAT01 Nothing.All").check()


def test_a_check_of_the_settings_does_not_read_the_view(client: AnaplanClient, sandbox: Sandbox) -> None:
    read_back(client).check()
    assert sandbox.log.count("anaplan", match="/data") == 0


def test_a_view_without_the_code_says_who_shows_it(compare: Compare) -> None:
    with pytest.raises(Stop, match=r"does not show code.*CODE\(ITEM.*It shows: .*debit"):
        compare("ACT01 GL Actuals.Filled")


# What it catches


def test_an_import_that_somebody_runs_over_an_old_file_is_caught(
    deliver: Deliver, compare: Compare, client: AnaplanClient, world: World
) -> None:
    deliver(row("1001"), row("1002"))
    deliver(row("1001", amount=Decimal(50)), row("1002", amount=Decimal(60)))
    old = lines(row("1001", amount=Decimal(1)), row("1002"))
    imported_by_hand(client, world, "Supplier Invoices data", old)
    found = compare()
    assert (found.different, found.columns["amount"]) == (2, 2)
    assert found.totals["amount"] == (Decimal(110), Decimal("1235.56"))


def test_a_row_that_was_added_up_twice_is_caught(
    deliver: Deliver, compare: Compare, client: AnaplanClient, world: World
) -> None:
    twice = row("1001", amount=Decimal("10.50"))
    deliver(twice, row("1002"))
    imported_by_hand(client, world, "Supplier Invoices data", lines(twice, twice))
    found = compare()
    doubled = next(difference for difference in found.differences if difference.key == twice.key)
    assert doubled.columns["amount"] == (Decimal("10.50"), Decimal("21.00"))
    assert (found.different, found.emptied) == (1, 0)


def test_an_import_that_clears_all_items_is_caught_with_the_rows_it_emptied(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    deliver(row("1001"), row("1002"), row("1003"))
    world.import_named("Supplier Invoices data").clear = "all"
    assert deliver(row("1001", amount=Decimal(1))).complete
    found = compare()
    assert (found.different, found.emptied, found.missing) == (2, 2, 0)
    assert found.totals["amount"] == (Decimal("2470.12"), Decimal(1))


def test_a_cell_that_was_edited_by_hand_is_caught_to_the_cent(
    deliver: Deliver, compare: Compare, client: AnaplanClient
) -> None:
    deliver(row("1001"), row("1002"))
    write_cell(client, "NO01|Invoice|1002", "amount", "1234.57")
    found = compare()
    assert [(difference.key, difference.columns) for difference in found.differences] == [
        ("NO01|Invoice|1002", {"amount": (Decimal("1234.56"), Decimal("1234.57"))})
    ]


def test_an_item_made_by_hand_is_extra_and_a_removed_one_is_missing(
    deliver: Deliver, compare: Compare, client: AnaplanClient
) -> None:
    deliver(row("1001"), row("1002"))
    by_hand(client, "add", code="by hand")
    by_hand(client, "delete", code="NO01|Invoice|1002")
    found = compare()
    assert {difference.key: difference.kind.value for difference in found.differences} == {
        "by hand": "extra",
        "NO01|Invoice|1002": "missing",
    }


def test_a_deleted_row_may_show_its_tombstone_or_be_gone_but_not_live_again(
    deliver: Deliver, compare: Compare, client: AnaplanClient
) -> None:
    deliver(row("1001"), row("1002"), row("1003"))
    deliver(row("1003"), gone=("Invoice|1001", "Invoice|1002"))
    by_hand(client, "delete", code="NO01|Invoice|1002")
    found = compare()
    assert (found.equal, found.expected, found.deleted) == (True, 1, 1)
    write_cell(client, "NO01|Invoice|1001", "amount", "5")
    assert compare().differences[0].columns == {"amount": (Decimal(0), Decimal(5))}


def test_a_deleted_row_that_the_delete_action_left_is_told_however_it_is_marked(
    deliver: Deliver, compare: Compare, ledger: Ledger, client: AnaplanClient
) -> None:
    """Such as an action that selects by another line item: finding nothing is no error to Anaplan."""
    deliver(row("1001"), row("1002"))
    deliver(row("1002"), gone=("Invoice|1001",))
    assert compare().equal
    removing = read_back(client, removes=True)
    found = reconcile(ledger, removing, NAME, "NO01", tombstone=TOMBSTONE)
    assert (found.equal, found.revived, found.deleted) == (False, 1, 0)
    assert found.differences[0].words == "was deleted and is still shown"
    by_hand(client, "delete", code="NO01|Invoice|1001")
    assert reconcile(ledger, removing, NAME, "NO01", tombstone=TOMBSTONE).equal


def test_a_delivered_column_that_the_view_does_not_show_is_named(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    deliver(row("1001"))
    assert compare().unseen == set()
    line_items = world.model.named("modules", MODULE).line_items
    line_items["Amount NOK"] = line_items.pop("amount")
    line_items["Amount NOK"].name = "Amount NOK"
    assert (compare().equal, compare().unseen) == (True, {"amount"})


def test_companies_that_share_a_model_are_compared_apart(
    deliver: Deliver, compare: Compare, client: AnaplanClient
) -> None:
    deliver(row("1001"), row("1002"))
    deliver(row("1001", "SE01"), company="SE01")
    assert (compare().found, compare(company="SE01").found) == (2, 1)
    write_cell(client, "SE01|Invoice|1001", "amount", "1")
    assert compare().equal
    assert compare(company="SE01").different == 1


def test_a_row_that_a_planner_gave_to_another_company_is_caught(
    deliver: Deliver, compare: Compare, client: AnaplanClient
) -> None:
    deliver(row("1001"))
    write_cell(client, "NO01|Invoice|1001", "company", "SE01")
    assert compare().columns == {"company": 1}


# Values


def test_values_are_compared_in_the_form_a_model_keeps_them_in(client: AnaplanClient) -> None:
    kinds = {
        **dict.fromkeys(("text", "empty"), "text"),
        **dict.fromkeys(("number", "none", "long"), "decimal"),
        **{"count": "integer", "flag": "boolean", "day": "date", "at": "timestamp"},
    }
    delivered = {
        "text": " Two lines\r\nin one ",
        "empty": "",
        "number": Decimal("1234.56000000"),
        "none": None,
        "long": Decimal("12345678901234.5678"),
        "count": None,
        "flag": None,
        "day": None,
        "at": datetime(2026, 11, 20, 12, 30, tzinfo=UTC),
    }
    assert read_back(client, kinds=kinds, key=("text",)).as_shown(delivered) == {
        "text": "Two lines in one",
        "empty": None,
        "number": Decimal("1234.56"),
        "none": Decimal(0),
        "long": Decimal("12345678901234.6"),
        "count": 0,
        "flag": False,
        "day": None,
        "at": "2026-11-20T12:30:00Z",
    }


class Shown(AnaplanReadBack):
    """A view that shows these lines."""

    lines: list[list[str]]

    def _table(self) -> Iterator[list[str]]:
        return iter(self.lines)


def test_cells_are_read_by_the_contracts_types_and_left_as_text_where_they_are_none() -> None:
    kinds = {"code": "text", "amount": "decimal", "count": "integer", "flag": "boolean", "day": "date"}
    view = Shown(None, VIEW, name=NAME, kinds=kinds)  # type: ignore[arg-type]
    view.lines = [
        ["", "Code", "AMOUNT", "count", "flag", "day", "formula"],
        ["#1", "a", "1.5E3", "7", "TRUE", "2026-11-20", "x"],
        ["#2", "b", "", "", "", "", ""],
        ["#3", "c", "1,500.00", "7.5", "maybe", "20/11/2026", ""],
        ["#4", "d"],
        ["#5", "e", "NaN", "Infinity", "", "", ""],
        ["Total", "", "3000", "14", "", "", ""],
    ]
    assert [(found.key, tuple(found.values.values())[1:]) for found in view.rows("NO01")] == [
        ("a", (Decimal(1500), 7, True, date(2026, 11, 20))),
        ("b", (Decimal(0), 0, False, None)),
        ("c", ("1,500.00", "7.5", "maybe", "20/11/2026")),
        ("d", (Decimal(0), 0, False, None)),
        ("e", ("NaN", "Infinity", False, None)),
    ]
