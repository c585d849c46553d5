"""What docs/security.md claims: our tokens go to the vendor and nobody else, and no answer fills the machine.

Claims that a room's own tests hold are named there.
"""

import gzip
import io
import re
import ssl
import zipfile
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from mlc_dagster.cleo.connections import Connections
from mlc_dagster.cleo.rest import RestMailbox
from mlc_dagster.lake.latest import connect
from mlc_dagster.lake.storage import Storage
from mlc_dagster.powerbi.auth import ServicePrincipal
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.settings.cleo import Rest, SupplierConnections
from mlc_dagster.tableau import hyper, wire
from mlc_dagster.transport import Again, CallCounter, Http, InDoubt, Misconfigured, Refused
from mlc_dagster.transport.budget import Unlimited
from mlc_dagster.transport.errors import CallFailed
from tests.transport.clocks import ManualClock
from tests.transport.conftest import Answer, Vendor
from tests.transport.test_tls import identity, serving

__all__ = ["identity"]

TOKEN = "the-token-nobody-else-may-hear"


class Token:
    """A token under a name of the vendor's own, which no HTTP library knows to hold back."""

    def headers(self) -> dict[str, str]:
        return {"X-Tableau-Auth": TOKEN, "Authorization": f"Bearer {TOKEN}"}

    def renew(self) -> None:
        raise AssertionError("nothing was refused")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.close()


@pytest.fixture
def stranger() -> Iterator[Vendor]:
    """Another server, to which only a mistake leads."""
    server = Vendor()
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def http(vendor: Vendor, clock: ManualClock, **options: Any) -> Http:
    return Http("acme", vendor.url, auth=Token(), clock=clock, **options)


# Where our tokens go


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(
    vendor: Vendor, stranger: Vendor, clock: ManualClock, status: int
) -> None:
    vendor.answers(Answer(status, headers={"Location": f"{stranger.url}/x"}))
    with pytest.raises(Misconfigured, match="nothing was sent"):
        http(vendor, clock).call("GET", "/x")
    assert stranger.received == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_link_to_another_host_is_not_called(
    vendor: Vendor, stranger: Vendor, clock: ManualClock, method: str
) -> None:
    with pytest.raises(Misconfigured, match="nothing was sent"):
        http(vendor, clock).call(method, f"{stranger.url}/next?page=2")
    assert stranger.received == []


@pytest.mark.parametrize("trick", ["@HOST/x", ".HOST/x", "\\@HOST/x", ":1@HOST/x"])
def test_no_path_moves_the_host(vendor: Vendor, stranger: Vendor, clock: ManualClock, trick: str) -> None:
    with pytest.raises(Misconfigured):
        http(vendor, clock).call("GET", trick.replace("HOST", stranger.url.removeprefix("http://")))
    assert stranger.received == vendor.received == []


def test_links_and_redirects_within_the_vendors_host_are_followed(vendor: Vendor, clock: ManualClock) -> None:
    vendor.answers(Answer(302, headers={"Location": "/y"}))
    assert http(vendor, clock).call("GET", "/x").status_code == 200
    assert http(vendor, clock).call("GET", f"{vendor.url}/z").status_code == 200
    assert [each.path for each in vendor.received] == ["/x", "/y", "/z"]
    assert {each.headers["X-Tableau-Auth"] for each in vendor.received} == {TOKEN}


def test_a_link_in_cleos_answer_leads_nowhere_else(
    vendor: Vendor, stranger: Vendor, clock: ManualClock
) -> None:
    links = f'"_links": {{"self": {{"href": "{stranger.url}/connections/1"}}}}'
    vendor.answers(Answer(body=f'{{"totalResults": 1, "resources": [{{"alias": "50001", {links}}}]}}'))
    connections = Connections(SupplierConnections(), http(vendor, clock), ["NO01"])
    with pytest.raises(Misconfigured, match="nothing was sent"):
        connections.set("NO01", "50001", {"name": "Nordlys"}, ["name"])
    assert stranger.received == []


def test_a_proxy_of_the_environment_does_not_hear_what_is_for_this_machine(
    vendor: Vendor, stranger: Vendor, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, stranger.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    vendor.decide = lambda asked: Answer(200 if asked.path == "/x" else 400)
    http(vendor, clock).call("GET", "/x")
    principal = ServicePrincipal(vendor.url, "tenant", "id", "secret", scope="s/.default", clock=clock)
    with pytest.raises(CallFailed):
        principal.fetch()
    assert len(vendor.received) > 1
    assert stranger.received == []


def test_a_files_name_at_a_partners_is_no_path_and_no_query(vendor: Vendor, clock: ManualClock) -> None:
    login = '{"access_token": "such", "expires_in": 3600}'
    vendor.decide = lambda asked: Answer(body=login if asked.method == "POST" else "content")
    mailbox = RestMailbox(
        Rest(base_url=vendor.url),
        "user",
        "password",
        budget=Unlimited("Cleo", clock=clock),
        counter=CallCounter(),
        clock=clock,
    )
    assert mailbox.get("download", "../../api/users?all#x") == b"content"
    assert vendor.received[-1].path == "/api/files/download/..%2F..%2Fapi%2Fusers%3Fall%23x"


# What SQL of a mapping reaches


@pytest.mark.parametrize(
    "statement",
    [
        "select content from read_text('KEY')",
        "select content from read_text('LAKE/../vault.key')",
        "select * from read_csv('KEY')",
        "select * from glob('HOME/*')",
        "copy (select 1) to 'HOME/made.csv'",
        "attach 'HOME/made.db'",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "install httpfs",
    ],
)
def test_sql_reads_the_lake_and_no_other_file(tmp_path: Path, statement: str) -> None:
    (tmp_path / "vault.key").write_text("the key")
    lake = tmp_path / "lake"
    lake.mkdir()
    pq.write_table(pa.table({"a": [1]}), lake / "a.parquet")
    with closing(connect(Storage(str(lake)))) as connection:
        assert connection.execute(f"select a from read_parquet('{lake}/a.parquet')").fetchall() == [(1,)]
        words = {"KEY": f"{tmp_path}/vault.key", "LAKE": str(lake), "HOME": str(tmp_path)}
        for word, path in words.items():
            statement = statement.replace(word, path)
        with pytest.raises(duckdb.Error, match=r"disabled by configuration|[Cc]annot"):
            connection.execute(statement).fetchall()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lake", "vault.key"]


# TLS


def test_nothing_in_the_product_turns_verification_off() -> None:
    """No call says verify=False, and nothing uses ssl's, urllib3's or paramiko's ways around it."""
    around = re.compile(
        r"verify\s*=\s*False|\.verify\s*=[^=]|_create_unverified_context|CERT_NONE|disable_warnings"
        r"|AutoAddPolicy|WarningPolicy"
    )
    files = (REPOSITORY / "mlc_dagster").rglob("*.py")
    assert [str(file) for file in files if around.search(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONHTTPSVERIFY"])
@pytest.mark.parametrize("value", ["", "0"])
def test_no_variable_of_the_environment_turns_verification_off(
    identity: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    heard: list[ssl.SSLSocket] = []
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    refused = pytest.raises(Misconfigured, match=r"certificate|no such file")
    with serving(identity, heard.append) as url, refused:
        Http("acme", url, auth=Token(), clock=clock).call("GET", "/x")
    assert heard == []


# Answers that would fill the machine


def test_an_answer_without_end_is_not_read_to_its_end(vendor: Vendor, clock: ManualClock) -> None:
    vendor.answers(Answer(body="x" * 3_000_000), Answer(body="x" * 3_000_000))
    with pytest.raises(Refused, match="larger than 1 MiB"):
        http(vendor, clock, largest=2**20).call("GET", "/x")
    with pytest.raises(InDoubt):
        http(vendor, clock, largest=2**20).call("POST", "/x")


def test_a_login_that_trickles_for_ever_is_given_up(vendor: Vendor, clock: ManualClock) -> None:
    vendor.decide = lambda _: Answer(body="x" * 20, by_drops=lambda: clock.advance(60))
    principal = ServicePrincipal(vendor.url, "tenant", "id", "secret", scope="s/.default", clock=clock)
    with pytest.raises(Again, match="ReadTimeout"):
        principal.fetch()


def test_a_bomb_in_gzip_is_not_unpacked(clock: ManualClock) -> None:
    class Bomb(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = gzip.compress(bytes(40 * 2**20))
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Bomb) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with pytest.raises(Refused, match="larger than 1 MiB"):
            Http("acme", f"http://127.0.0.1:{server.server_port}", clock=clock, largest=2**20).call(
                "GET", "/x"
            )
        server.shutdown()
        thread.join()


def test_an_extract_that_unpacks_to_more_than_the_disk_holds_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "downloaded"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Data/Extracts/x.hyper", bytes(2**20))
    monkeypatch.setattr(hyper, "disk_usage", lambda _: SimpleNamespace(free=2**20 - 1))
    with pytest.raises(hyper.Unusable, match="larger than the disk"):
        hyper._unpacked(packed)
    assert list(tmp_path.iterdir()) == [packed]


def test_a_name_inside_an_extract_does_not_say_where_it_is_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "inner" / "downloaded"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../outside.hyper", b"x")
    assert hyper._unpacked(packed).parent == packed.parent
    assert sorted(file.name for file in tmp_path.rglob("*.hyper")) == ["downloaded.unpacked.hyper"]


def test_entities_in_xml_are_refused_not_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><tsResponse>&c;</tsResponse>'
    outside = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><tsResponse>&b;</tsResponse>'
    for text in (bomb, outside):
        response = requests.Response()
        response.raw = io.BytesIO(text.encode())
        assert wire.read(response) is None


# The guide


def test_every_proof_that_the_guide_names_is_there() -> None:
    text = (REPOSITORY / "docs" / "security.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`((?:\w+/)?test_\w+)`", row)}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (REPOSITORY / "tests" / f"{name}.py").exists()] == []
