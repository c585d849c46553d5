"""The mailbox over SFTP, with the client library the product uses."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko
import pytest

from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.core import Faults, SandboxClock

from .conftest import Mailbox, order, segments


@contextmanager
def connected(mailbox: Mailbox, **login: Any) -> Iterator[paramiko.SFTPClient]:
    told = mailbox.control("GET", "/sftp").json()
    kind, _, text = told["host_key"].partition(" ")
    with paramiko.SSHClient() as ssh:
        ssh.get_host_keys().add(
            f"[{told['host']}]:{told['port']}",
            kind,
            paramiko.Ed25519Key(data=base64.b64decode(text)),
        )
        ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        account = {"username": told["user"], "password": mailbox.world.login.password} | login
        ssh.connect(told["host"], told["port"], timeout=10, look_for_keys=False, allow_agent=False, **account)
        with ssh.open_sftp() as sftp:
            yield sftp


@pytest.fixture
def sftp(mailbox: Mailbox) -> Iterator[paramiko.SFTPClient]:
    with connected(mailbox) as client:
        yield client


def write(sftp: paramiko.SFTPClient, path: str, content: str | bytes) -> None:
    with sftp.open(path, "wb") as file:
        file.write(content)


class TestLogin:
    def test_wrong_passwords_and_users_are_refused(self, mailbox: Mailbox) -> None:
        for wrong in ({"password": "no"}, {"username": "root"}):
            with pytest.raises(paramiko.AuthenticationException), connected(mailbox, **wrong):
                pass

    def test_a_key_that_was_made_known_logs_in(self, mailbox: Mailbox) -> None:
        key = paramiko.ECDSAKey.generate()
        with pytest.raises(paramiko.AuthenticationException), connected(mailbox, password=None, pkey=key):
            pass
        public = f"{key.get_name()} {key.get_base64()}"
        assert mailbox.control("POST", "/sftp/keys", json={"public_key": public}).json() == {"keys": 1}
        with connected(mailbox, password=None, pkey=key) as sftp:
            assert sftp.listdir("/") == ["upload", "download"]

    def test_a_log_in_may_fail_for_once(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "sftp_login")
        with pytest.raises(paramiko.AuthenticationException), connected(mailbox):
            pass
        with connected(mailbox) as sftp:
            assert sftp.listdir("/upload") == []


class TestFiles:
    def test_part_and_rename_deliver_a_file(self, mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
        write(sftp, "upload/850.edi.part", order())
        assert sftp.listdir("upload") == ["850.edi.part"]
        assert sftp.stat("upload/850.edi.part").st_size == len(order())
        sftp.rename("upload/850.edi.part", "upload/850.edi")
        assert sftp.listdir("upload") == []
        (name,) = sftp.listdir("download")
        with sftp.open(f"download/{name}") as file:
            assert segments(file.read().decode(), "AK9") == ["AK9*A*1*1*1"]
        assert mailbox.listed() == [name], "REST shows the same folder"
        sftp.remove(f"download/{name}")
        assert mailbox.listed() == []

    def test_posix_rename_works_too(self, mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
        write(sftp, "upload/850.edi.part", order())
        sftp.posix_rename("upload/850.edi.part", "upload/850.edi")
        assert len(mailbox.listed()) == 1

    def test_a_direct_upload_is_gone_before_it_can_be_confirmed(
        self, mailbox: Mailbox, sftp: paramiko.SFTPClient
    ) -> None:
        """paramiko's put() looks the file up again after it was written."""
        with pytest.raises(FileNotFoundError):
            sftp.putfo(io.BytesIO(order().encode()), "upload/850.edi")
        assert len(mailbox.listed()) == 1

    def test_a_file_without_part_may_be_taken_up_half_written(
        self, mailbox: Mailbox, sftp: paramiko.SFTPClient
    ) -> None:
        mailbox.switches["pickup_on"] = "write"
        text = order()
        with sftp.open("upload/850.edi", "wb") as file:
            file.write(text[:200])
            file.flush()
            file.write(text[200:])
        assert mailbox.received()["documents"]["850"] == []
        (ta1,) = mailbox.texts()
        assert segments(ta1, "TA1")[0].endswith("*R*022")

    def test_large_files_pass_unchanged(self, mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
        content = bytes(range(256)) * 1000
        write(sftp, "upload/big.part", content)
        with sftp.open("upload/big.part", "rb") as file:
            assert file.read() == content
        listed = {entry.filename: entry.st_size for entry in sftp.listdir_attr("upload")}
        assert listed == {"big.part": len(content)}

    def test_names_with_spaces_and_letters(self, mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
        mailbox.faults.arm("cleo", "odd_name")
        mailbox.upload(order())
        (name,) = sftp.listdir("download")
        assert "å" in name
        assert " " in name
        with sftp.open(f"download/{name}") as file:
            assert file.read(3) == b"ISA"

    @pytest.mark.parametrize("mode", ["overwrite", "refused"])
    def test_a_name_that_was_used_before(
        self, mailbox: Mailbox, sftp: paramiko.SFTPClient, mode: str
    ) -> None:
        mailbox.switches["same_name"] = mode
        for number in (101, 102):
            write(sftp, "upload/850.edi.part", order(control=number))
            if number == 102 and mode == "refused":
                with pytest.raises(OSError, match="uploaded before"):
                    sftp.rename("upload/850.edi.part", "upload/850.edi")
            else:
                sftp.rename("upload/850.edi.part", "upload/850.edi")
        assert len(mailbox.listed()) == (2 if mode == "overwrite" else 1)

    def test_what_is_not_allowed(self, mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
        mailbox.upload(order())
        (name,) = sftp.listdir("download")
        for attempt in (
            lambda: write(sftp, "download/x.edi", b"x"),
            lambda: sftp.rename(f"download/{name}", "download/y"),
            lambda: sftp.mkdir("upload/new"),
            lambda: sftp.rmdir("upload"),
            lambda: sftp.symlink("/etc/passwd", "upload/link"),
        ):
            with pytest.raises(PermissionError):
                attempt()
        for attempt in (
            lambda: sftp.open("download/none"),
            lambda: sftp.open("/etc/passwd"),
            lambda: sftp.open("../../etc/passwd"),
            lambda: sftp.stat("upload/none"),
            lambda: sftp.listdir("elsewhere"),
        ):
            with pytest.raises(FileNotFoundError):
                attempt()


class TestFaults:
    def test_a_connection_may_drop_after_the_work(self, mailbox: Mailbox) -> None:
        mailbox.faults.arm("cleo", "drop_connection", match="SFTP RENAME")
        with connected(mailbox) as sftp:
            write(sftp, "upload/850.edi.part", order())
            with pytest.raises(paramiko.SSHException, match="dropped"):
                sftp.rename("upload/850.edi.part", "upload/850.edi")
        assert len(mailbox.received()["documents"]["850"]) == 1

    @pytest.mark.parametrize(("when", "taken"), [("before", 0), ("after", 1)])
    def test_a_call_may_fail_before_or_after_the_work(self, mailbox: Mailbox, when: str, taken: int) -> None:
        mailbox.faults.arm("cleo", "server_error", match="SFTP RENAME", when=when)
        with connected(mailbox) as sftp:
            write(sftp, "upload/850.edi.part", order())
            with pytest.raises(OSError, match="could not do it"):
                sftp.rename("upload/850.edi.part", "upload/850.edi")
        assert len(mailbox.received()["documents"]["850"]) == taken


def test_its_calls_are_in_the_call_log(mailbox: Mailbox, sftp: paramiko.SFTPClient) -> None:
    sftp.listdir("download")
    with pytest.raises(FileNotFoundError):
        sftp.remove("download/none")
    calls = [
        (call.method, call.path, call.status) for call in mailbox.sandbox.log.calls("cleo", match="sftp/")
    ]
    assert calls[0] == ("LIST", "/cleo/sftp/download", 200)
    assert ("DELETE", "/cleo/sftp/download/none", 404) in calls


class TestTheServer:
    def test_nothing_heavy_is_imported_until_somebody_connects(self) -> None:
        program = """
import sys
from mlc_sandbox.server import Sandbox
with Sandbox.running(scale=0.02, companies=("NO01",)) as sandbox:
    assert sandbox.cleo.sftp.port
    sys.exit("asyncssh" in sys.modules)
"""
        assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0

    def test_it_keeps_its_port_over_a_restart_unless_somebody_took_it(self) -> None:
        first, second, third = (CleoVendor(SandboxClock(), Faults()) for _ in range(3))
        with first.serving():
            port = first.sftp.port
            state = first.dump()
        second.load(state)
        with second.serving():
            assert second.sftp.port == port
            third.load(state)
            with third.serving():
                assert third.sftp.port != port
