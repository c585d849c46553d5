"""Token service under /auth/token and OAuth service under /auth/authorize and /oauth."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mlc_sandbox.anaplan.auth import CUSTOMER_ID, LoginRefused, Token
from mlc_sandbox.anaplan.effects import VENDOR
from mlc_sandbox.anaplan.http import prefix_url
from mlc_sandbox.anaplan.oauth import INTERVAL, OAuthError
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import Dropped, JsonResponse

STATUS = {"FAILURE_BAD_HEADER": 400, "FAILURE_BAD_CREDENTIAL": 401}


class AuthRoutes:
    """Logins and token upkeep; every refusal carries the token service's status word."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """All routes of both services."""
        return [
            self._route("/auth/token/authenticate", "POST", self._authenticate),
            self._route("/auth/token/refresh", "POST", self._refresh),
            self._route("/auth/token/validate", "GET", self._validate),
            self._route("/auth/token/logout", "POST", self._logout),
            self._route("/auth/authorize", "GET", self._authorize),
            self._route("/auth/prelogin", "GET", self._authorize),
            self._route("/oauth/token", "POST", self._token),
            self._route("/oauth/device/code", "POST", self._device_code),
            self._route("/oauth/activate", "GET", self._activate),
        ]

    def _route(self, path: str, method: str, handler: Callable[[Request, bytes], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            line = f"{method} {path}"
            drop = self.world.faults.take(VENDOR, "drop_connection", line)
            if drop is not None and drop.get("when", "before") == "before":
                return Dropped()
            broken = self.world.faults.take(VENDOR, "server_error", line)
            if broken is not None:
                return JsonResponse({"status": "FAILURE"}, int(broken.get("status", 500)))
            response = self._answer(handler, request, body)
            return response if drop is None else Dropped()

        return Route(path, endpoint, methods=[method])

    def _answer(
        self, handler: Callable[[Request, bytes], Response], request: Request, body: bytes
    ) -> Response:
        with self.world.lock:
            try:
                return handler(request, body)
            except LoginRefused as error:
                return JsonResponse(
                    {"status": error.status, "statusMessage": str(error)}, STATUS[error.status]
                )
            except OAuthError as error:
                return JsonResponse({"error": error.error, "error_description": str(error)}, error.status)

    def _authenticate(self, request: Request, body: bytes) -> Response:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            token = self.world.directory.basic_login(value.strip())
        elif scheme == "CACertificate":
            token = self.world.directory.certificate_login(value.strip(), body)
        else:
            raise LoginRefused("FAILURE_BAD_HEADER", "Invalid header. Verify the header.")
        return self._token_reply(request, token, "Login successful", 201)

    def _refresh(self, request: Request, body: bytes) -> Response:  # noqa: ARG002
        token = self.world.directory.refresh(_value(request))
        return self._token_reply(request, token, "Token refreshed", 200)

    def _validate(self, request: Request, body: bytes) -> Response:  # noqa: ARG002
        token = self.world.directory.check(_value(request))
        user = self.world.directory.users[token.email]
        return JsonResponse(
            _head(request, "Token validated")
            | {
                "tokenInfo": {"expiresAt": self.world.wire_ms(token.expires), "tokenId": token.id},
                "userInfo": {"userGuid": user.id, "userId": user.email, "customerGuid": CUSTOMER_ID},
            }
        )

    def _logout(self, request: Request, body: bytes) -> Response:  # noqa: ARG002
        self.world.directory.revoke(_value(request))
        return Response(status_code=204)

    def _token_reply(self, request: Request, token: Token, message: str, status: int) -> Response:
        info = {
            "tokenId": token.id,
            "tokenValue": token.value,
            "expiresAt": self.world.wire_ms(token.expires),
            "refreshTokenId": token.id,
        }
        return JsonResponse(_head(request, message) | {"tokenInfo": info}, status)

    def _authorize(self, request: Request, body: bytes) -> Response:  # noqa: ARG002
        query = request.query_params
        if query.get("response_type") != "code" or not query.get("redirect_uri"):
            raise OAuthError("invalid_request", "response_type is code, and redirect_uri is required")
        code = self.world.oauth.authorize(query.get("client_id", ""), query["redirect_uri"])
        back = {"code": code} | ({"state": query["state"]} if "state" in query else {})
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 302)

    def _token(self, request: Request, body: bytes) -> Response:
        return JsonResponse(self.world.oauth.token(_fields(request, body)))

    def _device_code(self, request: Request, body: bytes) -> Response:
        code, grant = self.world.oauth.device_code(_fields(request, body).get("client_id", ""))
        page = f"{prefix_url(request)}/oauth/activate"
        return JsonResponse(
            {
                "device_code": code,
                "user_code": grant.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={grant.user_code}",
                "expires_in": 900,
                "interval": INTERVAL,
            }
        )

    def _activate(self, request: Request, body: bytes) -> Response:  # noqa: ARG002
        approved = request.query_params.get("decision") != "decline"
        self.world.oauth.decide(request.query_params.get("user_code", ""), approved=approved)
        return Response("Approved." if approved else "Declined.", media_type="text/plain")


def _head(request: Request, message: str) -> dict[str, Any]:
    url = f"{prefix_url(request)}/auth/token/validate"
    return {"meta": {"validationUrl": url}, "status": "SUCCESS", "statusMessage": message}


def _value(request: Request) -> str:
    """The token value; the token service refuses Bearer (vendors/anaplan.md section 2)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme != "AnaplanAuthToken" or not value:
        raise LoginRefused("FAILURE_BAD_HEADER", "Invalid header. Verify the header.")
    return value.strip()


def _fields(request: Request, body: bytes) -> dict[str, str]:
    """JSON or form fields: the documentation sends JSON, a common client sends a form."""
    if "form" in request.headers.get("content-type", ""):
        return dict(parse_qsl(body.decode()))
    try:
        fields = json.loads(body or b"{}")
    except ValueError as error:
        raise OAuthError("invalid_request", "The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise OAuthError("invalid_request", "The body is not an object.")
    return {str(name): str(value) for name, value in fields.items()}
