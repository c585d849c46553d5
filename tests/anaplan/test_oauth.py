"""OAuth: the login by hand, the grant that all processes share, and the words for each way it fails."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sqlalchemy as sa

from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.anaplan.connect import GRANT
from mlc_dagster.anaplan.oauth import Client, OAuthService, open_oauth_service
from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import metadata
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.grant import StoredGrant
from mlc_dagster.transport.errors import Again, Misconfigured
from mlc_dagster.vault import KeyFile, KeyRing, Vault
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.oauth import CODE_CLIENT, CODE_SECRET, DEVICE_CLIENT
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.transport.clocks import ManualClock
from tests.transport.conftest import Answer, Vendor, vendor

__all__ = ["database_url", "postgres_url", "sqlite_url", "vendor"]

BACK = "https://integration.nordfjell.example/callback/"
CODE = Client(CODE_CLIENT, CODE_SECRET, BACK)
DEVICE = Client(DEVICE_CLIENT)


@pytest.fixture(autouse=True)
def _no_key_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLC_VAULT_KEY", raising=False)


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[sa.Engine]:
    engine = connect(sqlite_url)
    migrate(engine)
    yield engine
    engine.dispose()


def stored_in(
    engine: sa.Engine, folder: Path, url: str, clock: Clock, *, client: Client = CODE, writer: str = "run 1"
) -> StoredGrant[OAuthService]:
    """The grant as one process sees it."""
    vault = Vault(engine, KeyRing(KeyFile(folder / "vault.key")), writer=writer, now=clock.now)
    service = open_oauth_service(f"{url}/anaplan", client, clock=clock)
    return StoredGrant(GRANT, service, vault=vault, leases=Leases(engine, clock), clock=clock)


@pytest.fixture
def stored(
    engine: sa.Engine, tmp_path: Path, sandbox: Sandbox, clock: ManualClock
) -> Callable[..., StoredGrant[OAuthService]]:
    def process(client: Client = CODE, writer: str = "run 1") -> StoredGrant[OAuthService]:
        return stored_in(engine, tmp_path, sandbox.url, clock, client=client, writer=writer)

    return process


def browse(service: OAuthService, state: str = "s1") -> str:
    """Where a browser ends after the user agreed."""
    reply = requests.get(service.authorize_address(state), allow_redirects=False, timeout=30)
    return reply.headers["Location"]


def log_in(stored: StoredGrant[OAuthService]) -> StoredGrant[OAuthService]:
    stored.keep(stored.service.by_code(browse(stored.service), "s1"))
    return stored


def pass_time(sandbox: Sandbox, clock: ManualClock, minutes: float) -> None:
    clock.advance(minutes * 60)
    sandbox.clock.advance(timedelta(minutes=minutes))


def model_of(stored: StoredGrant[OAuthService], sandbox: Sandbox) -> AnaplanClient:
    http = open_http(f"{sandbox.url}/anaplan/2/0", auth=stored.auth(), clock=stored.service.http.clock)
    return AnaplanClient(http, hub.WORKSPACE_ID, hub.MODEL_ID)


def token_calls(sandbox: Sandbox) -> int:
    return sandbox.log.count("anaplan", match="/oauth/token")


Stored = Callable[..., StoredGrant[OAuthService]]


# The login by hand: authorization-code flow


def test_the_browser_is_sent_to_anaplan_with_its_redirect(stored: Stored, sandbox: Sandbox) -> None:
    address = urlsplit(stored().service.authorize_address("s1"))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{sandbox.url}/anaplan/auth/authorize"
    assert query == {
        "response_type": "code",
        "client_id": CODE_CLIENT,
        "redirect_uri": BACK,
        "scope": "openid profile email offline_access",
        "state": "s1",
    }


def test_a_login_in_the_browser_opens_the_model_with_a_bearer_token(stored: Stored, sandbox: Sandbox) -> None:
    client = model_of(log_in(stored()), sandbox)
    assert client.catalog.model().name
    assert token_calls(sandbox) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda address: address.replace("state=s1", "state=s2"), "its state is another one"),
        (lambda address: address.replace("state=s1", ""), "its state is another one"),
        (lambda address: BACK + "?state=s1", "holds no code"),
        (lambda address: BACK + "?error=access_denied&state=s1", "declined in the browser"),
        (lambda address: "my-own-password", "Paste the whole address"),
    ],
)
def test_an_address_that_is_no_end_of_this_login_sends_nothing(
    stored: Stored, sandbox: Sandbox, change: Callable[[str], str], words: str
) -> None:
    service = stored().service
    with pytest.raises(Misconfigured, match=words) as caught:
        service.by_code(change(browse(service)), "s1")
    assert token_calls(sandbox) == 0
    assert "my-own-password" not in str(caught.value)


def test_a_code_that_expired_or_was_used_is_explained(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    service = stored().service
    used, late = browse(service), browse(service)
    service.by_code(used, "s1")
    with pytest.raises(Misconfigured, match="lasts about a minute, works once"):
        service.by_code(used, "s1")
    pass_time(sandbox, clock, 2)
    with pytest.raises(Misconfigured, match="lasts about a minute, works once"):
        service.by_code(late, "s1")


def test_a_wrong_client_secret_is_explained_and_not_shown(stored: Stored) -> None:
    service = stored(replace(CODE, secret="wrong-secret")).service
    with pytest.raises(Misconfigured, match="Check client_id and client_secret") as caught:
        service.by_code(browse(service), "s1")
    assert "wrong-secret" not in str(caught.value)


# The login by hand: device flow


def test_a_device_login_waits_for_the_person_and_respects_the_interval(
    stored: Stored, sandbox: Sandbox, world: World, clock: ManualClock
) -> None:
    world.switches["device_auto_approve"] = False
    service = stored(DEVICE).service
    device = service.device_code()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        pass_time(sandbox, clock, seconds / 60)
        if len(waits) == 3:
            requests.get(device.address, timeout=30)

    clock.sleep = sleep  # type: ignore[method-assign]
    assert service.by_device(device).access_token
    assert device.user_code in device.address
    assert waits == [5, 5, 5]
    assert token_calls(sandbox) == 3


def test_a_device_login_that_asks_too_often_slows_down(
    stored: Stored, world: World, clock: ManualClock
) -> None:
    world.switches["device_auto_approve"] = False
    service = stored(DEVICE).service
    device = service.device_code()
    # Only our clock moves: for the sandbox every poll comes at once.
    with pytest.raises(Misconfigured, match="Nobody approved"):
        service.by_device(device)
    assert clock.slept[:4] == [5, 5, 10, 15]
    assert sum(clock.slept) < device.seconds


def test_a_device_code_that_expired_is_explained(
    stored: Stored, sandbox: Sandbox, world: World, clock: ManualClock
) -> None:
    world.switches["device_auto_approve"] = False
    service = stored(DEVICE).service
    device = service.device_code()
    sandbox.clock.advance(timedelta(minutes=16))
    with pytest.raises(Misconfigured, match="Nobody approved the login in time"):
        service.by_device(device)
    assert token_calls(sandbox) == 1


def test_a_declined_device_login_is_explained(stored: Stored, world: World) -> None:
    world.switches["device_auto_approve"] = False
    service = stored(DEVICE).service
    device = service.device_code()
    requests.get(f"{device.address}&decision=decline", timeout=30)
    with pytest.raises(Misconfigured, match="declined in the browser"):
        service.by_device(device)


def test_under_single_sign_on_the_device_flow_names_the_other_ways(stored: Stored, world: World) -> None:
    world.switches["sso"] = True
    with pytest.raises(Misconfigured, match=r"Use method oauth_code .* or a certificate"):
        stored(DEVICE).service.device_code()


def test_a_client_of_the_other_flow_is_explained(stored: Stored) -> None:
    with pytest.raises(Misconfigured, match="not for both"):
        stored(Client(CODE_CLIENT)).service.device_code()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "<html>Not Found</html>", {"Content-Type": "text/html"}),
        Answer(200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
        Answer(302, "", {"Location": "https://elsewhere.example/login"}),
        Answer(200, '{"status": "SUCCESS"}'),
    ],
)
def test_another_host_is_recognised(vendor: Vendor, clock: ManualClock, answer: Answer) -> None:
    vendor.decide = lambda _: answer
    service = open_oauth_service(vendor.url, CODE, clock=clock)
    for attempt in (service.device_code, lambda: service.by_code(f"{BACK}?code=c&state=s1", "s1")):
        with pytest.raises(Misconfigured, match="Check oauth_url: each region has hosts of its own"):
            attempt()


def test_a_client_without_refresh_tokens_is_explained(vendor: Vendor, clock: ManualClock) -> None:
    vendor.answers(Answer(200, '{"access_token": "at-1", "expires_in": 2100}'))
    service = open_oauth_service(vendor.url, CODE, clock=clock)
    with pytest.raises(Misconfigured, match="Allow the client refresh tokens"):
        service.by_code(f"{BACK}?code=c&state=s1", "s1")


# The stored grant


def test_without_a_login_the_operator_is_told_to_log_in(stored: Stored, sandbox: Sandbox) -> None:
    with pytest.raises(Misconfigured, match=r"nobody has logged in yet. Run `mlc anaplan login` once"):
        model_of(stored(), sandbox).catalog.model()


def test_the_stored_access_token_serves_other_processes_until_shortly_before_its_end(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 29)
    model_of(stored(writer="run 2"), sandbox).catalog.model()
    assert token_calls(sandbox) == 1
    pass_time(sandbox, clock, 2)
    model_of(stored(writer="run 3"), sandbox).catalog.model()
    assert token_calls(sandbox) == 2
    assert sandbox.log.count("anaplan", status=401) == 0


def test_the_next_refresh_token_is_stored_before_the_access_token_is_used(
    stored: Stored, sandbox: Sandbox, clock: ManualClock, engine: sa.Engine
) -> None:
    client = model_of(log_in(stored()), sandbox)
    pass_time(sandbox, clock, 31)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TRIGGER full BEFORE UPDATE ON vault WHEN new.version = 3 "
                "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        )
    before = sandbox.log.count("anaplan", match="/2/0/")
    with pytest.raises(sa.exc.IntegrityError, match="disk full"):
        client.catalog.model()
    assert sandbox.log.count("anaplan", match="/2/0/") == before


@pytest.mark.parametrize("repeats", [True, False])
def test_a_client_without_rotation_keeps_its_refresh_token(
    stored: Stored, sandbox: Sandbox, world: World, clock: ManualClock, repeats: bool
) -> None:
    world.switches["oauth_rotation"], world.switches["oauth_repeats_token"] = False, repeats
    client = model_of(log_in(stored()), sandbox)
    for _ in range(3):
        pass_time(sandbox, clock, 31)
        client.catalog.model()
    assert token_calls(sandbox) == 4
    assert len(world.oauth.refresh_tokens) == 1


def test_a_device_client_refreshes_without_a_secret(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    own = stored(DEVICE)
    own.keep(own.service.by_device(own.service.device_code()))
    pass_time(sandbox, clock, 36)
    assert model_of(stored(DEVICE), sandbox).catalog.model().name


def test_a_revoked_access_token_is_replaced_once_in_the_middle_of_a_run(
    stored: Stored, sandbox: Sandbox, world: World
) -> None:
    client = model_of(log_in(stored()), sandbox)
    client.catalog.model()
    world.directory.tokens.clear()
    client.catalog.model()
    assert token_calls(sandbox) == 2
    assert sandbox.log.count("anaplan", status=401) == 1


def test_a_token_another_process_has_replaced_already_costs_no_second_refresh(
    stored: Stored, sandbox: Sandbox, world: World
) -> None:
    clients = [model_of(log_in(stored()), sandbox), model_of(stored(writer="run 2"), sandbox)]
    for client in clients:
        client.catalog.model()
    world.directory.tokens.clear()
    for client in clients:
        client.catalog.model()
    assert token_calls(sandbox) == 2


def test_a_revoked_grant_stops_the_run_with_words_after_one_attempt(
    stored: Stored, sandbox: Sandbox, world: World
) -> None:
    client = model_of(log_in(stored()), sandbox)
    client.catalog.model()
    world.directory.tokens.clear()
    world.oauth.refresh_tokens.clear()
    with pytest.raises(Misconfigured, match=r"revoked.* Run `mlc anaplan login` again"):
        client.catalog.model()
    assert token_calls(sandbox) == 2


def test_a_refresh_token_that_expired_or_was_used_elsewhere_is_explained(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 13 * 60)
    with pytest.raises(Misconfigured, match=r"expired, was used elsewhere.* Run `mlc anaplan login` again"):
        model_of(stored(), sandbox).catalog.model()


def test_a_new_login_mends_a_refused_grant(stored: Stored, sandbox: Sandbox, clock: ManualClock) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 13 * 60)
    client = model_of(stored(), sandbox)
    with pytest.raises(Misconfigured):
        client.catalog.model()
    log_in(stored(writer="cli"))
    assert client.catalog.model().name


def test_a_login_for_another_client_is_not_used(stored: Stored, sandbox: Sandbox) -> None:
    log_in(stored())
    with pytest.raises(Misconfigured, match="another client_id than"):
        model_of(stored(DEVICE), sandbox).catalog.model()
    assert token_calls(sandbox) == 1


def test_a_corrected_secret_goes_on_with_the_same_grant(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 31)
    with pytest.raises(Misconfigured, match="Check client_id and client_secret"):
        model_of(stored(replace(CODE, secret="wrong")), sandbox).catalog.model()
    assert model_of(stored(), sandbox).catalog.model().name


def test_a_refresh_without_an_answer_fails_for_now_and_is_repeated_by_the_next_run(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 31)
    sandbox.faults.arm("anaplan", "server_error", match="/oauth/token", times=3)
    with pytest.raises(Again):
        stored().fetch()
    assert model_of(stored(), sandbox).catalog.model().name


def test_a_connection_that_breaks_after_the_refresh_is_explained(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 31)
    sandbox.faults.arm("anaplan", "drop_connection", match="/oauth/token", when="after")
    with pytest.raises(
        Misconfigured, match=r"answer with its successor was lost. Run `mlc anaplan login` again"
    ):
        stored().fetch()


def test_a_refresh_that_a_dead_process_lost_is_told_apart_from_a_revoked_grant(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    """The refresh reached Anaplan, and the process died before it could store the answer."""
    log_in(stored())
    pass_time(sandbox, clock, 31)
    dying = stored(writer="run 7")
    dying.service.refreshed = lambda grant: _die_after(OAuthService.refreshed, dying.service, grant)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dying.fetch()
    sent = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC by run 7"
    for _ in range(2):  # it stays told
        with pytest.raises(Misconfigured, match=rf"sent on {sent}.* Run `mlc anaplan login` again"):
            stored(writer="run 8").fetch()


def _die_after(call: Callable[..., object], *arguments: object) -> object:
    call(*arguments)
    raise KeyboardInterrupt


def test_a_login_made_while_a_refresh_was_under_way_wins(
    stored: Stored, sandbox: Sandbox, clock: ManualClock
) -> None:
    log_in(stored())
    pass_time(sandbox, clock, 31)
    refreshing = stored()
    refreshed = refreshing.service.refreshed

    def slow(grant: object) -> object:
        answer = refreshed(grant)  # type: ignore[arg-type]
        log_in(stored(writer="cli"))
        return answer

    refreshing.service.refreshed = slow  # type: ignore[method-assign, assignment]
    given = refreshing.fetch().value
    pass_time(sandbox, clock, 1)
    assert given == stored(writer="run 9").fetch().value


def test_no_token_is_in_the_database_the_log_or_a_repr(
    stored: Stored, sandbox: Sandbox, clock: ManualClock, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    own = stored()
    with caplog.at_level(logging.DEBUG):
        address = browse(own.service)
        code = parse_qs(urlsplit(address).query)["code"][0]
        grant = own.service.by_code(address, "s1")
        own.keep(grant)
        pass_time(sandbox, clock, 31)
        model_of(stored(), sandbox).catalog.model()
    world = sandbox.anaplan.world
    secrets = {grant.access_token, grant.refresh_token, CODE_SECRET, code, *world.oauth.refresh_tokens}
    secrets |= {token.value for token in world.directory.tokens.values()}
    with engine.connect() as connection:
        content = "".join(str(connection.execute(table.select()).all()) for table in metadata.sorted_tables)
    # The sandbox runs in this process; its log is not ours.
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("mlc_dagster")
    )
    for place in (content, ours, repr(grant), repr(own), repr(CODE), repr(own.service)):
        for secret in secrets:
            assert secret not in place
    assert GRANT in content


# Several processes


def _fetch(url: str, folder: Path, sandbox: str, barrier: object, results: object) -> None:
    engine = connect(url)
    stored = stored_in(engine, folder, sandbox, SystemClock())
    barrier.wait()  # type: ignore[attr-defined]
    try:
        results.put(stored.fetch().value)  # type: ignore[attr-defined]
    except Misconfigured as error:
        results.put(error)  # type: ignore[attr-defined]
    engine.dispose()


def test_processes_that_refresh_at_once_make_one_refresh_and_all_go_on(
    database_url: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    engine = connect(database_url)
    migrate(engine)
    # The login lies in the past: for the processes, on the machine's own clock, its access token is ending.
    past = ManualClock(datetime.now(UTC) - timedelta(minutes=34))
    log_in(stored_in(engine, tmp_path, sandbox.url, past))
    engine.dispose()
    context = multiprocessing.get_context("forkserver")  # which imports this module once for all of them
    context.set_forkserver_preload([__name__])
    barrier, results = context.Barrier(4), context.Queue()
    arguments = (database_url, tmp_path, sandbox.url, barrier, results)
    processes = [context.Process(target=_fetch, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    given = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert token_calls(sandbox) == 2  # the login and one refresh
    assert len(set(given)) == 1
    assert isinstance(given[0], str)
