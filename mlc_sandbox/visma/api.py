"""The API itself: from a request to an answer, with the faults that were armed for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from mlc_sandbox.core import Dropped, gateway_page
from mlc_sandbox.visma import writes
from mlc_sandbox.visma.dimensions import dimension
from mlc_sandbox.visma.entities import Entity
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.lists import shown_sections
from mlc_sandbox.visma.routing import Call, find, read_call, route
from mlc_sandbox.visma.tokens import Token
from mlc_sandbox.world import Company, changes
from mlc_sandbox.world.store import Record, Row

if TYPE_CHECKING:
    from mlc_sandbox.visma.vendor import VismaVendor

# Every fault of this vendor; docs/sandbox.md says what each does and which parameters it takes.
FAULTS = (
    "slow",
    "drop_connection",
    "server_error",
    "token_error",
    "token_expired",
    "unauthorized",
    "rate_limit_lockout",
    "changed_meanwhile",
    "late_commit",
    "restamp_all",
    "empty_list",
    "broken_row",
    "wrapped_values",
    "extra_fields",
    "drift",
    "truncated_body",
    "invalid_json",
    "webhook_lost",
    "webhook_late",
    "webhook_duplicate",
)


class Api:
    """Handles /visma/api/...; `vendor` is the VismaVendor that holds worlds, tokens, limits and switches."""

    def __init__(self, vendor: VismaVendor) -> None:
        self.vendor = vendor
        self.late: list[tuple[datetime, Callable[[], Response]]] = []

    async def handle(self, request: Request) -> Response:
        """Starlette endpoint for every path of the API."""
        call = await read_call(request)
        if (slow := self._fault("slow", call)) is not None:
            await asyncio.sleep(slow.get("seconds", 1))
        drop = self._fault("drop_connection", call)
        if drop is not None and drop.get("when", "before") == "before":
            return Dropped()
        if (error := self._fault("server_error", call)) is not None:
            return self._server_error(error)
        with self.vendor.lock:
            response = self.answer(call)
        if drop is not None:
            return Dropped()
        return self._damaged(response, call)

    def answer(self, call: Call) -> Response:
        """The answer as the real API would give it; refusals included."""
        headers: dict[str, str] = {}
        self._catch_up()
        try:
            entity = route(call)
            token, company = self._admitted(call, headers)
            response = self._perform(call, entity, token, company)
        except ApiError as error:
            response = error.response(self.vendor.switches["error_body"])
        response.headers.update(headers)
        return response

    def _admitted(self, call: Call, headers: dict[str, str]) -> tuple[Token, Company]:
        """Bearer, rate limit, company header. Puts the rate-limit headers of the answer into `headers`."""
        if self._fault("token_expired", call) is not None:
            self.vendor.tokens.revoke()
        if self._fault("unauthorized", call) is not None:
            raise ApiError(401)
        token: Token = self.vendor.tokens.check(call.headers.get("authorization"), call.method)
        company: Company = self.vendor.companies[str(token.company)]
        if (lockout := self._fault("rate_limit_lockout", call)) is not None:
            self.vendor.limits.lock(company.code, token.client, lockout.get("retry_after", 45))
        headers.update(self.vendor.limits.count(company.code, token.client))
        return token, company

    def _perform(self, call: Call, entity: Entity | None, token: Token, company: Company) -> Response:
        owner = (company.code, token.client)
        if entity is None:
            if call.rest[1:] == ("content",):
                return self.vendor.background.content(call.rest[0], owner)
            return self.vendor.background.state(call.rest[0], owner, call.root)
        wrong_company = self._wrong_company(call, company)
        if (late := self._fault("late_commit", call)) is not None:
            due = self.vendor.clock.wire() + timedelta(seconds=late.get("seconds", 60))
            self.late.append((due, partial(self._execute, call, entity, company, wrong_company)))
            return gateway_page(504)
        wanted = call.headers.get("erp-api-background", "none").lower()
        if wanted != "none" and self.vendor.switches["background"] == "honoured":
            try:
                response = self._execute(call, entity, company, wrong_company)
            except ApiError as error:
                response = error.response(self.vendor.switches["error_body"])
            return self.vendor.background.accept(owner, call.line.partition(" ")[2], call.root, response)
        return self._execute(call, entity, company, wrong_company)

    def _catch_up(self) -> None:
        """Do what was late by now. Where it is refused nobody is there to read why."""
        now = self.vendor.clock.wire()
        due = [work for at, work in self.late if at <= now]
        self.late = [(at, work) for at, work in self.late if at > now]
        for work in due:
            with suppress(ApiError):
                work()

    def _wrong_company(self, call: Call, company: Company) -> bool:
        """With the header required: absent is fault 12002, another company's reads as empty (section 3)."""
        if self.vendor.switches["company_header"] == "ignored":
            return False
        given = call.headers.get("ipp-company-id")
        if given is None:
            detail = {"ExceptionType": "IPPException", "ExceptionMessage": "", "ExceptionFaultCode": "12002"}
            raise ApiError(400, detail | {"ExceptionMessageID": "12002_00000000", "ExceptionDetails": ""})
        return bool(given != company.company_id)

    def _execute(self, call: Call, entity: Entity, company: Company, wrong_company: bool) -> Response:
        if call.is_list:
            return self._list(call, entity, company, wrong_company)
        if call.method == "POST":
            return self._told(entity, company, "added", writes.post(company, entity, call.body))
        if entity.name == "dimension":
            return self._json(dimension(company, call.rest, call.query))
        any_type = self.vendor.switches["untyped_address"] == "any"
        record = None if wrong_company else find(company, entity, call.rest, any_type=any_type)
        if record is None:
            raise ApiError(404, f"'{call.rest[-1]}' cannot be found in the system.")
        if call.method == "GET":
            return self._single(call, entity, company, record)
        if call.method == "DELETE":
            return self._told(entity, company, "deleted", writes.delete(company, entity, record), record.key)
        return self._told(entity, company, "changed", self._put(call, entity, company, record), record.key)

    def _told(self, entity: Entity, company: Company, what: str, answer: Response, key: str = "") -> Response:
        """Tell the webhooks' subscribers of a write that went well."""
        created = answer.headers.get("location", "").rsplit("/", 1)[-1]
        self.vendor.webhooks.notify(company.tenant_id, entity.name, what, key or created)
        return answer

    def _put(self, call: Call, entity: Entity, company: Company, record: Record) -> Response:
        if self._fault("changed_meanwhile", call) is not None:
            # Somebody else's write between the client's read and this one: its ETag is stale now.
            company.table(entity.name).touch(record, company.clock.now())
        return writes.put(company, entity, record, call.body, call.headers.get("if-match"))

    def _single(self, call: Call, entity: Entity, company: Company, record: Record) -> Response:
        shown = shown_sections(entity, call.query)
        flags = {*entity.sections, *entity.line_sections} - set(entity.single_hidden)
        visible = self.vendor.rows.visible(entity, company.table(entity.name), record, shown | flags)
        headers = {"ETag": f'"{record.time_stamp}"'} if entity.time_stamp else {}
        return self._json(visible, headers)

    def _list(self, call: Call, entity: Entity, company: Company, wrong_company: bool) -> Response:
        table = company.table(entity.name)
        if self._fault("restamp_all", call) is not None:
            table.restamp(table.sorted(), company.clock.now())
        if wrong_company or self._fault("empty_list", call) is not None:
            return Response(b"[]", media_type="application/json")
        if entity.name == "dimension":
            return self._json([record.key for record in table])
        shown = shown_sections(entity, call.query)
        page = self.vendor.lists.page(company, entity, call.query)
        rows = self._damaged_rows(call, lambda: self.vendor.lists.dicts(company, entity, page, shown))
        if rows is None and "togglebalancesigns" in call.query:
            rows = _toggled(self.vendor.lists.dicts(company, entity, page, shown), call.query)
        body = self.vendor.lists.body(company, entity, page, shown) if rows is None else self._encoded(rows)
        self._drift(call, entity, company)
        return Response(body, media_type="application/json")

    def _drift(self, call: Call, entity: Entity, company: Company) -> None:
        drift = self._fault("drift", call)
        if drift is not None:
            self.vendor.pages_drifted += 1
            rng = random.Random(f"{drift.get('seed', 0)}/{self.vendor.pages_drifted}")
            amounts = {name: int(drift.get(name, 0)) for name in ("restamp", "delete", "insert")}
            changes.drift(company, entity.name, rng, **amounts)

    def _damaged_rows(self, call: Call, rows: Any) -> list[Row] | None:
        """Rows that no longer are what the schema says, or None when no such fault is armed."""
        broken = self._fault("broken_row", call)
        wrapped = self._fault("wrapped_values", call)
        extra = self._fault("extra_fields", call)
        if broken is None and wrapped is None and extra is None:
            return None
        damaged: list[Row] = rows()
        if broken is not None and damaged:
            field, value = broken.get("field", "amount"), broken.get("value", "abc")
            number = broken.get("number")
            hit = [row for row in damaged if number in row.values()] if number else damaged[:1]
            for row in hit:
                row[field] = value
        if extra is not None:
            unknown = extra.get(
                "fields", {"newVendorField": {"id": "X", "since": "2026-11"}, "anotherFlag": True}
            )
            damaged = [row | unknown for row in damaged]
        if wrapped is not None:
            damaged = [_wrapped(row, wrapped.get("fields")) for row in damaged]
        return damaged

    def _damaged(self, response: Response, call: Call) -> Response:
        """Bodies cut in half or turned into something that is not JSON, with status 200."""
        if response.status_code != 200 or not call.is_list:
            return response
        if self._fault("truncated_body", call) is not None:
            return Response(response.body[: len(response.body) // 2], media_type="application/json")
        if self._fault("invalid_json", call) is not None:
            return Response(bytes(response.body).replace(b":", b"=", 3), media_type="application/json")
        return response

    def _server_error(self, error: dict[str, Any]) -> Response:
        status = error.get("status", 500)
        if error.get("html"):
            return gateway_page(status)
        return ApiError(status, "An error has occurred.").response(self.vendor.switches["error_body"])

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> Response:
        return Response(self._encoded(value), headers=headers, media_type="application/json")

    def _encoded(self, value: Any) -> bytes:
        text: str = self.vendor.rows.json(value)
        return text.encode()

    def _fault(self, name: str, call: Call) -> dict[str, Any] | None:
        params: dict[str, Any] | None = self.vendor.faults.take("visma", name, call.line)
        return params


def _wrapped(row: Row, fields: list[str] | None) -> Row:
    return {
        name: {"value": value}
        if not isinstance(value, dict | list) and (fields is None or name in fields)
        else value
        for name, value in row.items()
    }


def _toggled(rows: list[Row], query: dict[str, str]) -> list[Row]:
    """toggleBalanceSigns: liability and income balances with the other sign."""
    if query["togglebalancesigns"].lower() not in {"true", "1"}:
        return rows
    names = (
        "beginningBalance",
        "yearToDateBalance",
        "beginningBalanceInCurrency",
        "yearToDateBalanceInCurrency",
    )
    return [
        row | {name: -Decimal(row[name]) for name in names}
        if row["account"]["type"] in {"Liability", "Income"}
        else row
        for row in rows
    ]
