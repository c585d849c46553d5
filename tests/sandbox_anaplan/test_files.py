"""Uploads: chunks, gzip, privacy, the default file, 48 hours, stray files, mixed content."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest

from mlc_sandbox.anaplan.world import BUILDER, BUILDER_PASSWORD

from .conftest import Tenant, values

OCTETS = {"Content-Type": "application/octet-stream"}
GZIPPED = {"Content-Type": "application/x-gzip"}


@pytest.fixture
def path(tenant: Tenant) -> str:
    return f"/files/{tenant.world.import_named('Suppliers list').source_id}"


def codes(tenant: Tenant) -> list[str]:
    return sorted(tenant.world.list_items("Suppliers"))


def test_chunks_may_split_rows_and_may_be_gzip(tenant: Tenant, path: str) -> None:
    assert tenant.model("POST", path, json={"chunkCount": 2}).json()["file"]["chunkCount"] == 2
    first = tenant.model("PUT", f"{path}/chunks/0", data=b"code,name\nA,fi", headers=OCTETS)
    second = tenant.model("PUT", f"{path}/chunks/1", data=gzip.compress(b"rst\nB,second\n"), headers=GZIPPED)
    assert (first.status_code, second.status_code, second.content) == (204, 204, b"")
    assert [row["id"] for row in tenant.model("GET", f"{path}/chunks").json()["chunks"]] == ["0", "1"]
    assert tenant.model("GET", path).content == b"code,name\nA,first\nB,second\n"
    tenant.run("Suppliers list")
    assert codes(tenant) == ["A", "B"]


def test_without_complete_an_upload_of_unknown_length_cannot_be_imported(tenant: Tenant, path: str) -> None:
    tenant.model("POST", path, json={"chunkCount": -1})
    tenant.model("PUT", f"{path}/chunks/0", data=b"code,name\nA,first\n", headers=OCTETS)
    assert tenant.run("Suppliers list")["result"]["details"][0]["type"] == "importFailedGeneralError"
    assert tenant.model("POST", f"{path}/complete", json={}).status_code == 200
    assert tenant.run("Suppliers list")["result"]["successful"]


@pytest.mark.parametrize(
    ("chunk", "headers", "status"),
    [("0", {"Content-Type": "text/csv"}, 415), ("0", GZIPPED, 400), ("3", OCTETS, 400), ("x", OCTETS, 404)],
)
def test_a_wrong_chunk_is_refused(tenant: Tenant, path: str, chunk: str, headers: dict, status: int) -> None:
    tenant.model("POST", path, json={"chunkCount": 2})
    assert tenant.model("PUT", f"{path}/chunks/{chunk}", data=b"x", headers=headers).status_code == status


def test_complete_refuses_an_upload_with_a_gap(tenant: Tenant, path: str) -> None:
    tenant.model("POST", path, json={"chunkCount": 2})
    tenant.model("PUT", f"{path}/chunks/1", data=b"x", headers=OCTETS)
    assert tenant.model("POST", f"{path}/complete", json={}).status_code == 400


def test_a_small_file_goes_up_in_one_call(tenant: Tenant, path: str) -> None:
    assert tenant.model("PUT", path, data=b"code,name\nA,first\n", headers=OCTETS).status_code == 204
    tenant.run("Suppliers list")
    assert codes(tenant) == ["A"]


def test_a_file_without_content_is_404_and_fails_its_import(tenant: Tenant, path: str) -> None:
    assert tenant.model("GET", path).status_code == 404
    assert tenant.model("GET", f"{path}/chunks").status_code == 404
    assert tenant.run("Suppliers list")["result"]["details"][0]["type"] == "uploadedFileNoLongerAvailable"


def test_an_upload_is_private_and_others_silently_read_the_old_default_file(
    sandbox, tenant: Tenant, path: str
) -> None:
    tenant.world.set_default_file("Suppliers list", b"code,name\nOLD,default\n")
    tenant.upload("Suppliers list", "code,name\nNEW,mine\n")
    builder = Tenant(sandbox, BUILDER, BUILDER_PASSWORD)
    assert builder.model("GET", path).content == b"code,name\nOLD,default\n"
    builder.run("Suppliers list")
    assert codes(tenant) == ["OLD"]


def test_after_48_hours_without_use_an_upload_is_gone(sandbox, tenant: Tenant, path: str) -> None:
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    tenant.clock.advance(timedelta(hours=47))
    late = Tenant(sandbox)
    assert late.model("GET", path).status_code == 200
    late.clock.advance(timedelta(hours=47))
    later = Tenant(sandbox)
    assert later.model("GET", path).status_code == 200
    later.clock.advance(timedelta(hours=49))
    assert Tenant(sandbox).model("GET", path).status_code == 404


def test_an_unknown_file_id_creates_a_stray_file_with_another_id(tenant: Tenant) -> None:
    made = tenant.model("POST", "/files/113999999999", json={"chunkCount": 1}).json()["file"]
    assert (made["name"], made["id"] == "113999999999") == ("113999999999", False)
    names = [row["name"] for row in tenant.model("GET", "/files").json()["files"]]
    assert "113999999999" in names


def test_delete_takes_the_private_content_and_leaves_the_stale_chunk_count(tenant: Tenant, path: str) -> None:
    file_id = tenant.upload("Suppliers list", "code,name\nA,first\n")
    assert tenant.model("DELETE", path).status_code == 204
    assert tenant.model("GET", path).status_code == 404
    rows = {row["id"]: row for row in tenant.model("GET", "/files").json()["files"]}
    assert rows[file_id]["chunkCount"] == 1


def test_overwriting_a_file_while_an_import_reads_it_loads_a_mixture_without_an_error(tenant: Tenant) -> None:
    old = "code,name\nA,old\nB,old\nC,old\n"
    tenant.upload("Suppliers list", old)
    task = tenant.start("imports", "Suppliers list")
    tenant.upload("Suppliers list", "code,name\nX,new\nY,new\nZ,new\n")
    for _ in range(2):
        seen = tenant.watch("imports", "Suppliers list", task)
    assert (seen["taskState"], seen["result"]["successful"]) == ("COMPLETE", True)
    assert codes(tenant) == ["A", "Y", "Z"]


def test_an_export_writes_a_file_with_its_own_id(tenant: Tenant) -> None:
    tenant.suppliers("NO01|1")
    tenant.world.switches["export_chunk_bytes"] = 40
    task = tenant.run("Suppliers export", kind="exports")
    assert task["result"]["details"][0]["type"] == "exportSucceeded"
    export = f"/files/{tenant.id_of('exports', 'Suppliers export')}"
    chunks = tenant.model("GET", f"{export}/chunks").json()["chunks"]
    parts = [tenant.model("GET", f"{export}/chunks/{chunk['id']}").content for chunk in chunks]
    assert len(parts) > 1
    assert b"".join(parts).decode().splitlines()[1].startswith("Supplier NO01|1,NO01|1,")


def test_one_process_loads_both_files_of_a_feed(tenant: Tenant) -> None:
    tenant.upload("Dimensions list", "code,name\nNO01|DEPT,Department\n")
    header = "code,company,dimension,description"
    tenant.upload("Dimensions data", f"{header}\nNO01|DEPT,NO01,DEPT,Department\n")
    task = tenant.run("Dimensions load", kind="processes")
    nested = task["result"]["nestedResults"]
    assert [step["objectName"] for step in nested] == ["Dimensions list", "Dimensions data"]
    assert values({"result": nested[1]})["successRowCount"] == "1"
    assert tenant.world.module_rows("DAT01 Dimensions")["NO01|DEPT"]["description"] == "Department"
