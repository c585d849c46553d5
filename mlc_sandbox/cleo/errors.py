"""How the service refuses: a JSON object with a human `message` (vendors/cleo.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from mlc_sandbox.core import JsonResponse


class ApiError(Exception):
    """Refuse the call with this status; `message` is for people, never for logic."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {message}")
        self.status, self.message, self.headers = status, message, dict(headers or {})

    def response(self) -> Response:
        """The JSON body."""
        return JsonResponse({"message": self.message}, self.status, self.headers)
