"""Access tokens and Connected Apps: one session for all processes, renewed before it ends."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from mlc_dagster.tableau.auth import App
from mlc_dagster.target import NotSetUp
from mlc_dagster.transport.errors import Misconfigured
from mlc_sandbox.server import Sandbox
from tests.tableau.site import APP, PAT, Installation, invoice

SIGN_INS = r"/auth/signin"


def sign_ins(sandbox: Sandbox) -> int:
    return sandbox.log.count("tableau", method="POST", match=SIGN_INS)


def test_processes_share_one_session_so_none_ends_the_others(ours: Installation, sandbox: Sandbox) -> None:
    one, other = ours.tableau, ours.tableau
    assert one.look() == other.look() == "project ERP"
    assert one.look() == "project ERP"
    assert sign_ins(sandbox) == 1


def test_a_session_that_somebody_ended_is_replaced_once_for_all(ours: Installation, sandbox: Sandbox) -> None:
    one, other = ours.tableau, ours.tableau
    one.look()
    other.look()
    sandbox.tableau.world.login.sessions.clear()
    one.look()
    other.look()
    assert sign_ins(sandbox) == 2


def test_another_secret_is_tried_at_once_not_when_the_old_ones_session_ends(
    ours: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.tableau.look()
    monkeypatch.setenv("TABLEAU_PAT_SECRET", "not-the-secret")
    with pytest.raises(Misconfigured, match="The sign-in was refused"):
        ours.tableau.look()


@pytest.mark.parametrize("ends", ["idle", "absolute"])
def test_a_session_is_renewed_before_it_ends(ours: Installation, sandbox: Sandbox, ends: str) -> None:
    sandbox.tableau.switches.update({"session_ends": ends})
    tableau = ours.tableau
    tableau.look()
    sandbox.clock.advance(timedelta(minutes=101))
    sandbox.log.reset()
    tableau.look()
    assert sign_ins(sandbox) == 1
    assert [call.status for call in sandbox.log.calls("tableau") if call.status == 401] == []


def test_a_refused_token_says_what_to_check_and_shows_no_secret(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.tableau.world.login.pats["erp-sync"].revoked = True
    with pytest.raises(Misconfigured, match="unused for 15 days") as refused:
        ours.tableau.look()
    assert sandbox.tableau.secrets()["TABLEAU_PAT_SECRET"] not in str(refused.value)


def test_the_stored_session_is_not_readable_in_the_database(ours: Installation, tmp_path) -> None:
    tableau = ours.tableau
    tableau.look()
    token = tableau.session.headers()["X-Tableau-Auth"]
    assert token.encode() not in (tmp_path / "mlc.db").read_bytes()


def test_the_last_day_of_an_access_token_is_known_without_a_call(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    [end] = install(auth={**PAT, "ends": date(2027, 5, 1)}).tableau.expiries()
    assert (end.what, end.ends_at) == ("Tableau's access token erp-sync", datetime(2027, 5, 1, tzinfo=UTC))
    assert "`ends` of mlc.yaml" in end.remedy
    assert sandbox.log.calls("tableau") == []


def test_a_token_in_use_has_no_other_end(ours: Installation, sandbox: Sandbox) -> None:
    assert ours.tableau.expiries() == ()
    ours.tableau.look()
    sandbox.clock.advance(timedelta(days=9))
    assert ours.tableau.expiries() == ()


def test_a_token_nobody_used_for_ten_days_ends_five_days_later(ours: Installation, sandbox: Sandbox) -> None:
    ours.tableau.look()
    used = ours.clock.now()
    sandbox.clock.advance(timedelta(days=10))
    [end] = ours.tableau.expiries()
    assert abs(end.ends_at - used - timedelta(days=15)) < timedelta(minutes=1)
    assert "tableau_site" in end.remedy
    # Whoever uses it moves that end on.
    sandbox.tableau.world.login.pats["erp-sync"].used = sandbox.clock.now()
    ours.tableau.look()
    assert ours.tableau.expiries() == ()


def test_a_connected_app_does_not_end(install: Callable[..., Installation]) -> None:
    assert install(auth=APP).tableau.expiries() == ()


def test_a_connected_app_delivers_with_a_jwt(install: Callable[..., Installation]) -> None:
    ours = install(auth=APP)
    ours.deliver([invoice("1")])
    ours.deliver([invoice("1", "2")])
    assert ours.shown() == ours.wanted([invoice("1", "2")])


def test_credentials_do_not_show_in_a_repr() -> None:
    assert "hidden" not in repr(App("client", "id", "hidden", "user@nordfjell.example"))


def test_a_project_that_is_not_there_is_told(install: Callable[..., Installation]) -> None:
    with pytest.raises(NotSetUp, match="mlc tableau setup"):
        install(project="Nowhere").tableau.look()
