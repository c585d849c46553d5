"""Logging in while Entra is out of order, or while something else answers in its place."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlc_dagster.powerbi.auth import PUBLIC, ServicePrincipal
from mlc_dagster.transport.errors import Again, Misconfigured
from mlc_sandbox.server import Sandbox
from tests.support.sandbox_time import SandboxTime
from tests.support.serving import served

Principal = Callable[..., ServicePrincipal]


@pytest.fixture
def principal(sandbox: Sandbox) -> Principal:
    ours = sandbox.powerbi.world.principal

    def made(login_url: str = f"{sandbox.url}/powerbi/login") -> ServicePrincipal:
        return ServicePrincipal(
            login_url,
            ours.tenant_id,
            ours.client_id,
            ours.secret,
            scope="https://analysis.windows.net/powerbi/api/.default",
            clock=SandboxTime(sandbox.clock),
        )

    return made


def test_an_entra_that_is_out_of_order_is_asked_again_by_the_next_try(
    sandbox: Sandbox, principal: Principal
) -> None:
    sandbox.faults.arm("powerbi", "token_error", status=503)
    with pytest.raises(Again, match="HTTP Error: 503"):
        principal().fetch()
    assert principal().fetch().value


def answering(discovery: object, token: object) -> Starlette:
    """A login host that answers so. Texts are sent as they are."""

    async def answer(request: Request) -> Response:
        said = discovery if request.method == "GET" else token
        return Response(said) if isinstance(said, str) else JSONResponse(said)

    return Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])])


PLACES = {"authorization_endpoint": f"{PUBLIC}/t/authorize", "token_endpoint": f"{PUBLIC}/t/token"}


@pytest.mark.parametrize("discovery", [{}, [], None, dict.fromkeys(PLACES, 7), "Sign in to this network"])
def test_something_else_than_entra_at_the_login_host_is_told_as_such(
    principal: Principal, discovery: object
) -> None:
    with (
        served(answering(discovery, {})) as url,
        pytest.raises(Misconfigured, match="Check login_url and tenant_id"),
    ):
        principal(url).fetch()


@pytest.mark.parametrize(
    "token", [[], None, "Sign in to this network", {"access_token": "abc", "expires_in": "x"}]
)
def test_something_else_than_a_token_is_told_as_such(principal: Principal, token: object) -> None:
    with (
        served(answering(PLACES, token)) as url,
        pytest.raises(Misconfigured, match="Check login_url and tenant_id"),
    ):
        principal(url).fetch()


def test_a_token_that_does_not_say_how_long_it_lives_is_good_for_the_hour_that_msal_assumes(
    sandbox: Sandbox, principal: Principal
) -> None:
    with served(answering(PLACES, {"access_token": "abc"})) as url:
        token = principal(url).fetch()
    left = token.expires_at - SandboxTime(sandbox.clock).now()
    assert (token.value, round(left.total_seconds() / 60)) == ("abc", 60)


def test_a_file_of_authorities_that_is_not_there_is_named_and_nobody_is_asked(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(
        Misconfigured, match=r"REQUESTS_CA_BUNDLE names .*none\.pem, and there is no such file"
    ):
        principal("https://127.0.0.1:9").fetch()
