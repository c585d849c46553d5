"""How the service refuses: the bodies of vendors/powerbi.md section 9."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from mlc_sandbox.core import JsonResponse


class ApiError(Exception):
    """Refuse the call with this status and body."""

    def __init__(
        self, status: int, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, dict(headers or {})

    def response(self) -> Response:
        """JSON, or empty without a body."""
        if self.body is None:
            return Response(status_code=self.status, headers=self.headers)
        return JsonResponse(dict(self.body), self.status, self.headers)


def simple(status: int, code: str, message: str) -> ApiError:
    """`{"error": {"code", "message"}}`."""
    return ApiError(status, {"error": {"code": code, "message": message}})


def detailed(status: int, code: str, *details: tuple[str, str]) -> ApiError:
    """`{"error": {"code", "pbi.error": {...}}}` with details as (code, text)."""
    inner = {
        "code": code,
        "parameters": {},
        "details": [{"code": name, "detail": {"type": 1, "value": text}} for name, text in details],
        "exceptionCulprit": 1,
    }
    return ApiError(status, {"error": {"code": code, "pbi.error": inner}})


def bad_request(*messages: str, target: str = "dataset") -> ApiError:
    """400 that names each thing that is wrong."""
    details = [{"message": message, "target": target} for message in messages]
    return ApiError(400, {"error": {"code": "BadRequest", "message": "Bad Request", "details": details}})


def too_many(seconds: float, text: str = "") -> ApiError:
    """429 without an error wrapper."""
    wait = max(1, math.ceil(seconds))
    what = text or "You have exceeded the amount of requests allowed in the current time frame and further "
    message = f"{what}{'' if text else 'requests will fail'}. Retry in {wait} seconds."
    return ApiError(429, {"message": message}, {"Retry-After": str(wait)})


def no_rights(face: int) -> ApiError:
    """The three faces of a missing role (section 1)."""
    if face == 404:
        return detailed(404, "PowerBIEntityNotFound")
    if face == 403:
        return ApiError(403)
    return detailed(401, "PowerBINotAuthorizedException")
