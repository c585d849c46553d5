"""Rate limits: a fixed window per company and client, told in headers, refused with 429 and Retry-After."""

from __future__ import annotations

from datetime import timedelta

from mlc_sandbox.server import Sandbox
from tests.sandbox.conftest import Erp


def left(erp: Erp) -> int:
    return int(erp.get("v1/branch").headers["X-RateLimit-Remaining"])


def test_every_answer_tells_the_window(erp: Erp) -> None:
    for path in ("v1/branch", "v1/supplier/nobody", "v1/timeCard"):
        headers = erp.get(path).headers
        assert headers["X-RateLimit-Limit"] == "5000"
        assert headers["X-RateLimit-Policy"] == "4-fixed-window"
        assert 0 < int(headers["X-RateLimit-Reset"]) <= 3600
    assert left(erp) == 4996


def test_companies_are_counted_apart(sandbox: Sandbox, erp: Erp) -> None:
    assert left(erp) == 4999
    assert left(Erp(sandbox, "SE01")) == 4999
    assert left(erp) == 4998


def test_past_the_limit_429_until_the_window_ends(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.visma.switches["rate_limit"] = 2
    assert [erp.get("v1/branch").status_code for _ in range(3)] == [200, 200, 429]
    refused = erp.get("v1/branch")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait <= 3600
    sandbox.clock.advance(timedelta(seconds=wait))
    erp.log_in()
    assert erp.get("v1/branch").status_code == 200


def test_a_lockout_closes_the_company_for_its_time(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "rate_limit_lockout", retry_after=45, after=1)
    assert [erp.get("v1/branch").status_code for _ in range(3)] == [200, 429, 429]
    assert 1 <= int(erp.get("v1/branch").headers["Retry-After"]) <= 45
    assert Erp(sandbox, "SE01").get("v1/branch").status_code == 200
    sandbox.clock.advance(timedelta(seconds=45))
    assert erp.get("v1/branch").status_code == 200
