"""Publishing .hyper files with the official client, in one piece, in chunks, as a job; and back."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tableauserverclient as tsc
from tableauserverclient.server import RequestFactory
from tableauserverclient.server.endpoint.exceptions import JobFailedException, ServerResponseError

from .conftest import INVOICES, Tenant, action, code, invoice


def refused(error: pytest.ExceptionInfo[ServerResponseError]) -> str:
    return error.value.code


def test_a_published_file_holds_its_rows_exactly(tenant: Tenant) -> None:
    row = invoice(1, "-0.05", price="99999999999999.9999", due="2026-02-28", text="Ærø 'n' Øl")
    item = tenant.published(row | {"seen": "2026-02-28 10:00:00.123456+02", "open": "true"}, invoice(2))
    assert item.id in tenant.control("GET", "/datasources")["datasources"]
    assert tenant.control("GET", "/datasources/Invoices/rows")[0] == {
        "company": "NO01",
        "number": 1,
        "amount": "-0.05",
        "price": "99999999999999.9999",
        "due": "2026-02-28",
        "seen": "2026-02-28 08:00:00.123456+00",
        "open": True,
        "text": "Ærø 'n' Øl",
    }


@pytest.mark.parametrize("form", ["tdsx", "hyper"])
def test_a_published_file_is_downloaded_again(tenant: Tenant, tmp_path: Path, form: str) -> None:
    tenant.switches["download_as"] = form
    item = tenant.published(invoice(1, "0.10"))
    got = Path(tenant.server.datasources.download(item.id, str(tmp_path)))
    assert got.suffix == f".{form}"
    if form == "tdsx":
        with zipfile.ZipFile(got) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".hyper")]
            got = Path(archive.extract(name, tmp_path))
    assert tenant.pen.read(got)[0][:3] == ["NO01", 1, Decimal("0.10")]


def test_what_was_downloaded_can_be_published_again(tenant: Tenant, tmp_path: Path) -> None:
    item = tenant.published(invoice(1))
    packed = tenant.server.datasources.download(item.id, str(tmp_path))
    tenant.publish(Path(packed), "Copy")
    assert tenant.rows("Copy") == tenant.rows("Invoices")


def test_a_large_file_goes_in_chunks(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "1")
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    mixed = "CAST(CAST(n AS BIGINT) * 7919 % 1000003 AS TEXT) AS text"
    rows = f"SELECT n, {mixed} FROM generate_series(1, 300000) AS s (n)"
    file = tenant.pen.run([f"CREATE TABLE numbers AS {rows}"])
    tenant.switches["download_as"] = "hyper"
    item = tenant.publish(file)
    assert tenant.sandbox.log.count("tableau", method="PUT", match="fileUploads", status=200) > 2
    assert tenant.world.site().uploads == {}
    got = Path(tenant.server.datasources.download(item.id, str(tmp_path)))
    assert got.read_bytes() == file.read_bytes()


def test_a_job_publishes_and_is_waited_for_by_the_client(tenant: Tenant) -> None:
    job = tenant.publish(tenant.pen.write([invoice(1)]), as_job=True)
    assert (job.type, job.mode, job.finish_code, job.completed_at) == (
        "PublishDatasource",
        "Asynchronous",
        1,
        None,
    )
    assert tenant.server.jobs.wait_for_job(job, timeout=10).finish_code == 0
    [found] = tenant.server.datasources.filter(name="Invoices")
    assert (found.name, found.project_id) == ("Invoices", tenant.project)


class TestModes:
    def test_a_name_that_exists_needs_overwrite(self, tenant: Tenant) -> None:
        first = tenant.published(invoice(1))
        with pytest.raises(ServerResponseError) as error:
            tenant.publish(tenant.pen.write([invoice(2)]), "INVOICES")
        assert refused(error) == "403007"
        again = tenant.publish(tenant.pen.write([invoice(2)]), mode="Overwrite")
        assert again.id == first.id
        assert tenant.rows("Invoices", "number") == [(2,)]

    def test_overwriting_may_change_the_id(self, tenant: Tenant) -> None:
        tenant.switches["overwrite_keeps_id"] = False
        first = tenant.published(invoice(1))
        assert tenant.publish(tenant.pen.write([invoice(2)]), mode="Overwrite").id != first.id
        with pytest.raises(ServerResponseError) as error:
            tenant.server.datasources.get_by_id(first.id)
        assert refused(error) == "404004"

    def test_overwriting_a_name_that_does_not_exist_creates_it(self, tenant: Tenant) -> None:
        tenant.publish(tenant.pen.write([invoice(1)]), mode="Overwrite")
        assert len(tenant.rows()) == 1

    def test_the_same_name_in_another_project_is_another_data_source(self, tenant: Tenant) -> None:
        first = tenant.published(invoice(1))
        tenant.project = tenant.world.id("project default")
        assert tenant.published(invoice(2)).id != first.id

    def test_append_adds_again_whatever_it_is_given(self, tenant: Tenant) -> None:
        with pytest.raises(ServerResponseError) as error:
            tenant.publish(tenant.pen.write([invoice(1)]), mode="Append")
        assert refused(error) == "404004"
        file = tenant.pen.write([invoice(1)])
        tenant.publish(file)
        tenant.publish(file, mode="Append")
        assert tenant.rows("Invoices", "number") == [(1,), (1,)]
        with pytest.raises(ServerResponseError) as error:
            tenant.publish(tenant.pen.write([invoice(2)], INVOICES[:-1]), mode="Append")
        assert refused(error) == "400011"

    @pytest.mark.parametrize(("replaces", "text"), [(True, "second"), (False, "first")])
    def test_an_overwrite_may_leave_the_old_description(
        self, tenant: Tenant, replaces: bool, text: str
    ) -> None:
        tenant.switches["overwrite_describes"] = replaces
        for description in ("first", "second"):
            item = tsc.DatasourceItem(tenant.project, "Invoices")
            item.description = description
            tenant.server.datasources.publish(item, tenant.pen.write([invoice(1)]), "Overwrite")
        assert tenant.world.datasource("Invoices").description == text

    @pytest.mark.parametrize(("mode", "accepted"), [("ignored", False), ("overwrite", True)])
    def test_what_replace_means_is_a_switch(self, tenant: Tenant, mode: str, accepted: bool) -> None:
        tenant.switches["replace_mode"] = mode
        tenant.published(invoice(1))
        if accepted:
            tenant.publish(tenant.pen.write([invoice(2)]), mode="Replace")
        else:
            with pytest.raises(ServerResponseError, match="403007"):
                tenant.publish(tenant.pen.write([invoice(2)]), mode="Replace")

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("overwrite=yes", "400008"),
            ("overwrite=true&append=true", "400055"),
            ("uploadSessionId=1:a-1:0", "400010"),
            ("datasourceType=xlsx", "400010"),
        ],
    )
    def test_parameters_that_do_not_fit_are_refused(self, tenant: Tenant, query: str, expected: str) -> None:
        body, kind = RequestFactory.Datasource.publish_req(
            tsc.DatasourceItem(tenant.project, "X"), "X.hyper", b"content"
        )
        query = query if "datasourceType" in query else f"datasourceType=hyper&{query}"
        reply = tenant.call("POST", f"/datasources?{query}", data=body, headers={"Content-Type": kind})
        assert (reply.status_code, code(reply)) == (400, expected)


class TestContent:
    def test_a_file_that_is_no_hyper_file_is_refused(self, tenant: Tenant, tmp_path: Path) -> None:
        bad = tmp_path / "bad.hyper"
        bad.write_bytes(b"nonsense")
        with pytest.raises(ServerResponseError) as error:
            tenant.publish(bad)
        assert refused(error) == "400011"
        with pytest.raises(JobFailedException, match="not a valid database"):
            tenant.server.jobs.wait_for_job(tenant.publish(bad, as_job=True), timeout=10)

    def test_a_site_has_so_much_storage(self, tenant: Tenant) -> None:
        tenant.switches["storage_mb"] = 1
        rows = "SELECT n, CAST(n AS TEXT) || 'x' AS t FROM generate_series(1, 150000) AS s (n)"
        large = tenant.pen.run([f"CREATE TABLE numbers AS {rows}"])
        tenant.published(invoice(1))
        with pytest.raises(ServerResponseError, match="403008"):
            tenant.publish(large, "Large")

    def test_several_tables_need_foreign_keys_that_make_one_tree(self, tenant: Tenant) -> None:
        tables = ["CREATE TABLE facts (k INT, d INT)", "CREATE TABLE names (k INT, ASSUMED PRIMARY KEY (k))"]
        with pytest.raises(ServerResponseError) as error:
            tenant.publish(tenant.pen.run(tables))
        assert refused(error) == "400011"
        key = "ALTER TABLE facts ADD ASSUMED FOREIGN KEY (d) REFERENCES names (k)"
        tenant.publish(tenant.pen.run([*tables, key, "INSERT INTO names VALUES (7)"]))
        assert tenant.control("GET", "/datasources/Invoices/rows?table=names") == [{"k": 7}]

    def test_a_parquet_file_becomes_a_data_source_that_can_be_updated(
        self, tenant: Tenant, tmp_path: Path
    ) -> None:
        table = pa.table(
            {"company": ["NO01"], "number": [1], "amount": pa.array([Decimal("1.10")], pa.decimal128(18, 2))}
        )
        pq.write_table(table, tmp_path / "x.parquet")
        item = tenant.publish(tmp_path / "x.parquet")
        tenant.end(tenant.update(item, [action("upsert")], [invoice(2, "2.20")], columns=COLUMNS))
        assert tenant.rows("Invoices", "number", "amount") == [(1, "1.10"), (2, "2.20")]


COLUMNS = ("company TEXT", "number BIGINT", "amount NUMERIC(18, 2)")


class TestUploads:
    def test_a_session_has_the_schema_s_form_and_counts_whole_megabytes(self, tenant: Tenant) -> None:
        number = tenant.server.fileuploads.initiate()
        assert number.count(":") == 2
        body, kind = RequestFactory.Fileupload.chunk_req(b"x" * 100)
        assert tenant.server.fileuploads.append(number, body, kind).file_size == 1

    def test_a_chunk_sent_twice_is_there_twice(self, tenant: Tenant, tmp_path: Path) -> None:
        content = tenant.pen.write([invoice(1)]).read_bytes()
        number = tenant.server.fileuploads.initiate()
        body, kind = RequestFactory.Fileupload.chunk_req(content)
        for _ in range(2):
            tenant.server.fileuploads.append(number, body, kind)
        upload = tenant.world.site().uploads[number]
        assert tenant.world.files.path(upload.file).read_bytes() == content * 2

    @pytest.mark.parametrize(("reuse", "expected"), [("refused", "404015"), ("allowed", "")])
    def test_a_session_is_committed_once(self, tenant: Tenant, reuse: str, expected: str) -> None:
        tenant.switches["upload_reuse"] = reuse
        number = tenant.server.fileuploads.upload(str(tenant.pen.write([invoice(1)])))
        body, kind = RequestFactory.Datasource.publish_req_chunked(
            tsc.DatasourceItem(tenant.project, "Invoices")
        )
        path = f"/datasources?datasourceType=hyper&overwrite=true&uploadSessionId={number}"
        replies = [tenant.call("POST", path, data=body, headers={"Content-Type": kind}) for _ in range(2)]
        assert replies[0].status_code == 201
        assert (code(replies[1]) if expected else replies[1].status_code) == (expected or 201)

    def test_a_session_ends_after_a_day_and_may_be_lost_before(self, tenant: Tenant) -> None:
        old, lost = tenant.server.fileuploads.initiate(), tenant.server.fileuploads.initiate()
        tenant.faults.arm("tableau", "upload_lost", match="PUT")
        tenant.pass_time(hours=1)
        body, kind = RequestFactory.Fileupload.chunk_req(b"x")
        with pytest.raises(ServerResponseError, match="404015"):
            tenant.server.fileuploads.append(lost, body, kind)
        tenant.pass_time(hours=23)
        tenant.server = tenant.sign_in()
        with pytest.raises(ServerResponseError, match="404015"):
            tenant.server.fileuploads.append(old, body, kind)

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ({"request_payload": b"x", "tableau_file": b"x"}, "400019"),
            ({"request_payload": b""}, "400020"),
            ({"request_payload": b"", "tableau_file": b"x" * (2**20 + 1)}, "400016"),
        ],
    )
    def test_chunks_that_do_not_fit_are_refused(
        self, tenant: Tenant, parts: dict[str, bytes], expected: str
    ) -> None:
        tenant.switches["chunk_mb"] = 1
        number = tenant.server.fileuploads.initiate()
        reply = tenant.call("PUT", f"/fileUploads/{number}", files=parts)
        assert code(reply) == expected


class TestFinding:
    def test_lists_may_lag_behind_while_the_id_works_at_once(self, tenant: Tenant) -> None:
        tenant.switches["index_lag_lists"] = 1
        item = tenant.published(invoice(1))
        assert tenant.server.datasources.get_by_id(item.id).name == "Invoices"
        names = [[found.name for found in tenant.server.datasources.get()[0]] for _ in range(2)]
        assert [("Invoices" in seen) for seen in names] == [False, True]

    def test_filters_sorting_and_pages(self, tenant: Tenant) -> None:
        for name in ("A 1", "A 2", "B 1"):
            tenant.publish(tenant.pen.write([invoice(1)]), name)
        sources = tenant.server.datasources
        assert [found.name for found in sources.filter(name="A 1")] == ["A 1"]
        assert [found.name for found in sources.filter(project_name="ERP", name__in=["A 2", "B 1"])] == [
            "A 2",
            "B 1",
        ]
        options = tsc.RequestOptions(pagenumber=2, pagesize=2)
        options.sort.add(tsc.Sort("name", tsc.RequestOptions.Direction.Desc))
        found, pagination = sources.get(options)
        assert [one.name for one in found] == ["A 2", "A 1"]
        assert (pagination.page_number, pagination.total_available) == (2, 4)

    @pytest.mark.parametrize(
        ("query", "status", "expected"),
        [
            ("pageNumber=9", 400, "400006"),
            ("pageSize=0", 400, "400007"),
            ("pageSize=1001", 403, "403014"),
            ("filter=name", 400, "400000"),
            ("filter=colour:eq:red", 400, "400000"),
        ],
    )
    def test_pages_and_filters_that_do_not_exist(
        self, tenant: Tenant, query: str, status: int, expected: str
    ) -> None:
        reply = tenant.call("GET", f"/datasources?{query}")
        assert (reply.status_code, code(reply)) == (status, expected)

    def test_a_data_source_is_described_updated_and_deleted(self, tenant: Tenant) -> None:
        item = tenant.published(invoice(1))
        item = tenant.server.datasources.get_by_id(item.id)
        assert (item.datasource_type, item.content_url, item.owner_id) == (
            "hyper",
            "Invoices",
            tenant.server.user_id,
        )
        assert item.created_at is not None
        item.name, item.description, item.tags = "Supplier invoices", "From the ERP", {"erp"}
        item.certified = True
        tenant.server.datasources.update(item)
        changed = tenant.server.datasources.get_by_id(item.id)
        assert (changed.name, changed.description, changed.tags, changed.certified) == (
            "Supplier invoices",
            "From the ERP",
            {"erp"},
            True,
        )
        tenant.server.datasources.populate_connections(item)
        assert [one.connection_type for one in item.connections] == ["hyper"]
        tenant.server.datasources.delete(item.id)
        with pytest.raises(ServerResponseError, match="404004"):
            tenant.server.datasources.get_by_id(item.id)


def test_projects_are_found_and_made(tenant: Tenant) -> None:
    [erp] = tenant.server.projects.filter(name="ERP")
    made = tenant.server.projects.create(tsc.ProjectItem("Archive", parent_id=erp.id))
    assert (made.parent_id, made.top_level_project) == (erp.id, False)
    with pytest.raises(ServerResponseError, match="409006"):
        tenant.server.projects.create(tsc.ProjectItem("archive", parent_id=erp.id))
    assert tenant.server.projects.create(tsc.ProjectItem("Archive")).parent_id is None
    tenant.switches["project_names"] = "per_site"
    with pytest.raises(ServerResponseError, match="409006"):
        tenant.server.projects.create(tsc.ProjectItem("Archive", parent_id=made.id))
    tenant.project = "11111111-1111-4111-8111-111111111111"
    with pytest.raises(ServerResponseError, match="404005"):
        tenant.published(invoice(1))


def test_a_viewer_publishes_nothing(tenant: Tenant) -> None:
    path = "/users/integration@nordfjell.example"
    tenant.control("PATCH", path, json={"site_role": "Viewer"})
    with pytest.raises(ServerResponseError) as error:
        tenant.published(invoice(1))
    assert refused(error) == "403007"


def test_names_keep_their_letters_on_the_way_back(tenant: Tenant, tmp_path: Path) -> None:
    tenant.switches["download_as"] = "hyper"
    item = tenant.publish(tenant.pen.write([invoice(1)]), "Leverandørfakturaer & Øl")
    assert tenant.server.datasources.get_by_id(item.id).name == "Leverandørfakturaer & Øl"
    got = Path(tenant.server.datasources.download(item.id, str(tmp_path)))
    assert got.name.startswith("Leverand")
    assert len(tenant.pen.read(got)) == 1


def test_refused_publishes_leave_no_files(tenant: Tenant, tmp_path: Path) -> None:
    tenant.published(invoice(1))
    folder = tenant.world.files.path("")
    before = set(folder.iterdir())
    (tmp_path / "bad.hyper").write_bytes(b"nonsense")
    (tmp_path / "bad.parquet").write_bytes(b"nonsense")
    (tmp_path / "bad.tdsx").write_bytes(b"nonsense")
    other = tenant.pen.write([invoice(2)], INVOICES[:-1])
    attempts = [("Overwrite", tmp_path / f"bad.{kind}") for kind in ("hyper", "parquet", "tdsx")]
    for mode, file in [*attempts, ("Append", other)]:
        with pytest.raises(ServerResponseError, match="400011"):
            tenant.publish(file, mode=mode)
    assert set(folder.iterdir()) == before
