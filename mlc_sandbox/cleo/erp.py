"""What suppliers know of the ERP's orders beyond their mail: only to ship what a demo can receive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlc_sandbox.visma import VismaVendor

Row = dict[str, Any]

# The units of the ERP's three countries, and X12's (vendors/x12.md section 10).
UNITS = {"STK": "EA", "ST": "EA", "KG": "KG", "M": "MR", "TIMER": "HR", "TIM": "HR"}
UNITS |= {"ESK": "BX", "KRT": "CT", "KS": "CA"}


class Erp:
    """The sandbox's Visma world; without one nothing is known."""

    def __init__(self, visma: VismaVendor | None) -> None:
        self.visma = visma

    @property
    def companies(self) -> tuple[str, ...]:
        """The codes of its companies."""
        return tuple(self.visma.companies) if self.visma else ()

    def order(self, number: str, company: str | None = None) -> tuple[str, Row] | None:
        """Company and row of an order, by the digits its number ends with.

        Blanket and drop-ship orders count from the same number on: a regular one goes first.
        """
        if self.visma is None:
            return None
        digits = re.search(r"\d*$", number)
        wanted = digits[0] if digits else number
        codes: Iterable[str] = self.companies if company is None else {company} & set(self.companies)
        with self.visma.lock:
            for code in codes:
                table = self.visma.table(code, "purchaseorder")
                others = (record.key for record in table if record.key.partition("|")[2] == wanted)
                for key in (f"RegularOrder|{wanted}", *others):
                    if (record := table.get(key)) is not None:
                        return code, table.row(record)
        return None

    def supplier(self, company: str, number: str) -> Row | None:
        """A supplier's row."""
        if self.visma is None or company not in self.companies:
            return None
        with self.visma.lock:
            table = self.visma.table(company, "supplier")
            record = table.get(number)
            return table.row(record) if record else None

    def suppliers(self) -> list[tuple[str, str]]:
        """Company and number of every supplier, in order."""
        if self.visma is None:
            return []
        with self.visma.lock:
            return [
                (code, record.key) for code in self.companies for record in self.visma.table(code, "supplier")
            ]


def left_to_receive(row: Row) -> dict[str, Decimal]:
    """Line number -> what may still arrive of it; nothing of an order that is not open."""
    if row["status"] != "Open":
        return {}
    return {
        str(line["lineNbr"]): Decimal(line["orderQty"]) - Decimal(line["qtyOnReceipts"])
        for line in row["lines"]
        if not line["completed"] and not line["canceled"]
    }
