"""How the API refuses: a status and a body in the form the switch asks for."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from mlc_sandbox.core import JsonResponse, gateway_page


class ApiError(Exception):
    """Refuse the request with this status; `message` may be a ready JSON object."""

    def __init__(
        self, status: int, message: str | Mapping[str, str] = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status, self.message, self.headers = status, message, dict(headers or {})

    def response(self, form: str) -> Response:
        """As JSON, HTML or empty. 401 is empty and gateway errors are HTML whatever the switch says."""
        if self.status == 401:
            return Response(status_code=401, headers=self.headers | {"WWW-Authenticate": "Bearer"})
        if form == "html" or self.status in {502, 503, 504}:
            return gateway_page(self.status, self.headers)
        if form == "empty":
            return Response(status_code=self.status, headers=self.headers)
        body = {"message": self.message} if isinstance(self.message, str) else dict(self.message)
        return JsonResponse(body, self.status, self.headers)
