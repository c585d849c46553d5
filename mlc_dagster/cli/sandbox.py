"""The sandbox as a process of its own: started, asked and stopped from the command line."""

import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import tenacity

START_SECONDS = 60
STOP_SECONDS = 30
CALL_SECONDS = 60


class SandboxFailed(Exception):
    """The sandbox did not start or did not answer."""


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox. Its control API is described in docs/sandbox.md."""

    url: str

    @classmethod
    @contextmanager
    def started(
        cls,
        folder: Path,
        *,
        seed: int = 1,
        scale: str = "1",
        companies: Sequence[str] = (),
        port: int | None = None,
    ) -> "Iterator[Sandbox]":
        """Start a sandbox that keeps its state, and its mlc.yaml and credentials.env, in the folder.

        One that goes on where an earlier one ended leaves both as they are: a person may have edited them.
        It needs the port they name.

        Raises:
            SandboxFailed: it ended at once, or did not answer within a minute; the text names its log.
        """
        port = port or _free_port()
        command = [sys.executable, "-m", "mlc_sandbox", "serve", "--seed", str(seed), "--scale", scale]
        command += ["--port", str(port), "--state", str(folder / "sandbox")]
        if not (folder / "mlc.yaml").exists():
            command += ["--config", str(folder)]
        if companies:
            command += ["--companies", ",".join(companies)]
        log = folder / "sandbox.log"
        with log.open("ab") as output:
            # A session of its own: Ctrl-C stops us first, and we stop it after its last answer.
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603
        try:
            sandbox = cls(f"http://127.0.0.1:{port}")
            sandbox._wait(process, log)
            yield sandbox
        finally:
            _stop(process)

    def pass_day(self) -> dict[str, Any]:
        """Let a day pass in the ERP; tells what changed."""
        return self._control("POST", "/pass-day")

    def state(self) -> dict[str, Any]:
        """What the sandbox serves."""
        return self._control("GET", "/state")

    def _control(self, method: str, path: str) -> dict[str, Any]:
        response = requests.request(method, f"{self.url}/control{path}", timeout=CALL_SECONDS)
        if not response.ok:
            raise SandboxFailed(f"The sandbox answered {response.status_code} to {method} /control{path}.")
        answer: dict[str, Any] = response.json()
        return answer

    def _wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(START_SECONDS),
            wait=tenacity.wait_fixed(0.1),
            retry=tenacity.retry_if_exception_type(requests.ConnectionError),
            before_sleep=lambda _: _still_running(process, log),
            reraise=True,
        )
        try:
            retrying(self.state)
        except requests.ConnectionError:
            raise SandboxFailed(
                f"The sandbox did not answer within {START_SECONDS} s; its log is {log}."
            ) from None


def read_credentials(folder: Path) -> dict[str, str]:
    """The environment variables the sandbox wrote for us: they are worth nothing outside of it."""
    lines = (folder / "credentials.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _still_running(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is not None:
        last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise SandboxFailed(f"The sandbox ended at once: {' '.join(last)} Its log is {log}.")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    """A port that nobody listens on, and that no system gives away by itself until the sandbox has it."""
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
