"""PUT, POST and DELETE: wrapped values in, If-Match honoured (vendors/visma.md sections 7 and 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.responses import Response

from mlc_sandbox.visma.entities import Entity
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.filters import at
from mlc_sandbox.world import Company
from mlc_sandbox.world.documents import UNRELEASED
from mlc_sandbox.world.store import OSLO, Record, Row

# The Location of a POST may name the other generation's host: only the last segment counts.
_OLD_HOST = "https://integration.visma.net/API/controller/api"

# Names that differ between writing and reading: written -> (read, key inside it).
_RENAMED = {
    "credittermsid": ("creditTerms", "id"),
    "supplierclassid": ("supplierClass", "id"),
    "customerclassid": ("customerClass", "id"),
    "vatzoneid": ("vatZone", "id"),
    "paymentmethodid": ("paymentMethod", "id"),
    "parentrecordnumber": ("parentRecord", "number"),
    "supplierid": ("supplier", "number"),
    "suppliernumber": ("supplier", "number"),
    "customernumber": ("customer", "number"),
    "warehouseid": ("warehouse", "id"),
    "locationid": ("location", "id"),
    "inventoryid": ("inventory", "number"),
    "accountid": ("account", "number"),
    "accountnumber": ("account", "number"),
    "countryid": ("country", "id"),
    "projectid": ("project", "id"),
    "taxcategoryid": ("taxCategory", "number"),
    "branchnumber": ("branchNumber", "number"),
    "controlamount": ("controlTotal", ""),
    "ordernumber": ("orderNbr", ""),
    "transactiondescription": ("transactionDescription", ""),
}
# Fields a row may lack until they are written. Anything else unknown is ignored, as the API does.
_OPTIONAL = tuple(
    """
    note description supplierReference supplierRef paymentRefNo customerRefNumber externalReference
    naceCode numberOfEmployees accountReference addressLine1 addressLine2 addressLine3 postalCode
    city attention email web phone1 phone2 fax gln invoiceText name buyerReference remitAddress
    remitContact supplierAddress supplierContact customStr1 customStr2 customStr3 poOrderType
    poOrderNbr poOrderLineNbr receiptQty orderQty quantity unitCost uom lineType date dueDate hold
    currency currencyId receiptType createBill controlQty completePoLine number county
    inventoryNumber projectTask
    """.split()  # noqa: SIM905 - a list of 45 words reads best as text
)
_STATUSES = {
    "supplier": {"Active", "OnHold", "HoldPayments", "Inactive", "OneTime"},
    "customer": {"Active", "OnHold", "CreditHold", "Inactive", "OneTime"},
}
# A released document still takes these.
_FREE = {
    "note",
    "description",
    "paymentRefNo",
    "customStr1",
    "customStr2",
    "customStr3",
    "invoiceText",
    "externalReference",
}


def put(company: Company, entity: Entity, record: Record, body: bytes, if_match: str | None) -> Response:
    """Change a record: 204 and the new ETag. ApiError 412 for a stale If-Match, 400 for what rules forbid."""
    if if_match is not None and if_match.strip() not in {f'"{record.time_stamp}"', record.time_stamp, "*"}:
        raise ApiError(412, "The record has been changed by another process.")
    table = company.table(entity.name)
    row, wanted = table.row(record), _parse(body)
    _check_rules(entity, row, wanted)
    fields = _applied(entity, row, wanted)
    table.change(
        record, {name: value for name, value in fields.items() if row.get(name) != value}, company.clock.now()
    )
    return Response(status_code=204, headers={"ETag": f'"{record.time_stamp}"'})


def post(company: Company, entity: Entity, body: bytes) -> Response:
    """Create a record: 201, empty body, Location ending in the new number. Repeated, it makes another."""
    wanted = _parse(body)
    row = _new_row(company, entity, wanted)
    key = "|".join(str(at(row, path)) for path in entity.key)
    table = company.table(entity.name)
    if key in table:
        raise ApiError(400, f"'{key.split('|')[-1]}' already exists.")
    now = company.clock.now()
    record = table.add(key, None, now, now, row=row)
    if entity.name == "purchaseReceipt":
        _note_on_orders(company, row, now)
    location = f"{_OLD_HOST}/{entity.write_path or entity.path}/{key.split('|')[-1]}"
    return Response(status_code=201, headers={"Location": location, "ETag": f'"{record.time_stamp}"'})


def delete(company: Company, entity: Entity, record: Record) -> Response:
    """Delete an unreleased document: 204; ApiError 400 for a released one."""
    table = company.table(entity.name)
    if table.row(record)["status"] not in UNRELEASED:
        raise ApiError(400, "The document can't be deleted because it is already released.")
    table.delete(record.key)
    return Response(status_code=204)


def unwrap(value: Any) -> Any:
    """Plain values from {"value": ...} at any depth; property names are read without case."""
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value)).lower() == "value":
            return unwrap(next(iter(value.values())))
        return {name: unwrap(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unwrap(inner) for inner in value]
    return value


def _parse(body: bytes) -> Row:
    try:
        value = unwrap(json.loads(body, parse_float=Decimal))
    except ValueError as error:
        raise ApiError(400, "The request body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise ApiError(400, "The request body must be an object.")
    return value


def _check_rules(entity: Entity, row: Row, wanted: Row) -> None:
    status = wanted.get("status")
    if entity.name in _STATUSES and status is not None and status not in _STATUSES[entity.name]:
        raise ApiError(400, f"The value '{status}' is not valid for status.")
    locked = row.get("status") not in UNRELEASED and (entity.deletable or entity.name == "purchaseReceipt")
    if locked and not {name for name in wanted if name != "timeStamp"} <= _FREE:
        raise ApiError(400, "The document can't be updated because it is already released.")


def _applied(entity: Entity, row: Row, wanted: Row) -> Row:
    """The row with the written fields merged in."""
    lines = wanted.get(entity.lines) if entity.lines else None
    merged = _merged(row, {name: value for name, value in wanted.items() if name != entity.lines})
    if isinstance(lines, list):
        merged[entity.lines] = _merged_lines(entity, row.get(entity.lines, []), lines)
    if entity.name == "purchaseReceipt":
        merged |= _receipt_totals(merged)
    return merged


def _merged(row: Row, wanted: Mapping[str, Any]) -> Row:
    merged = dict(row)
    known = {name.lower(): name for name in (*_OPTIONAL, *row)}
    for written, value in wanted.items():
        name, inner = _RENAMED.get(written.lower(), (known.get(written.lower(), ""), ""))
        if not name or value is None:
            continue
        if inner:
            # Another id: what stood beside the old one (its description) no longer belongs to it.
            current = _object(merged.get(name))
            merged[name] = current if current.get(inner) == value else {inner: value}
        elif isinstance(value, Mapping):
            merged[name] = _merged(_object(merged.get(name)), value)
        else:
            merged[name] = _coerced(name, merged.get(name), value)
    return merged


def _object(value: Any) -> Row:
    return dict(value) if isinstance(value, Mapping) else {}


def _coerced(name: str, current: Any, value: Any) -> Any:
    """Texts become numbers and dates where the field holds such; a zone moves a date, as it did live."""
    if isinstance(current, Mapping):
        return {**current, "number" if "number" in current else "id": value}
    if isinstance(value, str) and (isinstance(current, date) or name.lower().endswith("date")):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ApiError(400, f"The value '{value}' is not valid for {name}.") from error
        return (moment.astimezone(OSLO) if moment.tzinfo else moment).date()
    if isinstance(value, str) and isinstance(current, int | Decimal) and not isinstance(current, bool):
        try:
            return Decimal(value)
        except InvalidOperation as error:
            raise ApiError(400, f"The value '{value}' is not valid for {name}.") from error
    return value


def _merged_lines(entity: Entity, lines: list[Row], wanted: list[Any]) -> list[Row]:
    """Lines by their operation; lines not mentioned stay."""
    read, written = entity.line_key
    result = list(lines)
    for change in wanted:
        operation = str(change.get("operation", "Update"))
        number = change.get(written, change.get(read))
        fields = {name: value for name, value in change.items() if name not in {"operation", written, read}}
        if operation == "Insert":
            following = max((line[read] for line in result), default=0) + 1
            result.append(_merged({read: following}, fields))
            continue
        position = next((i for i, line in enumerate(result) if str(line[read]) == str(number)), None)
        if position is None:
            raise ApiError(400, f"Line {number} does not exist.")
        if operation == "Delete":
            del result[position]
        else:
            result[position] = _merged(result[position], fields)
    return result


def _receipt_totals(row: Row) -> Row:
    quantity = sum((Decimal(str(line.get("receiptQty", 0))) for line in row["lines"]), Decimal(0))
    total = sum((Decimal(str(line.get("amount", 0))) for line in row["lines"]), Decimal(0))
    return {"totalQty": quantity, "totalAmt": total, "vatTaxableTotal": total}


_SERIES = {
    "supplier": ("number", "party", 90_000),
    "customer": ("number", "party", 95_000),
    "purchaseReceipt": ("receiptNbr", "receipt", 600_001),
    "purchaseorder": ("orderNbr", "order/RegularOrder", 500_001),
    "supplierInvoice": ("referenceNumber", "invoice/Invoice", 100_001),
    "customerinvoice": ("referenceNumber", "sale/Invoice", 300_001),
    "customerCreditNote": ("referenceNumber", "sale/CreditNote", 300_001),
}


def _new_row(company: Company, entity: Entity, wanted: Row) -> Row:
    if entity.name not in _SERIES:
        raise ApiError(400, f"The sandbox creates no {entity.name} over the API.")
    field, series, first = _SERIES[entity.name]
    own = (
        wanted.get(field)
        if entity.name in {"supplier", "customer"} or wanted.get("overrideNumberSeries")
        else None
    )
    today = company.clock.now().astimezone(OSLO).date()
    company.table(entity.name)  # built before its number series is used
    base: Row = {
        field: str(own or company.number(series, first)),
        "status": "Hold",
        "hold": True,
        "date": today,
    }
    if entity.name in {"supplier", "customer"}:
        base = {field: base[field], "name": "", "status": "Active", "mainAddress": {}, "mainContact": {}}
    elif entity.name == "purchaseReceipt":
        base |= {"receiptType": "PoReceipt", "postPeriod": f"{today:%m%Y}", "lines": [], "supplier": {}}
    else:
        base |= {
            entity.key[0]: wanted.get(entity.key[0], entity.default_type),
            "currencyId": company.currency,
        }
    row = _applied(entity, base, {name: value for name, value in wanted.items() if name != field})
    _check_new(company, entity, row)
    return row


def _check_new(company: Company, entity: Entity, row: Row) -> None:
    if entity.name in {"supplier", "customer"} and not row["name"]:
        raise ApiError(400, "'name' cannot be empty.")
    if entity.name != "purchaseReceipt":
        return
    supplier = company.table("supplier").get(str(row["supplier"].get("number")))
    if supplier is None:
        raise ApiError(400, f"Supplier '{row['supplier'].get('number')}' cannot be found in the system.")
    source = company.table("supplier").row(supplier)
    row["supplier"] = {
        "internalId": source.get("internalId", 0),
        "number": source["number"],
        "name": source["name"],
    }
    row["status"] = "Hold" if row.get("hold") else "Balanced"
    if not row["lines"]:
        raise ApiError(400, "The receipt must have at least one line.")
    for line in row["lines"]:
        _fill_from_order(company, line)
    row |= _receipt_totals(row)


def _fill_from_order(company: Company, line: Row) -> None:
    """A receipt line takes item, price and account from the order line it names."""
    if "poOrderNbr" not in line:
        return
    key = f"{line.get('poOrderType', 'RegularOrder')}|{line['poOrderNbr']}"
    orders = company.table("purchaseorder")
    order = orders.get(key)
    found = None
    if order is not None:
        number = str(line.get("poOrderLineNbr"))
        found = next((item for item in orders.row(order)["lines"] if str(item["lineNbr"]) == number), None)
    if found is None:
        raise ApiError(
            400, f"Purchase order line '{key}' {line.get('poOrderLineNbr')} cannot be found in the system."
        )
    for name in ("inventory", "unitCost", "uom", "account", "project", "orderQty", "lineType"):
        line.setdefault(name, found[name])
    line["amount"] = line["extCost"] = Decimal(str(line.get("receiptQty", 0))) * found["unitCost"]


def _note_on_orders(company: Company, row: Row, now: datetime) -> None:
    """The orders received on show the new receipt, and are stamped."""
    orders = company.table("purchaseorder")
    entry = {
        "type": row["receiptType"],
        "receiptNumber": row["receiptNbr"],
        "status": row["status"],
        "supplierName": row["supplier"]["name"],
        "totalQty": row["totalQty"],
        "totalAmt": row["totalAmt"],
    }
    keys = {
        f"{line.get('poOrderType', 'RegularOrder')}|{line['poOrderNbr']}"
        for line in row["lines"]
        if "poOrderNbr" in line
    }
    for key in sorted(keys):
        record = orders.get(key)
        if record is not None:
            receipts = [*orders.row(record).get("purchaseReceipts", []), entry]
            orders.change(record, {"purchaseReceipts": receipts}, now)
