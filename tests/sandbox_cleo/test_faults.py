"""Every behaviour that breaks naive clients (vendors/cleo.md section 9), on demand."""

from __future__ import annotations

import pytest
import requests

from .conftest import ORDER, Mailbox, order, segments


class TestCalls:
    def test_a_token_may_expire_mid_run(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "token_expired", after=1)
        assert [mailbox.call("GET", "/api/jobs").status_code for _ in range(3)] == [200, 401, 401]
        mailbox.token = mailbox.login().json()["access_token"]
        assert mailbox.call("GET", "/api/jobs").status_code == 200

    def test_a_401_may_be_a_page(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "unauthorized", html=True)
        reply = mailbox.call("GET", "/api/jobs")
        assert (reply.status_code, reply.text[:6]) == (401, "<html>")
        assert mailbox.call("GET", "/api/jobs").status_code == 200

    def test_a_500_after_the_file_was_stored(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "server_error", when="after", match="POST .*/upload")
        assert mailbox.upload(order()).status_code == 500
        assert len(mailbox.received()["documents"]["850"]) == 1
        mailbox.upload(order())
        assert segments(mailbox.texts()[-1], "TA1")[0].endswith("*R*025")

    def test_a_503_before_anything_happened(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "server_error", status=503, html=True)
        reply = mailbox.upload(order())
        assert (reply.status_code, reply.text[:6]) == (503, "<html>")
        assert mailbox.received()["documents"]["850"] == []

    @pytest.mark.parametrize(("when", "taken"), [("before", 0), ("after", 1)])
    def test_a_connection_may_drop(self, mailbox: Mailbox, when: str, taken: int) -> None:
        mailbox.faults.arm("cleo", "drop_connection", when=when)
        with pytest.raises(requests.ConnectionError):
            mailbox.upload(order())
        assert len(mailbox.received()["documents"]["850"]) == taken

    def test_too_many_requests(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "rate_limit", retry_after=7)
        reply = mailbox.call("GET", "/api/jobs")
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")

    def test_the_log_in_may_be_out_of_order(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "token_error", status=502)
        assert [mailbox.login().status_code for _ in range(2)] == [502, 200]

    def test_a_slow_list(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "slow", seconds=1, match="GET .*files/download")
        with pytest.raises(requests.ReadTimeout):
            mailbox.call("GET", "/api/files/download", timeout=0.2)
        assert mailbox.listed() == []

    def test_the_997_is_there_before_the_upload_is_answered(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "slow", seconds=1, when="after", match="POST .*files/upload")
        with pytest.raises(requests.ReadTimeout):
            mailbox.call("POST", "/api/files/upload", files={"file": ("a.edi", order())}, timeout=0.2)
        assert len(mailbox.listed()) == 1


class TestFiles:
    def test_a_file_that_is_listed_and_gone(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        mailbox.faults.arm("cleo", "ghost_file")
        ghost, real = mailbox.listed()
        assert mailbox.get(ghost).status_code == 404
        assert mailbox.get(real).status_code == 200
        assert mailbox.listed() == [real]

    @pytest.mark.parametrize("name", ["same", "other"])
    def test_a_file_that_is_offered_twice(self, mailbox: Mailbox, name: str) -> None:
        mailbox.upload(order())
        mailbox.faults.arm("cleo", "offered_twice", under=name)
        (first,) = mailbox.listed()
        content = mailbox.get(first).content
        assert mailbox.delete(first).status_code == 204
        (second,) = mailbox.listed()
        assert (second == first) == (name == "same")
        assert mailbox.get(second).content == content
        mailbox.delete(second)
        assert mailbox.listed() == []

    def test_two_files_of_the_same_bytes(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "two_files")
        mailbox.upload(order())
        one, other = mailbox.texts()
        assert one == other

    def test_two_files_with_one_isa13_and_other_bytes(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        mailbox.faults.arm("cleo", "same_isa13")
        mailbox.upload(order(ORDER.replace("PO000123", "PO000124"), 102), "b.edi")
        one, other = mailbox.texts()
        assert one[90:99] == other[90:99]
        assert one != other

    def test_a_page_shifts_when_somebody_takes_a_file_away(self, mailbox: Mailbox) -> None:
        for number in range(4):
            mailbox.upload(order(control=101 + number), f"{number}.edi")
        everything = mailbox.listed()
        mailbox.faults.arm("cleo", "page_shift")
        pages = [
            mailbox.call("GET", "/api/files/download", params={"startIndex": start, "count": 2}).json()
            for start in (0, 2)
        ]
        seen = [file["name"] for page in pages for file in page["resources"]]
        assert [page["totalResults"] for page in pages] == [4, 3]
        assert everything[2] not in seen
        assert mailbox.listed() == everything[1:]

    def test_a_file_that_is_still_being_written(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "partial_file", looks=2)
        mailbox.upload(order())
        (name,) = mailbox.listed()
        half, still, whole = (mailbox.get(name).content for _ in range(3))
        assert half == still == whole[: len(whole) // 2]
        assert whole.endswith(b"~")

    def test_a_file_that_is_written_anew_after_it_was_read(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        (name,) = mailbox.listed()
        mailbox.faults.arm("cleo", "rewritten_file", text="More of it")
        first, then = mailbox.get(name).content, mailbox.get(name).content
        assert first.startswith(b"ISA")
        assert then == b"More of it"

    def test_a_file_whose_sender_writes_it_once_more(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        (name,) = mailbox.listed()
        mailbox.faults.arm("cleo", "rewritten_file")
        first, then = mailbox.get(name).content, mailbox.get(name).content
        assert then == first * 2

    def test_line_breaks_a_mark_and_a_name(self, mailbox: Mailbox) -> None:
        for fault in ("crlf", "bom", "odd_name"):
            mailbox.faults.arm("cleo", fault)
        mailbox.upload(order())
        (name,) = mailbox.listed()
        content = mailbox.get(name).content
        assert content.startswith("\ufeffISA".encode())
        assert content.count(b"~\r\n") == content.count(b"~")
        assert " " in name
        assert not name.isascii()

    def test_several_interchanges_in_one_file(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "several_in_one_file")
        mailbox.upload(order())
        assert mailbox.listed() == []
        mailbox.upload(order(control=102), "b.edi")
        (text,) = mailbox.texts()
        assert [segment[:3] for segment in segments(text)].count("ISA") == 2

    def test_what_was_held_back_leaves_when_it_is_released(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "several_in_one_file")
        mailbox.upload(order())
        assert mailbox.control("POST", "/release").json() == {"released": 1}
        assert len(mailbox.listed()) == 1
