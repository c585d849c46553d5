"""Bodies as different clients send them: multipart, XML, JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from mlc_sandbox.tableau.wire import Malformed, as_json, node, parts, read

from .conftest import Tenant, code

BINARY = st.binary(max_size=40) | st.sampled_from([b"--", b"\r\n--B", b"\r\n\r\n", b"--B--", b"\r\n"])


@given(st.lists(BINARY, min_size=1, max_size=4).map(b"".join), BINARY)
def test_what_one_library_packs_into_parts_comes_out_again(first: bytes, second: bytes) -> None:
    fields = []
    for name, content in (("request_payload", first), ("tableau_file", second)):
        field = RequestField(name, content, filename="file")
        field.make_multipart(content_type="application/octet-stream")
        fields.append(field)
    body, kind = encode_multipart_formdata(fields)
    found = parts(body, kind.replace("form-data", "mixed"))
    assert found == {"request_payload": ("file", first), "tableau_file": ("file", second)}


def test_a_disposition_without_form_data_and_without_quotes_will_do() -> None:
    body = b'--B\r\nContent-Disposition: name="request_payload"\r\n\r\n<x/>\r\n--B\r\n'
    body += b"Content-Disposition: name=tableau_file; filename=file\r\n\r\nabc\r\n--B--\r\n"
    assert parts(body, 'multipart/mixed; boundary="B"') == {
        "request_payload": ("", b"<x/>"),
        "tableau_file": ("file", b"abc"),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--B\r\nContent-Disposition: name=x\r\n\r\nabc",
        b"--B\r\nContent-Disposition: name=x\r\n\r\nabc\r\n--B",
        b"--B\r\n\r\nabc\r\n--B--",
    ],
)
def test_a_body_that_was_cut_off_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parts(body, "multipart/mixed; boundary=B")


def test_a_chunk_that_was_cut_off_is_not_added(tenant: Tenant) -> None:
    number = tenant.server.fileuploads.initiate()
    body = b'--B\r\nContent-Disposition: name="tableau_file"\r\n\r\nhalf of it'
    headers = {"Content-Type": "multipart/mixed; boundary=B"}
    assert code(tenant.call("PUT", f"/fileUploads/{number}", data=body, headers=headers)) == "400000"
    file = tenant.world.site().uploads[number].file
    assert tenant.world.files.path(file).read_bytes() == b""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            b'<tsRequest xmlns="http://tableau.com/api">'
            b'<users><user id="1"/><user id="2"/></users></tsRequest>',
            "text/xml",
        ),
        (b'{"users": {"user": [{"id": "1"}, {"id": "2"}]}}', "application/json"),
    ],
)
def test_a_request_is_the_same_in_xml_and_json(body: bytes, kind: str) -> None:
    users = read(body, kind).find("users")
    assert users is not None
    assert [user.get("id") for user in users] == ["1", "2"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "text/xml"),
        (b"<tsResponse/>", "text/xml"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
    ],
)
def test_other_bodies_are_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Malformed):
        read(body, kind)


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (node("groups", {}, node("group", {"id": 1})), {"group": [{"id": "1"}]}),
        (node("groups"), {}),
        (node("notes", text="why"), "why"),
        (node("v", {"build": "b"}, text="1.0"), {"build": "b", "value": "1.0"}),
        (node("task", {}, node("extractRefresh", {"id": "t"})), {"extractRefresh": {"id": "t"}}),
        (node("x", {"yes": True, "none": None}), {"yes": "true"}),
    ],
)
def test_an_element_is_json_without_what_it_lacks(element: Any, value: Any) -> None:
    assert as_json(element) == value
