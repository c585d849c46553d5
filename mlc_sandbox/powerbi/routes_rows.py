"""Rows of push tables: add, clear, sequence numbers, and everything that can go wrong with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mlc_sandbox.core import Dropped, JsonResponse, gateway_page
from mlc_sandbox.powerbi.errors import bad_request, simple, too_many
from mlc_sandbox.powerbi.http import ApiCall, Gate
from mlc_sandbox.powerbi.routes_datasets import TABLE
from mlc_sandbox.powerbi.store import Dataset, Late, Row, TableStore
from mlc_sandbox.powerbi.values import Unfit, convert
from mlc_sandbox.powerbi.world import VENDOR, World

SEQUENCE_HEADER = "X-PowerBI-PushData-SequenceNumber"
_SHOWN_PROBLEMS = 10


class RowRoutes:
    """.../tables/{table}/rows and sequenceNumbers."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            self.gate.route(f"{TABLE}/rows", POST=self._add, DELETE=self._clear),
            self.gate.route(f"{TABLE}/sequenceNumbers", GET=self._sequence_numbers),
        ]

    def _table(self, call: ApiCall) -> tuple[Dataset, TableStore]:
        dataset = self.world.find_push(call.ids["group"], call.ids["dataset"])
        return dataset, self.world.find_table(dataset, call.ids["table"])

    def _add(self, call: ApiCall) -> Response:
        self.world.require(call.ids["group"], self.world.switches["least_write_role"])
        dataset, table = self._table(call)
        self._check_pending(call, dataset)
        if len(call.body) > self.world.switches.limit("post_bytes"):
            raise _too_large(f"The body has {len(call.body)} bytes.")
        rows = self._rows(call, table)
        late = Late("POST", rows, call.client, self._sequence(call, table))
        self.world.limits.post_rows(dataset, table, len(rows))
        return self._commit(call, dataset, table, late)

    def _commit(self, call: ApiCall, dataset: Dataset, table: TableStore, late: Late) -> Response:
        """Store the rows, unless a fault keeps some of them or all, for a while or for ever."""
        fault = self._fault("late_post", call)
        if fault is not None:
            late.deletes = int(fault.get("deletes", 1)) if "seconds" not in fault else None
            return self._unanswered(table, late, fault)
        partial = self._fault("partial_apply", call)
        if partial is not None:
            sent = len(late.rows)
            late.rows = late.rows[: int(partial.get("rows", sent // 2))]
            self.world.store(dataset, table, late, sent=sent, note="partial")
            self.world.count_down(dataset, table, "posts")
            return _answer(partial)
        self.world.store(dataset, table, late)
        self.world.count_down(dataset, table, "posts")
        return Response()

    def _clear(self, call: ApiCall) -> Response:
        self.world.require(call.ids["group"], self.world.switches["least_write_role"])
        dataset, table = self._table(call)
        fault = self._fault("late_delete", call)
        if fault is not None:
            posts = int(fault.get("posts", 1)) if "seconds" not in fault else None
            return self._unanswered(table, Late("DELETE", posts=posts), fault)
        self.world.clear(table)
        self.world.count_down(dataset, table, "deletes")
        return Response()

    def _unanswered(self, table: TableStore, late: Late, fault: dict[str, Any]) -> Response:
        if "seconds" in fault:
            late.due = self.world.clock.wire() + timedelta(seconds=float(fault["seconds"]))
        table.late.append(late)
        return _answer(fault)

    def _fault(self, name: str, call: ApiCall) -> dict[str, Any] | None:
        return self.world.faults.take(VENDOR, name, call.line)

    def _check_pending(self, call: ApiCall, dataset: Dataset) -> None:
        pending = call.pending
        if self.world.switches["pending_until"] == "visible":
            self.world.reveal(dataset)
            pending += sum(len(table.unseen) for table in dataset.tables.values())
        if pending > self.world.switches.limit("pending_posts"):
            raise too_many(1, "Too many pending requests to add rows to this dataset")

    # The body

    def _rows(self, call: ApiCall, table: TableStore) -> list[Row]:
        body = call.json()
        if not isinstance(body, dict) or set(body) != {"rows"} or not isinstance(body["rows"], list):
            raise bad_request(
                "The body must be an object with the one property 'rows', an array.", target="rows"
            )
        if len(body["rows"]) > self.world.switches.limit("post_rows"):
            raise _too_large(f"The request has {len(body['rows'])} rows.")
        problems: list[str] = []
        columns = table.columns
        rows = [self._row(number, row, columns, problems) for number, row in enumerate(body["rows"])]
        if problems:
            raise bad_request(*problems[:_SHOWN_PROBLEMS], target="rows")
        return rows

    def _row(self, number: int, row: Any, columns: dict[str, str], problems: list[str]) -> Row:
        """The stored row: a column that is not sent is null."""
        if not isinstance(row, dict):
            problems.append(f"Row {number} is no JSON object.")
            return ()
        if self.world.switches["unknown_column"] == "refused":
            problems += [f"Row {number}: there is no column '{name}'." for name in row if name not in columns]
        values = []
        for name, kind in columns.items():
            try:
                values.append(convert(kind, row.get(name), self.world.switches))
            except Unfit as error:
                problems.append(f"Row {number}, column '{name}' ({kind}): the value {error}.")
        return tuple(values)

    # Sequence numbers (section 6)

    def _sequence(self, call: ApiCall, table: TableStore) -> int | None:
        text, mode = call.headers.get(SEQUENCE_HEADER), self.world.switches["sequence_numbers"]
        if text is None or mode == "ignored":
            return None
        if not text.lstrip("-").isdigit():
            raise bad_request(f"{SEQUENCE_HEADER} is not a number.", target="rows")
        number, last = int(text), table.sequence.get(call.client)
        if mode == "reject_not_greater" and last is not None and number <= last:
            raise simple(400, "InvalidRequest", f"Sequence number {number} is not greater than {last}.")
        return number

    def _sequence_numbers(self, call: ApiCall) -> Response:
        _, table = self._table(call)
        numbers = [{"clientId": who, "sequenceNumber": last} for who, last in table.sequence.items()]
        return JsonResponse({"value": numbers})


def _too_large(text: str) -> Exception:
    return simple(413, "RequestEntityTooLarge", text)


def _answer(fault: dict[str, Any]) -> Response:
    """`answer` of a fault: drop (the standard), or the status of a gateway's page."""
    answer = fault.get("answer", "drop")
    return Dropped() if answer == "drop" else gateway_page(int(answer))
