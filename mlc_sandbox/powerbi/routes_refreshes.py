"""Refreshes of the import model (vendors/powerbi.md section 12)."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mlc_sandbox.core import JsonResponse
from mlc_sandbox.powerbi.errors import bad_request, detailed, simple
from mlc_sandbox.powerbi.http import ApiCall, Gate
from mlc_sandbox.powerbi.routes_datasets import DATASET
from mlc_sandbox.powerbi.store import Dataset, Refresh
from mlc_sandbox.powerbi.world import VENDOR, World

ENHANCED: dict[str, Any] = {
    "type": ("Full", "ClearValues", "Calculate", "DataOnly", "Automatic", "Defragment"),
    "commitMode": ("Transactional", "PartialBatch"),
    "maxParallelism": int,
    "retryCount": int,
    "objects": list,
    "applyRefreshPolicy": bool,
    "effectiveDate": str,
}
_NOTIFY = ("NoNotification", "MailOnFailure", "MailOnCompletion")
_SHOWN = 60


class RefreshRoutes:
    """.../refreshes."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            self.gate.route(f"{DATASET}/refreshes", GET=self._history, POST=self._start),
            self.gate.route(f"{DATASET}/refreshes/{{refresh}}", GET=self._details, DELETE=self._cancel),
        ]

    def _dataset(self, call: ApiCall) -> Dataset:
        return self.world.find(call.ids["group"], call.ids["dataset"])

    def _start(self, call: ApiCall) -> Response:
        self.world.require(call.ids["group"], self.world.switches["least_write_role"])
        dataset = self._dataset(call)
        if dataset.push:
            text = "Invalid dataset. This API can only be called on a Model-based dataset"
            raise simple(400, "InvalidRequest", text)
        enhanced = _request(call.json() if call.body else {})
        self._check(dataset, enhanced)
        day = f"{self.world.clock.now():%Y-%m-%d}"
        refresh = Refresh(str(uuid.uuid4()), self.world.clock.wire(), day, enhanced)
        failing = self.world.faults.take(VENDOR, "refresh_fails", call.line)
        if failing is not None:
            refresh.will_fail = failing.get("code", "ModelRefreshFailed_CredentialsNotSpecified")
        dataset.refreshes.append(refresh)
        headers = {}
        if enhanced is not None:
            headers = {"Location": f"{call.url}/{refresh.id}", "x-ms-request-id": refresh.id}
        return Response(status_code=202, headers=headers)

    def _check(self, dataset: Dataset, enhanced: dict[str, Any] | None) -> None:
        switches = self.world.switches
        dedicated = switches["dedicated_capacity"]
        if enhanced is not None and not dedicated:
            raise simple(400, "InvalidRequest", "Enhanced refresh needs a workspace on a dedicated capacity.")
        if any(self._running(refresh) for refresh in dataset.refreshes):
            text = "Invalid dataset refresh request. Another refresh request is already executing"
            raise simple(switches["refresh_conflict"], "InvalidRequest", text)
        today = f"{self.world.clock.now():%Y-%m-%d}"
        done = sum(refresh.day == today for refresh in dataset.refreshes)
        if not dedicated and done >= switches.limit("refreshes_per_day"):
            text = "Invalid dataset refresh request. The daily number of refreshes is used up."
            raise simple(switches["refresh_quota_status"], "Request Throttled", text)

    def _running(self, refresh: Refresh) -> bool:
        """Whether it still runs; ends it when its time is over."""
        now = self.world.clock.wire()
        over = refresh.started + timedelta(seconds=self.world.switches["refresh_seconds"]) <= now
        if refresh.ended is None and over and refresh.polls >= self.world.switches["refresh_polls"]:
            refresh.ended, refresh.error = now, refresh.will_fail
            refresh.status = "Failed" if refresh.error else "Completed"
        return refresh.ended is None

    def _history(self, call: ApiCall) -> Response:
        refreshes = self._dataset(call).refreshes
        newest = list(reversed(refreshes))[: call.number("$top", _SHOWN)]
        entries = []
        for refresh in newest:
            self._running(refresh)
            refresh.polls += 1
            kind = "ViaApi" if refresh.enhanced is None else "ViaEnhancedApi"
            failed = {"serviceExceptionJson": _exception(refresh)} if refresh.error else {}
            times = {"refreshType": kind} | _times(refresh)
            status = "Failed" if refresh.status == "Cancelled" else refresh.status
            entries.append(times | failed | {"status": status, "requestId": refresh.id})
        return JsonResponse({"value": entries})

    def _find(self, call: ApiCall) -> Refresh:
        for refresh in self._dataset(call).refreshes:
            if refresh.id == call.ids["refresh"] and refresh.enhanced is not None:
                return refresh
        raise detailed(404, "PowerBIEntityNotFound")

    def _details(self, call: ApiCall) -> Response:
        refresh = self._find(call)
        running = self._running(refresh)
        refresh.polls += 1
        request = refresh.enhanced or {}
        kind = request.get("type", "Automatic")
        body: dict[str, Any] = _times(refresh) | {
            "type": kind,
            "commitMode": request.get("commitMode", "Transactional"),
            "status": "Failed" if refresh.status == "Cancelled" else refresh.status,
            "extendedStatus": "InProgress" if running else refresh.status,
            "currentRefreshType": kind,
            "numberOfAttempts": 0 if running else 1,
            "objects": request.get("objects", []),
        }
        if refresh.error:
            body["messages"] = [{"code": "0xC11C0020", "message": refresh.error, "type": "Error"}]
        return JsonResponse(body, 202 if running else 200)

    def _cancel(self, call: ApiCall) -> Response:
        refresh = self._find(call)
        if not self._running(refresh):
            raise simple(400, "InvalidRequest", "The refresh is not running.")
        refresh.ended, refresh.status = self.world.clock.wire(), "Cancelled"
        return Response()


def _request(body: Any) -> dict[str, Any] | None:
    """The enhanced parameters; None for a plain refresh. Raises ApiError 400."""
    if not isinstance(body, dict):
        raise bad_request("The body is no JSON object.", target="datasetRefreshRequest")
    unknown = [name for name in body if name != "notifyOption" and name not in ENHANCED]
    if unknown:
        raise bad_request(*[f"The property '{name}' does not exist." for name in unknown])
    if body.get("notifyOption", _NOTIFY[0]) not in _NOTIFY:
        raise bad_request(f"notifyOption is one of {', '.join(_NOTIFY)}.")
    enhanced = {name: value for name, value in body.items() if name in ENHANCED}
    wrong = [
        name
        for name, value in enhanced.items()
        if (value not in kind if isinstance(kind := ENHANCED[name], tuple) else not isinstance(value, kind))
    ]
    if wrong:
        raise bad_request(*[f"The value of '{name}' is not valid." for name in wrong])
    if enhanced and "notifyOption" in body:
        raise bad_request("notifyOption does not go with the parameters of an enhanced refresh.")
    return enhanced or None


def _times(refresh: Refresh) -> dict[str, str]:
    ended = {"endTime": _stamp(refresh.ended)} if refresh.ended else {}
    return {"startTime": _stamp(refresh.started)} | ended


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _exception(refresh: Refresh) -> str:
    return json.dumps({"errorCode": refresh.error})
