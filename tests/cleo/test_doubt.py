"""Calls nobody answered, limits, and tenants that differ: each document is at its partner once."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mlc_dagster.delivery.errors import Closed, Stop
from mlc_dagster.transport.errors import Misconfigured, Refused
from mlc_sandbox.cleo.switches import CHOICES
from mlc_sandbox.cleo.world import World
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import Installation, order

Install = Callable[..., Installation]
UPLOAD, LIST, LOGIN = "POST .*/files/upload", "GET .*/files/", "POST .*/authentication"
ROWS = [order(str(number)) for number in range(500001, 500004)]

# Once, and as often as a run does not bear.
FAULTS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("drop_connection", UPLOAD, 1, {"when": "before"}),
    ("drop_connection", UPLOAD, 1, {"when": "after"}),
    ("drop_connection", UPLOAD, 9, {"when": "after"}),
    ("server_error", UPLOAD, 9, {"when": "before"}),
    ("server_error", UPLOAD, 1, {"when": "after", "status": 503, "html": True}),
    ("server_error", UPLOAD, 9, {"when": "after"}),
    ("slow", UPLOAD, 1, {"when": "after", "seconds": 0.05}),
    ("rate_limit", UPLOAD, 9, {"retry_after": 10}),
    ("unauthorized", UPLOAD, 1, {"html": True}),
    ("unauthorized", UPLOAD, 9, {}),
    ("token_expired", UPLOAD, 1, {}),
    ("drop_connection", LIST, 9, {"when": "after"}),
    ("server_error", LIST, 1, {"when": "before"}),
    ("ghost_file", LIST, 1, {}),
    ("token_error", LOGIN, 9, {"status": 503}),
]


def arrived(world: World) -> dict[str, tuple[str, ...]]:
    """Number -> the interchanges it came in. A repetition is listed as refused and held once."""
    documents = world.received()["documents"]["850"]
    return {document["number"]: tuple(document["isa13"]) for document in documents}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_whatever_fails_each_document_is_held_once(
    ours: Installation, sandbox: Sandbox, world: World, fault: tuple[str, str, int, dict[str, Any]]
) -> None:
    name, match, times, more = fault
    sandbox.faults.arm("cleo", name, match=match, times=times, **more)
    for _ in range(5):
        with suppress(Stop, Misconfigured):
            ours.heal(lambda: ours.deliver(*ROWS))
    assert arrived(world) == dict.fromkeys(("500001", "500002", "500003"), ("000000001",))
    ours.receive()
    assert set(ours.states().values()) == {"acknowledged"}
    sandbox.log.reset()
    assert ours.deliver(*ROWS).unchanged == 3
    assert sandbox.log.count("cleo") == 0


def test_a_file_is_repeated_with_the_same_name_bytes_and_numbers(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "server_error", match=UPLOAD, times=1, when="after")
    ours.deliver(order("1"))
    (repeated,) = world.received()["refused"]
    assert repeated["why"] == "Interchange 000000001 was here before, with the same bytes."


def test_a_mailbox_that_is_down_gets_nothing_and_keeps_nobody_waiting(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "server_error", times=100)
    report = ours.deliver(order("1"))
    assert (report.pending, report.complete) == (1, False)
    assert list(ours.cleo.outbox.find()) == []


def test_a_long_lockout_is_waited_for_by_the_next_run(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "rate_limit", match=UPLOAD, times=1, retry_after=3600)
    with pytest.raises(Closed):
        ours.deliver(order("1"))
    ours.heal(lambda: ours.deliver(order("1")))
    assert arrived(world) == {"1": ("000000001",)}


def test_a_name_that_was_used_is_our_own_upload(ours: Installation, sandbox: Sandbox, world: World) -> None:
    sandbox.cleo.switches["same_name"] = "refused"
    sandbox.faults.arm("cleo", "server_error", match=UPLOAD, times=1, when="after")
    assert ours.deliver(order("1")).created == 1
    assert world.received()["refused"] == []


def test_an_upload_the_mailbox_will_not_have_fails_aloud_and_goes_later(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.cleo.switches["upload_bytes"] = 100
    with pytest.raises(Refused, match="413"):
        ours.deliver(order("1"))
    sandbox.cleo.switches["upload_bytes"] = 0
    ours.deliver(order("1"))
    assert arrived(world) == {"1": ("000000001",)}


def test_wrong_credentials_stop_with_what_to_do(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEO_PASSWORD", "Wr0ng!pass")
    with pytest.raises(Stop, match="Check user and password") as stopped:
        ours.deliver(order("1"))
    assert "Wr0ng" not in str(stopped.value)


def test_a_log_in_that_refuses_with_400_means_the_same(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.cleo.switches["wrong_credentials_status"] = 400
    monkeypatch.setenv("CLEO_PASSWORD", "Wr0ng!pass")
    with pytest.raises(Stop, match="Check user and password"):
        ours.deliver(order("1"))


def test_a_wrong_path_is_a_wrong_setting(install: Install, sandbox: Sandbox) -> None:
    rest = {"base_url": f"{sandbox.url}/cleo", "list": {"method": "GET", "path": "/api/nothing/{folder}"}}
    with pytest.raises(Stop, match="Check the paths under `rest`"):
        install({"rest": rest}).deliver(order("1"))


@pytest.mark.parametrize("body", CHOICES["unauthorized_body"])
def test_a_token_that_ends_early_is_replaced_however_that_is_told(
    ours: Installation, sandbox: Sandbox, world: World, body: str
) -> None:
    sandbox.cleo.switches["unauthorized_body"] = body
    ours.deliver(order("1"))
    sandbox.faults.arm("cleo", "token_expired", times=1)
    ours.deliver(order("2"))
    assert sandbox.faults.armed() == []
    assert set(arrived(world)) == {"1", "2"}


@pytest.mark.parametrize("life", ["number", "text", "absent"])
def test_a_token_may_tell_its_life_or_not(
    ours: Installation, sandbox: Sandbox, world: World, life: str
) -> None:
    sandbox.cleo.switches["expires_in"] = life
    sandbox.cleo.switches["token_seconds"] = 90
    for number in range(3):
        ours.deliver(order(str(number)))
        ours.clock.sleep(60)
    assert len(arrived(world)) == 3


def test_a_tenant_with_other_paths_verbs_and_names_is_a_matter_of_settings(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    sandbox.cleo.switches.update(
        folder_path="/mbx/v2/{folder}/items",
        file_path="/mbx/v2/{folder}/items/{name}/content",
        upload_method="PUT",
        upload_form="raw",
        upload_status=202,
        upload_folder="outbox",
        download_folder="inbox",
    )
    rest = {
        "base_url": f"{sandbox.url}/cleo",
        "upload": {"method": "PUT", "path": "/mbx/v2/{folder}/items/{name}/content"},
        "form": "raw",
        "list": {"method": "GET", "path": "/mbx/v2/{folder}/items"},
        "get": {"method": "GET", "path": "/mbx/v2/{folder}/items/{name}/content"},
        "delete": {"method": "DELETE", "path": "/mbx/v2/{folder}/items/{name}/content"},
    }
    ours = install({"rest": rest, "folders": {"upload": "outbox", "download": "inbox"}})
    ours.deliver(order("1"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}
    assert world.mailbox.files("download") == []


def test_another_name_of_the_multipart_field(install: Install, sandbox: Sandbox, world: World) -> None:
    sandbox.cleo.switches["upload_field"] = "payload"
    install({"rest": {"base_url": f"{sandbox.url}/cleo", "field": "payload"}}).deliver(order("1"))
    assert arrived(world) == {"1": ("000000001",)}


def test_a_long_folder_is_listed_page_by_page(ours: Installation, sandbox: Sandbox, world: World) -> None:
    sandbox.cleo.switches["page_size_most"] = 2
    for number in range(5):
        ours.deliver(order(str(number)))
    assert len(ours.cleo.mailbox.list("download")) == 5
    assert ours.receive().files == 5


def test_a_look_at_the_mailbox_names_what_is_wrong(ours: Installation, sandbox: Sandbox) -> None:
    assert ours.cleo.look() == "mailbox, files to take in: 0"
    sandbox.cleo.switches["download_folder"] = "elsewhere"
    with pytest.raises(Misconfigured, match="Check the paths under `rest`"):
        ours.cleo.look()
