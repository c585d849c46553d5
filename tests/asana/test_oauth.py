"""OAuth at Asana: the login by hand with PKCE, renewals that all processes share, words for each failure."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet

from mlc_dagster.asana.connect import Asana
from mlc_dagster.asana.oauth import Attempt
from mlc_dagster.database.schema import vault
from mlc_dagster.grant import NoLoginByHand
from mlc_dagster.transport.errors import Misconfigured
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import Installation

BACK = "https://integration.nordfjell.example/asana"
OAUTH = {
    "method": "oauth",
    "client_id": "${ASANA_CLIENT_ID}",
    "client_secret": "${ASANA_CLIENT_SECRET}",
    "redirect_uri": BACK,
}


@pytest.fixture
def ours(
    install: Callable[..., Installation], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    for name, value in sandbox.asana.secrets().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLC_VAULT_KEY", Fernet.generate_key().decode())
    return install(auth=OAUTH)


def browse(asana: Asana, attempt: Attempt) -> str:
    """Where a browser ends after the user agreed."""
    address = asana.grant.service.authorize_address(attempt)
    return requests.get(address, allow_redirects=False, timeout=30).headers["Location"]


def log_in(asana: Asana) -> None:
    attempt = Attempt()
    asana.grant.keep(asana.grant.service.by_code(browse(asana, attempt), attempt))


def token_calls(sandbox: Sandbox) -> int:
    return int(sandbox.log.count("asana", match="/-/oauth_token"))


def test_the_browser_is_sent_with_a_challenge_and_never_with_the_verifier(ours: Installation) -> None:
    attempt = Attempt()
    address = ours.asana.grant.service.authorize_address(attempt)
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "default"
    assert query["redirect_uri"] == BACK
    assert attempt.verifier not in address
    assert Attempt().verifier != attempt.verifier


def test_a_login_in_the_browser_opens_the_workspace(ours: Installation, sandbox: Sandbox) -> None:
    log_in(ours.asana)
    assert "Nordfjell" in ours.asana.look()
    assert token_calls(sandbox) == 1


def test_a_code_of_another_login_is_not_taken(ours: Installation) -> None:
    attempt = Attempt()
    address = browse(ours.asana, attempt)
    with pytest.raises(Misconfigured, match=r"code works once.* Run `mlc asana login` again"):
        ours.asana.grant.service.by_code(address, Attempt(state=attempt.state))


def test_an_address_of_another_login_is_told(ours: Installation) -> None:
    with pytest.raises(Misconfigured, match="does not belong to this login"):
        ours.asana.grant.service.by_code(browse(ours.asana, Attempt()), Attempt())


def test_an_app_without_full_permissions_is_told_what_to_tick(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.asana.switches["full_permissions"] = False
    attempt = Attempt()
    with pytest.raises(Misconfigured, match="Tick `Full permissions`"):
        ours.asana.grant.service.by_code(browse(ours.asana, attempt), attempt)


def test_a_token_that_ends_is_renewed_and_the_refresh_token_is_kept(
    ours: Installation, sandbox: Sandbox
) -> None:
    log_in(ours.asana)
    for renewals in (1, 2):
        sandbox.clock.advance(timedelta(minutes=56))
        # Each is another process; the second one finds what the first has stored.
        ours.asana.look()
        ours.asana.look()
        assert token_calls(sandbox) == 1 + renewals


def test_a_token_that_is_refused_is_renewed_at_once(ours: Installation, sandbox: Sandbox) -> None:
    log_in(ours.asana)
    asana = ours.asana
    asana.look()
    sandbox.asana.world.login.expire_all()
    asana.look()
    assert token_calls(sandbox) == 2


def test_a_refresh_without_an_answer_is_asked_again(ours: Installation, sandbox: Sandbox) -> None:
    log_in(ours.asana)
    sandbox.clock.advance(timedelta(minutes=56))
    sandbox.faults.arm("asana", "token_error", times=2, status=503)
    ours.asana.look()
    assert token_calls(sandbox) == 4


def test_a_revoked_login_says_so_once_and_with_the_command(ours: Installation, sandbox: Sandbox) -> None:
    log_in(ours.asana)
    sandbox.clock.advance(timedelta(minutes=56))
    sandbox.asana.world.login.refresh_tokens.clear()
    with pytest.raises(Misconfigured, match=r"revoked.* Run `mlc asana login` again"):
        ours.asana.look()


def test_nobody_has_logged_in_yet(ours: Installation) -> None:
    with pytest.raises(Misconfigured, match="Run `mlc asana login` once"):
        ours.asana.look()


def test_a_wrong_secret_of_the_app_is_told(ours: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASANA_CLIENT_SECRET", "another")
    attempt = Attempt()
    with pytest.raises(Misconfigured, match="Check client_id, client_secret and redirect_uri") as caught:
        ours.asana.grant.service.by_code(browse(ours.asana, attempt), attempt)
    assert "another" not in str(caught.value)


def test_a_token_of_ones_own_needs_no_login(install: Callable[..., Installation]) -> None:
    with pytest.raises(NoLoginByHand, match="`method: oauth`"):
        _ = install().asana.grant


def test_the_vault_shows_no_token(ours: Installation, sandbox: Sandbox, engine: sa.Engine) -> None:
    log_in(ours.asana)
    login = sandbox.asana.world.login
    with engine.connect() as connection:
        (kept,) = connection.execute(sa.select(vault.c.sealed)).scalars()
    assert not [token for token in (*login.access, *login.refresh_tokens) if token in kept]
