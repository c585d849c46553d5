"""The Integration API as the client uses it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.delivery.spool import Spool
from mlc_dagster.transport.errors import Again, CallFailed, InDoubt, Misconfigured
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import USER, World
from mlc_sandbox.server import Sandbox

LIST_IMPORT = "Supplier Invoices list"


@pytest.fixture
def action(world: World) -> tuple[str, str]:
    """(import id, file id) of the supplier invoices' list import."""
    found = world.import_named(LIST_IMPORT)
    return found.id, found.source_id


def uploaded(world: World, file_id: str) -> bytes:
    content = world.files.private(USER, file_id)
    assert content is not None
    assert content.whole
    return content.joined()


def run(client: AnaplanClient, action: tuple[str, str], content: bytes) -> str:
    client.files.upload(action[1], Spool(content))
    task = client.tasks.start("imports", action[0])
    while (seen := client.tasks.one("imports", action[0], task.id)) is None or not seen.ended:
        pass
    return task.id


def test_metadata_is_read_page_by_page_and_the_false_next_is_not_followed(
    client: AnaplanClient, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.anaplan.client.api.PAGE", 3)
    assert [item.id for item in client.catalog.imports()] == list(world.model.imports)
    assert [item.id for item in client.catalog.lists()] == list(world.model.lists)
    assert [item.id for item in client.catalog.modules()] == list(world.model.modules)
    assert set(world.model.files) <= {item.id for item in client.catalog.files()}
    calls = sandbox.log.calls("anaplan", match="/imports")
    assert len(calls) == -(-len(world.model.imports) // 3)


def test_the_state_of_the_model(client: AnaplanClient, world: World) -> None:
    world.model.active_state = "LOCKED"
    model = client.catalog.model()
    assert (model.id, model.state, model.busy) == (hub.MODEL_ID, "LOCKED", False)


def test_an_imports_format_is_its_data_sources(
    client: AnaplanClient, world: World, action: tuple[str, str]
) -> None:
    source = world.model.files[action[1]]
    source.encoding, source.separator, source.decimal_separator = "UTF-16LE", "\t", ","
    layout = client.catalog.import_format(action[0])
    assert (layout.encoding, layout.separator, layout.decimal_separator) == ("UTF-16LE", "\t", ",")
    assert layout.headers == ("code", "name")


@pytest.mark.parametrize("exact", [False, True])
def test_a_file_goes_up_in_byte_slices(
    connect: Callable[..., AnaplanClient],
    sandbox: Sandbox,
    world: World,
    action: tuple[str, str],
    exact: bool,
) -> None:
    content = "code,name\nÅ1,ærlig\n".encode() * 7
    connect(chunk_bytes=16, exact_chunk_count=exact).files.upload(action[1], Spool(content))
    assert uploaded(world, action[1]) == content
    assert sandbox.log.count("anaplan", match="/chunks/") == -(-len(content) // 16)
    assert sandbox.log.count("anaplan", match="/complete") == (0 if exact else 1)


def test_a_large_file_is_packed_and_arrives_byte_for_byte(
    connect: Callable[..., AnaplanClient], sandbox: Sandbox, world: World, action: tuple[str, str]
) -> None:
    content = "".join(f"NO01|Invoice|{number},Ærøskøbing Båtbyggeri\n" for number in range(70_000)).encode()
    client = connect(chunk_bytes=1_200_000)
    client.files.upload(action[1], Spool(content))
    assert uploaded(world, action[1]) == content
    assert sandbox.log.count("anaplan", match="/chunks/") == -(-len(content) // 1_200_000) == 3
    assert client.http.counter.bytes_out < len(content) / 4


@pytest.mark.parametrize("fault", ["server_error", "drop_connection"])
def test_a_chunk_without_an_answer_is_not_sent_again_because_it_may_land_late(
    client: AnaplanClient, sandbox: Sandbox, action: tuple[str, str], fault: str
) -> None:
    sandbox.faults.arm("anaplan", fault, match="PUT .*/chunks/0")
    with pytest.raises(InDoubt):
        client.files.upload(action[1], Spool(b"code,name\nA,B\n"))
    assert sandbox.log.count("anaplan", method="PUT") == 1


def test_exact_count_is_the_way_out_where_complete_fails(
    connect: Callable[..., AnaplanClient], sandbox: Sandbox, world: World, action: tuple[str, str]
) -> None:
    sandbox.faults.arm("anaplan", "complete_500", times=None)
    with pytest.raises(Again):
        connect().files.upload(action[1], Spool(b"x"))
    connect(exact_chunk_count=True).files.upload(action[1], Spool(b"x"))
    assert uploaded(world, action[1]) == b"x"


def test_a_stray_file_is_noticed_before_a_byte_is_sent(client: AnaplanClient, sandbox: Sandbox) -> None:
    with pytest.raises(Misconfigured, match="deletes the stray file"):
        client.files.upload("113999999999", Spool(b"x"))
    assert sandbox.log.count("anaplan", match="/chunks/") == 0


@pytest.mark.parametrize("content", [b"", b"x" * 1001])
def test_a_file_that_does_not_fit_the_chunks_is_refused_here(
    connect: Callable[..., AnaplanClient], action: tuple[str, str], content: bytes
) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        connect(chunk_bytes=1).files.upload(action[1], Spool(content))


def test_chunks_above_the_vendors_limit_are_refused_here(connect: Callable[..., AnaplanClient]) -> None:
    with pytest.raises(ValueError, match="50000000"):
        connect(chunk_bytes=50_000_001)


@pytest.mark.parametrize("fault", [("drop_connection", {}), ("server_error", {"status": 503})])
def test_a_start_whose_answer_is_lost_is_not_sent_again(
    client: AnaplanClient, sandbox: Sandbox, action: tuple[str, str], fault: tuple[str, dict[str, int]]
) -> None:
    sandbox.faults.arm("anaplan", fault[0], match="POST .*/tasks", times=None, **fault[1])
    with pytest.raises(InDoubt):
        client.tasks.start("imports", action[0])
    assert sandbox.log.count("anaplan", method="POST", match="/tasks") == 1


def test_a_bare_task_id_is_enough(client: AnaplanClient, world: World, action: tuple[str, str]) -> None:
    world.switches["bare_task_id"] = True
    assert client.tasks.start("imports", action[0]).id in world.tasks.tasks


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_tasks_are_sorted_here(
    client: AnaplanClient, world: World, action: tuple[str, str], order: str
) -> None:
    world.switches["task_list_order"] = order
    started = [run(client, action, b"code,name\nA,B\n") for _ in range(3)]
    for age, task_id in enumerate(reversed(started)):
        world.tasks.tasks[task_id].created_ms -= age
    assert [task.id for task in client.tasks.all("imports", action[0])] == started[::-1]


def test_no_tasks_is_an_empty_list(client: AnaplanClient) -> None:
    assert client.tasks.all("imports", "112000000999") == []


def test_an_unknown_task_is_none(client: AnaplanClient, action: tuple[str, str]) -> None:
    assert client.tasks.one("imports", action[0], "0" * 32) is None


def test_a_waiting_task_that_somebody_cancels_is_seen_so(
    client: AnaplanClient, world: World, action: tuple[str, str]
) -> None:
    world.switches["task_start_polls"] = 5
    client.files.upload(action[1], Spool(b"code,name\nA,B\n"))
    task = client.tasks.start("imports", action[0])
    with world.lock:
        world.tasks.cancel(world.tasks.tasks[task.id])
    seen = client.tasks.one("imports", action[0], task.id)
    assert seen is not None
    assert seen.state == "CANCELLED"


def test_a_dump_is_put_together_from_chunks_that_split_characters(
    client: AnaplanClient, world: World, action: tuple[str, str]
) -> None:
    world.switches["dump_chunk_bytes"] = 7
    task_id = run(client, action, "code,name\n,Åse Sørensen Æ\n".encode())
    dump = client.tasks.import_dump(action[0], task_id)
    assert dump is not None
    assert "Åse Sørensen Æ" in dump
    assert dump.startswith('"_Status_","code","name","_Line_","_Error_1_"')


def test_the_chunks_of_a_dump_are_read_in_order_however_they_are_listed(
    client: AnaplanClient, world: World, action: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.switches["dump_chunk_bytes"] = 7
    task_id = run(client, action, b"code,name\n,nameless and long enough\n")
    call = client.http.call

    def unsorted(method: str, path: str, **request: Any) -> requests.Response:
        answer = call(method, path, **request)
        if path.endswith("/chunks"):
            chunks = answer.json()
            chunks["chunks"].sort(key=lambda chunk: chunk["id"])
            assert [chunk["id"] for chunk in chunks["chunks"]][:3] == ["0", "1", "10"]
            answer._content = json.dumps(chunks).encode()
        return answer

    monkeypatch.setattr(client.http, "call", unsorted)
    assert ',"nameless and long enough",' in str(client.tasks.import_dump(action[0], task_id))


def test_a_dump_that_is_gone_is_none(client: AnaplanClient, action: tuple[str, str]) -> None:
    task_id = run(client, action, b"code,name\nA,B\n")
    assert client.tasks.import_dump(action[0], task_id) is None


def test_the_dump_of_a_processs_step(client: AnaplanClient, world: World, action: tuple[str, str]) -> None:
    client.files.upload(action[1], Spool(b"code,name\n,nameless\n"))
    process = world.model.named("processes", "Supplier Invoices load")
    path = f"/workspaces/{hub.WORKSPACE_ID}/models/{hub.MODEL_ID}/processes/{process.id}/tasks"
    started = client.http.call("POST", path, json={"localeName": "en_US"}).json()["task"]
    with world.lock:
        world.tasks.drain()
    dump = client.tasks.process_dump(process.id, started["taskId"], action[0])
    assert dump is not None
    assert "nameless" in dump


def test_unknown_fields_are_no_trouble(client: AnaplanClient, world: World, action: tuple[str, str]) -> None:
    world.switches["extra_fields"] = True
    assert run(client, action, b"code,name\nA,B\n")
    assert client.catalog.model().name


def test_an_answer_that_is_no_json_names_the_call(client: AnaplanClient, sandbox: Sandbox) -> None:
    client.catalog.model()
    client.http.base_url = f"{sandbox.url}/anaplan/control/lists"
    with pytest.raises(CallFailed, match=r"GET .*models"):
        client.catalog.model()
