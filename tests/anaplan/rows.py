"""Invoice rows and batches as delivery would make them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.ways import prompts
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Change, Op, Row
from mlc_sandbox.anaplan.world import World

LIST, MODULE = "#Supplier Invoices", "DAT01 Supplier Invoices"


def payload(number: str, **values: Any) -> dict[str, Any]:
    return {
        "code": f"NO01|Invoice|{number}",
        "company": "NO01",
        "document_type": "Invoice",
        "reference_number": number,
        "status": "Open",
        "supplier": None,
        "supplier_name": "Ærøskøbing Båtbyggeri, Ås",
        "supplier_reference": 'KID "7741"',
        "date": date(2026, 11, 19),
        "due_date": date(2026, 12, 19),
        "financial_period": "202611",
        "currency": "NOK",
        "amount": Decimal("1234.56000000"),
        "vat_amount": Decimal("308.64"),
        "balance": Decimal("-0.10"),
        "description": "Two lines\r\nin one",
        **values,
    }


def change(number: str, op: Op = Op.CREATE, **values: Any) -> Change:
    columns = payload(number, **values)
    row = Row(columns["code"], f"Invoice|{number}", number, columns)
    return Change.of(op, row)


class Books:
    """Where a batch's checkpoint goes; `seen` is what each save left on disk."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []

    def batch(self, changes: Sequence[Change], checkpoint: Mapping[str, Any] | None = None) -> Batch:
        return Batch(
            id="b1",
            destination="anaplan/supplier_invoices",
            company="NO01",
            token="t1",
            changes=tuple(changes),
            created_at=datetime.now(UTC),
            checkpoint=checkpoint or {},
            keep=self.seen.append,
        )


def batch(*changes: Change) -> Batch:
    return Books().batch(changes)


def arrived(row: Mapping[str, Any]) -> dict[str, Any]:
    """A payload as the module shall hold it: blanks are no cells, line breaks are blanks."""
    values = {name: value for name, value in row.items() if name != "code" and value is not None}
    return values | {"description": values["description"].replace("\r\n", " ")}


def imported_by_hand(
    client: AnaplanClient,
    world: World,
    name: str,
    content: bytes,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Somebody runs an import in Anaplan, over a file that the builder left in the model."""
    action = world.import_named(name)
    world.set_default_file(name, content)
    for user, file_id in list(world.files.contents):
        if user and file_id == action.source_id:
            world.files.delete(user, file_id)
    client.tasks.start("imports", action.id, prompts(parameters or {}))
    with world.lock:
        world.tasks.drain()
