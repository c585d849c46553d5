"""The mailbox over SFTP, against a real SSH server: whole files only, and no word to another server."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from mlc_dagster.delivery.errors import Stop
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.transport.errors import Misconfigured, Refused
from mlc_sandbox.cleo.world import World
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import START, Installation, order

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2ERT+u9wCwTm0e0ovuhLbJ4Cr6fdCkIGzfPAkjSAaG"


@pytest.fixture
def section(sandbox: Sandbox) -> dict[str, Any]:
    return dict(sandbox.cleo.sftp_section())


@pytest.fixture
def ours(install: Callable[..., Installation], section: dict[str, Any]) -> Installation:
    return install({"sftp": section})


def arrived(world: World) -> dict[str, list[str]]:
    return {found["number"]: found["isa13"] for found in world.received()["documents"]["850"]}


def test_documents_and_answers_travel_over_sftp(ours: Installation, world: World) -> None:
    ours.deliver(order("1"), order("2"))
    assert arrived(world) == {"1": ["000000001"], "2": ["000000001"]}
    assert ours.receive().noted.documents == {"acknowledged": 2}
    assert world.mailbox.files("download") == []
    assert ours.cleo.look() == "mailbox, files to take in: 0"


def test_a_file_that_is_taken_up_while_it_is_written_is_whole(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """`pickup_on: write` takes everything at once that has no `.part` at its end."""
    sandbox.cleo.switches["pickup_on"] = "write"
    ours.deliver(*[order(str(number)) for number in range(500001, 500051)])
    received = world.received()
    assert (len(received["documents"]["850"]), received["refused"]) == (50, [])


@pytest.mark.parametrize("match", ["SFTP PUT", "SFTP CLOSE", "SFTP RENAME", "SFTP LIST"])
@pytest.mark.parametrize("fault", product(["drop_connection", "server_error"], ["before", "after"]), ids=str)
def test_a_connection_that_breaks_leaves_each_document_there_once(
    ours: Installation, sandbox: Sandbox, world: World, fault: tuple[str, str], match: str
) -> None:
    name, when = fault
    sandbox.faults.arm("cleo", name, match=match, times=1, when=when)
    ours.heal(lambda: ours.deliver(order("1")))
    assert arrived(world) == {"1": ["000000001"]}
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}


def test_a_file_that_is_still_there_from_the_upload_before_is_no_trouble(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.cleo.switches["pickup_seconds"] = 60
    sandbox.faults.arm("cleo", "drop_connection", match="SFTP RENAME", times=1, when="after")
    ours.deliver(order("1"))
    assert [file.name[-5:] for file in world.mailbox.files("upload")] == [".json"]


def test_a_server_with_another_key_is_told_nothing(
    install: Callable[..., Installation], section: dict[str, Any], sandbox: Sandbox
) -> None:
    ours = install({"sftp": {**section, "host_key": OTHER_KEY}})
    with pytest.raises(Stop, match="or is another one"):
        ours.deliver(order("1"))
    assert sandbox.log.count("cleo") == 0


def test_a_refused_log_in_stops_with_what_to_do(ours: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEO_PASSWORD", "Wr0ng!pass")
    with pytest.raises(Stop, match="Check user, password and `host_key`") as stopped:
        ours.deliver(order("1"))
    assert "Wr0ng" not in str(stopped.value)


def test_a_folder_to_read_from_that_is_not_there_stops_before_anything_is_sent(
    install: Callable[..., Installation], section: dict[str, Any]
) -> None:
    ours = install({"sftp": section, "folders": {"download": "elsewhere"}})
    with pytest.raises(Stop, match=r"Check the folders of mlc.yaml"):
        ours.deliver(order("1"))
    assert list(ours.cleo.outbox.find()) == []


def test_a_folder_to_write_to_that_is_not_there_fails_aloud_and_what_is_stored_goes_later(
    install: Callable[..., Installation], section: dict[str, Any], world: World
) -> None:
    with pytest.raises(Misconfigured, match=r"Check the folders of mlc.yaml"):
        install({"sftp": section, "folders": {"upload": "elsewhere"}}).deliver(order("1"))
    install({"sftp": section}).deliver(order("1"))
    assert arrived(world) == {"1": ["000000001"]}


def test_a_host_key_that_is_none_is_found_when_the_settings_are_read(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ssh-keyscan"):
        CleoSettings.model_validate(
            {
                "sftp": {**section, "host_key": "ssh-ed25519 nonsense"},
                "user": "${CLEO_USER}",
                "password": "${CLEO_PASSWORD}",
                "identities": {"NO01": {"id": "MLCNO01"}},
                "partners": {"nordedi": {"id": "NORDEDI", "name": "Nordisk EDI-hub", **START}},
                "destinations": {"purchase_orders": {}},
            }
        )


def test_a_file_beyond_all_measure_is_not_taken_in_and_stays_where_it_is(
    ours: Installation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.cleo.sftp.LARGEST_ANSWER", 10)
    ours.deliver(order("1"))
    with pytest.raises(Refused, match="No document is that large"):
        ours.receive()
    assert len(world.mailbox.files("download")) == 1
