"""The mailbox over REST and over VersaLex's commands (vendors/cleo.md section 6)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .conftest import Mailbox, order, segments


class TestRest:
    def test_an_upload_is_taken_up_and_answered(self, mailbox: Mailbox) -> None:
        reply = mailbox.upload(order(), "850_NORDEDI_000000101.edi")
        assert (reply.status_code, reply.json()["name"]) == (201, "850_NORDEDI_000000101.edi")
        assert mailbox.listed("upload") == []
        (name,) = mailbox.listed()
        assert segments(mailbox.get(name).text, "AK5") == ["AK5*A"]

    def test_a_file_is_deleted_by_the_client(self, mailbox: Mailbox) -> None:
        mailbox.upload(order())
        (name,) = mailbox.listed()
        assert mailbox.delete(name).status_code == 204
        assert mailbox.listed() == []
        assert mailbox.get(name).status_code == mailbox.delete(name).status_code == 404

    def test_a_download_may_delete(self, mailbox: Mailbox) -> None:
        mailbox.switches["download_deletes"] = True
        mailbox.upload(order())
        (name,) = mailbox.listed()
        assert mailbox.get(name).status_code == 200
        assert mailbox.listed() == []

    def test_the_list_pages_as_other_lists_do(self, mailbox: Mailbox) -> None:
        for number in range(3):
            mailbox.upload(order(control=101 + number), f"{number}.edi")
        page = mailbox.call("GET", "/api/files/download", params={"startIndex": 2, "count": 2}).json()
        assert (page["totalResults"], len(page["resources"])) == (3, 1)
        assert set(page["resources"][0]) == {"name", "size", "modified"}

    def test_every_path_verb_and_field_can_be_another(self, mailbox: Mailbox) -> None:
        mailbox.switches.update(
            folder_path="/mbx/v2/{folder}/content",
            file_path="/mbx/v2/{folder}/content/{name}/raw",
            jobs_path="/mbx/v2/runs",
            upload_method="PUT",
            upload_form="raw",
            upload_status=200,
            upload_folder="til-partner",
            download_folder="fra-partner",
        )
        upload = mailbox.call("PUT", "/mbx/v2/til-partner/content/a b.edi/raw", data=order())
        assert upload.status_code == 200
        page = mailbox.call("GET", "/mbx/v2/fra-partner/content").json()
        name = page["resources"][0]["name"]
        path = f"/mbx/v2/fra-partner/content/{name}/raw"
        assert mailbox.call("GET", path).content.startswith(b"ISA")
        assert mailbox.call("DELETE", path).status_code == 204
        assert mailbox.call("GET", "/mbx/v2/runs").json()["totalResults"] == 2
        assert mailbox.call("GET", "/api/files/upload").status_code == 404

    def test_the_multipart_field_has_a_name(self, mailbox: Mailbox) -> None:
        mailbox.switches["upload_field"] = "payload"
        assert mailbox.upload(order()).status_code == 400
        reply = mailbox.call("POST", "/api/files/upload", files={"payload": ("ø.edi", order())})
        assert (reply.status_code, reply.json()["name"]) == (201, "ø.edi")
        assert mailbox.call("POST", "/api/files/upload", data=order()).status_code == 415

    @pytest.mark.parametrize(("mode", "status"), [("overwrite", 201), ("refused", 409)])
    def test_a_name_that_was_used_before(self, mailbox: Mailbox, mode: str, status: int) -> None:
        mailbox.switches["same_name"] = mode
        mailbox.upload(order())
        assert mailbox.upload(order(control=102)).status_code == status

    def test_a_large_file_is_refused(self, mailbox: Mailbox) -> None:
        mailbox.switches["upload_bytes"] = 100
        assert mailbox.upload(order()).status_code == 413

    def test_nothing_is_uploaded_to_the_partners_folder_or_beside_it(self, mailbox: Mailbox) -> None:
        reply = mailbox.call("POST", "/api/files/download", files={"file": ("x.edi", order())})
        assert reply.status_code == 403
        assert mailbox.upload(order(), "../x.edi").status_code == 400
        assert mailbox.call("GET", "/api/files/elsewhere").status_code == 404

    def test_bytes_pass_unchanged(self, mailbox: Mailbox) -> None:
        content = bytes(range(256)) + b"\r\n--x\r\n\r\n"
        mailbox.switches["pickup_seconds"] = 60
        mailbox.upload(content, "bytes.bin")
        assert mailbox.call("GET", "/api/files/upload/bytes.bin").content == content


class TestPickup:
    def test_a_file_waits_until_the_flow_takes_it_up(self, mailbox: Mailbox) -> None:
        mailbox.switches["pickup_seconds"] = 60
        mailbox.upload(order())
        assert (mailbox.listed("upload"), mailbox.listed()) == (["850_1.edi"], [])
        mailbox.pass_time(61)
        assert mailbox.listed("upload") == []
        assert len(mailbox.listed()) == 1

    def test_it_may_stay_where_it_is_and_is_taken_up_once(self, mailbox: Mailbox) -> None:
        mailbox.switches["after_pickup"] = "kept"
        mailbox.upload(order())
        assert mailbox.listed("upload") == ["850_1.edi"]
        assert len(mailbox.listed()) == 1

    def test_an_unfinished_name_is_never_taken_up(self, mailbox: Mailbox) -> None:
        mailbox.upload(order(), "850_1.edi.part")
        assert mailbox.listed("upload") == ["850_1.edi.part"]
        assert mailbox.listed() == []


def test_jobs_tell_what_became_of_a_payload(mailbox: Mailbox) -> None:
    mailbox.upload(order(), "good.edi")
    mailbox.upload("Hei!", "bad.edi")
    jobs = {
        name: mailbox.call("GET", "/api/jobs", params={"filter": f'payload eq "{name}"'}).json()["resources"]
        for name in ("good.edi", "bad.edi", "none.edi")
    }
    assert [job["status"] for job in jobs["good.edi"]] == ["successful"]
    assert [job["status"] for job in jobs["bad.edi"]] == ["issue"]
    assert jobs["none.edi"] == []


def test_calls_may_be_limited(mailbox: Mailbox) -> None:
    mailbox.switches["calls_per_minute"] = 2
    statuses = [mailbox.call("GET", "/api/jobs").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    reply = mailbox.call("GET", "/api/jobs")
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    mailbox.pass_time(61)
    assert mailbox.call("GET", "/api/jobs").status_code == 200


class TestVersalex:
    def ask(self, mailbox: Mailbox, request: str, **options: Any) -> requests.Response:
        account = mailbox.world.login
        params = {"request": request, **options.pop("params", {})}
        auth = options.pop("auth", (account.user, account.password))
        return requests.post(f"{mailbox.root}/server", params=params, auth=auth, timeout=30, **options)

    def test_the_default_folders_are_inbox_and_outbox_payload(self, mailbox: Mailbox) -> None:
        assert self.ask(mailbox, "connect0").status_code == 200
        assert self.ask(mailbox, "send", params={"filename": "a.edi"}, data=order()).status_code == 200
        (name,) = self.ask(mailbox, "list").text.split("\r\n")[:-1]
        got = self.ask(mailbox, "receive", params={"filename": name})
        assert segments(got.text, "AK9") == ["AK9*A*1*1*1"]
        assert self.ask(mailbox, "delete", params={"filename": name}).status_code == 200
        assert self.ask(mailbox, "list").text == ""

    def test_folders_can_be_named_and_parameters_stand_in_the_body(self, mailbox: Mailbox) -> None:
        params = {"directory": "upload/", "filename": "a.edi"}
        assert self.ask(mailbox, "send", params=params, data=order()).status_code == 200
        listed = requests.post(
            f"{mailbox.root}/server",
            data={"request": "list", "directory": "download/"},
            auth=(mailbox.world.login.user, mailbox.world.login.password),
            timeout=30,
        )
        assert listed.text.startswith("997_NORDEDI_")

    def test_the_list_may_be_long(self, mailbox: Mailbox) -> None:
        mailbox.switches["versalex_list"] = "unix"
        self.ask(mailbox, "send", params={"filename": "a.edi"}, data=order())
        assert self.ask(mailbox, "list").text.startswith("-rw-r--r-- 1 ")

    def test_plain_verbs_work_too(self, mailbox: Mailbox) -> None:
        account = (mailbox.world.login.user, mailbox.world.login.password)
        url = f"{mailbox.root}/server"
        assert requests.put(f"{url}/inbox/a.edi", data=order(), auth=account, timeout=30).status_code == 200
        name = self.ask(mailbox, "list").text.strip()
        file = f"{url}/outbox/payload/{name}"
        assert requests.get(file, auth=account, timeout=30).content.startswith(b"ISA")
        assert requests.delete(file, auth=account, timeout=30).status_code == 200

    def test_user_and_password_are_asked_for(self, mailbox: Mailbox) -> None:
        reply = self.ask(mailbox, "list", auth=("mlc-mailbox", "no"))
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"].startswith("Basic")
        assert mailbox.call("POST", "/server?request=list").status_code == 401, (
            "a bearer token is no password"
        )

    def test_unknown_requests_and_missing_names(self, mailbox: Mailbox) -> None:
        assert self.ask(mailbox, "format").status_code == 400
        assert self.ask(mailbox, "receive").status_code == 400
        assert self.ask(mailbox, "list", params={"directory": "etc"}).status_code == 404

    def test_the_path_is_a_switch(self, mailbox: Mailbox) -> None:
        mailbox.switches["versalex_path"] = "/versalex"
        assert mailbox.call("POST", "/server?request=list").status_code == 404
        account = (mailbox.world.login.user, mailbox.world.login.password)
        reply = requests.post(f"{mailbox.root}/versalex?request=list", auth=account, timeout=30)
        assert reply.status_code == 200
