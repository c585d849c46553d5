"""Supplier master data as files, in both directions (vendors/cleo.md section 7, form 1).

A file is `suppliers_*.json` (`{"suppliers": [{...}]}`) or `suppliers_*.csv` (a header line, commas, UTF-8),
with the same field names in both. That form is agreed between the two sides; no vendor documents it.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from mlc_sandbox.cleo.harmony import moment

if TYPE_CHECKING:
    from mlc_sandbox.cleo.world import World

Row = dict[str, Any]

FIELDS = (
    *("company", "number", "name", "address_line1", "address_line2", "postal_code", "city", "country"),
    *("vat_number", "changed_at"),
)
# What can be wrong with a change: kind -> the field and what stands in it.
INVALID: dict[str, tuple[str, str]] = {
    "postcode": ("postal_code", "ABC-1"),
    "country": ("country", "Norge"),
    "vat": ("vat_number", "NO12"),
    "vat_check": ("vat_number", "NO923609017MVA"),
    "missing": ("city", ""),
    "unknown_supplier": ("number", "99999"),
}
BROKEN_FILES = ("malformed", "encoding")  # wrong as a whole: cut JSON or CSV, Latin-1 instead of UTF-8
_STREETS = ("Fjordgata", "Skogveien", "Åsgårdsveien", "Nedre Torg", "Sjøgata")


def is_supplier_file(name: str, content: bytes) -> bool:
    """Whether a file is supplier master data: by its name, or as JSON that holds suppliers."""
    if name.lower().startswith("suppliers_"):
        return True
    return content.lstrip().startswith(b"{") and b'"suppliers"' in content[:200]


class Suppliers:
    """What the other side holds of our suppliers: `held` by company and number, `files` as they came."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.held: dict[tuple[str, str], Row] = {}
        self.files: list[Row] = []
        self.changes: list[Row] = []
        self.count = 0

    def take(self, name: str, content: bytes) -> str:
        """Keep a file of supplier master data; what became of it, for the job's message."""
        entry: Row = {"file": name, "received": self.world.clock.now(), "rows": 0, "error": ""}
        self.files.append(entry)
        try:
            rows = _read(name, content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            entry["error"] = f"{type(error).__name__}: {error}"
            return f"refused: {entry['error']}"
        for row in rows:
            self.held[str(row.get("company", "")), str(row["number"])] = row
        entry["rows"] = len(rows)
        return f"{len(rows)} suppliers taken"

    def change(
        self,
        company: str,
        number: str,
        *,
        form: str = "json",
        invalid: str = "",
        fields: Row | None = None,
    ) -> Row:
        """A supplier moves: write the file about it. Returns file and row.

        Raises:
            KeyError: nobody knows the supplier. ValueError: an unknown form or kind of mistake.
        """
        if form not in ("json", "csv"):
            raise ValueError(f"A change is a json or csv file, not {form!r}.")
        if invalid not in ("", *INVALID, *BROKEN_FILES):
            raise ValueError(f"{invalid!r} is none of {', '.join((*INVALID, *BROKEN_FILES))}.")
        self.count += 1
        row = self._base(company, number) | {
            "address_line1": f"{_STREETS[self.count % len(_STREETS)]} {self.count}",
            "address_line2": "",
            "changed_at": moment(self.world.clock.now()),
        }
        row |= fields or {}
        if invalid in INVALID:
            name, value = INVALID[invalid]
            row[name] = value
        content = _written(row, form)
        if invalid == "malformed":
            content = content[: len(content) * 2 // 3]
        if invalid == "encoding":
            content = (
                content.decode().replace(row["address_line1"], "Blåbærstien 3").encode("latin-1", "replace")
            )
        file = f"suppliers_{company}_{self.world.clock.now():%Y%m%dT%H%M%SZ}_{self.count:04d}.{form}"
        self.world.drop_file(file, content)
        entry = {"file": file, "row": row, "invalid": invalid}
        self.changes.append(entry)
        if not invalid:
            self.held[company, number] = row
        return entry

    def _base(self, company: str, number: str) -> Row:
        held = self.held.get((company, number))
        if held is not None:
            return {name: held.get(name, "") for name in FIELDS}
        found = self.world.erp.supplier(company, number)
        if found is None:
            raise KeyError(f"Nobody knows supplier {number} of {company}.")
        address = found.get("mainAddress", {})
        return {
            "company": company,
            "number": number,
            "name": found["name"],
            "address_line1": address.get("addressLine1", ""),
            "address_line2": address.get("addressLine2", ""),
            "postal_code": address.get("postalCode", ""),
            "city": address.get("city", ""),
            "country": address.get("country", {}).get("id", ""),
            "vat_number": found.get("vatRegistrationId", ""),
            "changed_at": "",
        }

    def pass_day(self) -> int:
        """Some suppliers move; every third change cannot be right. How many files were written."""
        known = sorted({*self.held, *self.world.erp.suppliers()})
        wrong = (*INVALID, *BROKEN_FILES)
        count: int = min(self.world.switches["supplier_changes_per_day"], len(known))
        for _ in range(count):
            turn = self.count
            company, number = known[turn * 7 % len(known)]
            self.change(
                company,
                number,
                form=("json", "csv")[turn % 2],
                invalid=wrong[turn // 3 % len(wrong)] if turn % 3 == 2 else "",
            )
        return count


def _read(name: str, content: bytes) -> list[Row]:
    text = content.decode("utf-8-sig")
    if name.lower().endswith(".csv"):
        return list(csv.DictReader(io.StringIO(text)))
    document = json.loads(text, parse_float=str)
    rows: list[Row] = document["suppliers"] if isinstance(document, dict) else document
    return rows


def _written(row: Row, form: str) -> bytes:
    if form == "json":
        return json.dumps({"suppliers": [row]}, ensure_ascii=False, indent=1).encode()
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, extrasaction="ignore")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue().encode()
