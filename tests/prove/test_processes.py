"""A short run of the campaign over processes, with one pair; `make prove` is the long one, with all."""

from pathlib import Path
from random import Random

import pytest

from tests.prove.campaign import Round
from tests.prove.equal import differences
from tests.prove.erp import Comment, Office
from tests.prove.world import world

pytestmark = pytest.mark.kill


def test_after_a_wave_of_trouble_the_board_is_equal_to_the_erp_and_what_is_lost_later_is_found_out(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path}/mlc.db"
    made = world(tmp_path, seed=5, scale="0.02", companies=("NO01",), pairs=("asana",), database=database)
    with made as held:
        lived = Round(held, seed=5)
        lived.live(first=True)
        assert lived.wrong == []
        assert lived.done["rows compared with the ERP"] > 10
        project = held.settings["pairs"]["asana"]["destinations"]["supplier_invoices"]["project"]
        task, other = held.control("GET", f"/asana/control/projects/{project}/tasks")[:2]
        held.control("POST", f"/asana/control/tasks/{task['gid']}/trash", {})
        at_work = Office(held, Random(5))
        key = other["custom_fields"]["SupplierInvoiceId"].partition("|")[2]
        at_work.comments = [Comment(other["gid"], "NO01", "supplierInvoice", key, "Never carried back")]
        _, found = differences(held, (), asked=set(), office=at_work)
        assert [line.partition(": ")[2] for line in found] == [
            "missing",
            "'Never carried back' is there 0 times",
        ]
