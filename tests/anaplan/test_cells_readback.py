"""GL actuals read back: cells by several dimensions and a version, compared with what was delivered."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.readback import AnaplanReadBack
from mlc_dagster.delivery import Comparison, Ledger, Report, reconcile
from mlc_dagster.delivery import deliver as deliver_rows
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.delivery.rows import Change
from mlc_sandbox.anaplan.model import SavedView
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.balances import (
    ACTUAL,
    EARLIER,
    IMPORT,
    KEY,
    KINDS,
    MODULE,
    MONTH,
    NAME,
    VIEW,
    ZERO,
    actuals,
    balance,
    debits,
    fill_dimensions,
)
from tests.anaplan.rows import imported_by_hand
from tests.transport.clocks import ManualClock

EXPORT = "GL Actuals export"
# Each combination of two accounts, two cost centres and two months.
ALL = [
    balance(account, "1.10", cost_centre=centre, month=month)
    for account in ("4000", "5000")
    for centre in ("NO01|100", "NO01|200")
    for month in (MONTH, EARLIER)
]
Deliver = Callable[..., Report]
Compare = Callable[..., Comparison]


@pytest.fixture
def deliver(ledger: Ledger, clock: ManualClock, client: AnaplanClient, world: World) -> Deliver:
    fill_dimensions(client, world)

    def run(*changes: Change, gone: tuple[Change, ...] = (), **settings: Any) -> Report:
        rows = [change.row for change in changes]
        scope = {row.source_key for row in [*rows, *(change.row for change in gone)]}
        given: dict[str, Any] = {"ledger": ledger, "run_id": "run", "fingerprint": "f", "clock": clock}
        return deliver_rows(actuals(client, **IMPORT, **settings), "NO01", rows, scope, **given)

    return run


def read_back(client: AnaplanClient, shown_by: str = VIEW) -> AnaplanReadBack:
    return AnaplanReadBack(client, shown_by, name=NAME, kinds=KINDS, key=KEY, parameters=ACTUAL)


@pytest.fixture
def compare(ledger: Ledger, client: AnaplanClient) -> Compare:
    def compared(shown_by: str = VIEW) -> Comparison:
        return reconcile(ledger, read_back(client, shown_by), NAME, "NO01", tombstone=ZERO)

    return compared


def changed(debit: str) -> list[Change]:
    """Two of the eight cells, which stand by both accounts, both cost centres and both months."""
    return [
        balance("4000", debit, cost_centre="NO01|100", month=MONTH),
        balance("5000", debit, cost_centre="NO01|200", month=EARLIER),
    ]


def hold(world: World, place: int, **values: Any) -> None:
    """Somebody changes numbers of one row of cells by hand."""
    cells = world.model.named("modules", MODULE).cells
    coordinates = list(cells)[place]
    cells[coordinates] = cells[coordinates] | values


@pytest.mark.parametrize("shown_by", [VIEW, MODULE, EXPORT])
def test_what_was_delivered_is_read_back_equal(deliver: Deliver, compare: Compare, shown_by: str) -> None:
    """The module's default view shows every cell there could be, thousands of them with nothing inside."""
    deliver(*ALL)
    found = compare(shown_by)
    assert found.equal, found.differences
    assert (found.expected, found.found, found.extra, found.unseen) == (8, 8, 0, set())
    assert found.totals["amount"] == (Decimal("8.80"), Decimal("8.80"))


def test_the_calls_it_takes_are_those_that_were_forecast(
    deliver: Deliver, compare: Compare, client: AnaplanClient, sandbox: Sandbox
) -> None:
    deliver(*ALL)
    sandbox.log.reset()
    assert compare().equal
    assert sandbox.log.count("anaplan") == read_back(client).calls(len(ALL))


def test_a_clear_of_the_mapped_items_wipes_cells_of_other_rows_and_is_seen(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    deliver(*ALL)
    world.import_named("GL Actuals data").clear = "items"
    assert deliver(*changed("7")).complete
    assert len(debits(world)) == 2
    found = compare()
    assert (found.missing, found.different) == (6, 0)
    assert found.totals["amount"] == (Decimal("20.60"), Decimal(14))


def test_a_clear_of_all_items_is_seen(deliver: Deliver, compare: Compare, world: World) -> None:
    deliver(*ALL)
    world.import_named("GL Actuals data").clear = "all"
    assert deliver(changed("7")[0]).complete
    assert compare().missing == 7


def test_an_import_that_somebody_runs_over_an_old_file_is_seen(
    deliver: Deliver, compare: Compare, client: AnaplanClient, world: World
) -> None:
    deliver(*ALL)
    deliver(*changed("7"))
    lines = [",".join(KINDS), f"NO01|4000,NO01|100,{MONTH},9,0,9,9", f"NO01|5000,NO01|200,{EARLIER},9,0,9,9"]
    imported_by_hand(client, world, "GL Actuals data", "\n".join(lines).encode(), ACTUAL)
    found = compare()
    assert (found.different, found.missing, found.columns["amount"]) == (2, 0, 2)
    assert found.totals["amount"] == (Decimal("20.60"), Decimal("24.60"))


def test_a_number_edited_by_hand_is_seen_with_its_place(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    deliver(*ALL)
    hold(world, 1, debit=Decimal("1.11"))
    assert [(difference.key, difference.columns) for difference in compare().differences] == [
        (f"NO01|4000|NO01|100|{EARLIER}", {"debit": (Decimal("1.10"), Decimal("1.11"))})
    ]


def test_numbers_of_another_version_are_not_ours(deliver: Deliver, compare: Compare, world: World) -> None:
    deliver(*ALL)
    cells = world.model.named("modules", MODULE).cells
    budget = next(key for key, name in world.model.versions.items() if name == "Budget")
    cells |= {(*place[:-1], budget): {"amount": Decimal(5)} for place in list(cells)}
    assert (compare().equal, compare().found) == (True, 8)


def test_a_sum_of_nothing_is_delivered_and_need_not_be_shown(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    deliver(balance("4000", "0"), balance("5000", "1"))
    assert (compare().equal, compare().expected) == (True, 1)
    hold(world, 0, credit=Decimal(3))
    (difference,) = compare().differences
    assert difference.words == "was delivered empty and shows values"
    assert compare().totals["credit"] == (0, 3)


def test_a_deleted_sum_is_zero_and_told_when_it_holds_something_again(
    deliver: Deliver, compare: Compare, world: World
) -> None:
    first, second = balance("4000", "1"), balance("5000", "2")
    deliver(first, second)
    deliver(second, gone=(first,))
    assert (compare().equal, compare().expected) == (True, 1)
    hold(world, 0, amount=Decimal(3))
    found = compare()
    assert (found.revived, found.differences[0].words) == (1, "was deleted and is still shown")


def test_a_number_nobody_sent_is_extra(deliver: Deliver, compare: Compare, world: World) -> None:
    deliver(*ALL[:2])
    cells = world.model.named("modules", MODULE).cells
    place = next(iter(cells))
    month = next(iter(world.model.periods))
    cells[(*place[:2], month, place[-1])] = {"amount": Decimal(5)}
    assert (compare().extra, compare().missing, compare().different) == (1, 0, 0)


@pytest.mark.parametrize("shown_by", [VIEW, EXPORT])
def test_a_module_without_its_keys_line_items_is_told_before_anything_is_delivered(
    client: AnaplanClient, world: World, shown_by: str
) -> None:
    read_back(client, shown_by).check()
    items = world.model.named("modules", MODULE).line_items
    del items["account"], items["month"]
    client = AnaplanClient(client.http, client.workspace_id, client.model_id)
    words = r"does not show account, month,.*CODE\(ITEM.*NAME\(ITEM\(Time\)\).*It shows: .*cost_centre"
    with pytest.raises(Stop, match=words):
        read_back(client, shown_by).check()
    with pytest.raises(Stop, match=words):
        next(read_back(client, shown_by).rows("NO01"))


def test_the_view_needs_no_filter(deliver: Deliver, compare: Compare, world: World) -> None:
    deliver(*ALL)
    module = world.model.named("modules", MODULE)
    module.saved_views = {key: SavedView(view.name) for key, view in module.saved_views.items()}
    assert (compare().equal, compare().extra) == (True, 0)
