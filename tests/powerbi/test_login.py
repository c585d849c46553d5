"""Logging in while Entra is out of order."""

from collections.abc import Callable

import pytest

from mlc_dagster.powerbi.auth import ServicePrincipal
from mlc_dagster.transport.errors import Again
from mlc_sandbox.server import Sandbox
from tests.support.sandbox_time import SandboxTime


@pytest.fixture
def principal(sandbox: Sandbox) -> Callable[[], ServicePrincipal]:
    ours = sandbox.powerbi.world.principal

    def made() -> ServicePrincipal:
        return ServicePrincipal(
            f"{sandbox.url}/powerbi/login",
            ours.tenant_id,
            ours.client_id,
            ours.secret,
            scope="https://analysis.windows.net/powerbi/api/.default",
            clock=SandboxTime(sandbox.clock),
        )

    return made


def test_an_entra_that_is_out_of_order_is_asked_again_by_the_next_try(
    sandbox: Sandbox, principal: Callable[[], ServicePrincipal]
) -> None:
    sandbox.faults.arm("powerbi", "token_error", status=503)
    with pytest.raises(Again, match="HTTP Error: 503"):
        principal().fetch()
    assert principal().fetch().value
