"""A scripted vendor on a real socket, and databases for the budgets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.postgres import engine, postgres_url
from tests.transport.clocks import ManualClock

__all__ = ["engine", "postgres_url"]


@dataclass
class Answer:
    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection after reading the request, without an answer
    silent: str = ""  # "before the headers" or "in the body": from there on it says nothing
    by_drops: Callable[[], object] | None = None  # the body goes in 20 pieces, with this after each


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Vendor:
    """Answers from a list, then with 200; remembers what it received."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.received: list[Received] = []
        self.decide: Callable[[Received], Answer] | None = None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answers(self, *answers: Answer) -> None:
        self.script.extend(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, received: Received) -> Answer:
        with self._lock:
            self.received.append(received)
            if self.decide is not None:
                return self.decide(received)
            return self.script.pop(0) if self.script else Answer()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = vendor._answer(Received(self.command, self.path, dict(self.headers.items()), body))
                if answer.drop:
                    self.close_connection = True
                    return
                if answer.silent == "before the headers":
                    self._until_the_client_goes()
                    return
                payload = answer.body.encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(payload)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if answer.silent:
                    self.wfile.write(payload[: len(payload) // 2])
                    self._until_the_client_goes()
                elif answer.by_drops is not None:
                    self._trickle(payload, answer.by_drops)
                else:
                    self.wfile.write(payload)

            def _until_the_client_goes(self) -> None:
                self.rfile.read()
                self.close_connection = True

            def _trickle(self, payload: bytes, after: Callable[[], object]) -> None:
                self.close_connection = True
                with suppress(ConnectionError):
                    size = len(payload) // 20
                    for begin in range(0, len(payload), size):
                        self.wfile.write(payload[begin : begin + size])
                        after()

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
