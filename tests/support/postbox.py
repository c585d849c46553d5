"""Where alerts arrive: a mail server and a webhook on the loopback, both real, both small."""

import email
import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Postbox:
    """What has arrived, and whether the next message is taken."""

    port: int = 0
    taking: bool = True
    titles: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        return self.bodies[-1]


@contextmanager
def webhook() -> Iterator[Postbox]:
    """A service that takes JSON by HTTP, as apprise's json:// sends it; it answers 404 while not taking."""
    box = Postbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if box.taking:
                box.titles.append(message["title"])
                box.bodies.append(message["message"])
            self.send_response(200 if box.taking else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    yield from _served(ThreadingHTTPServer(("127.0.0.1", 0), Handler), box)


@contextmanager
def mail_server() -> Iterator[Postbox]:
    """A server of mail (as much of RFC 5321 as a sender needs); it refuses recipients while not taking."""
    box = Postbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 postbox")
            while line := self.rfile.readline().strip():
                command = line[:4].upper()
                if command == b"DATA":
                    self.say("354 go on")
                    self.take()
                elif command == b"RCPT" and not box.taking:
                    self.say("550 nobody here")
                elif command == b"QUIT":
                    self.say("221 bye")
                    return
                self.say("250 postbox")

        def take(self) -> None:
            lines = list(iter(self.rfile.readline, b".\r\n"))
            message = email.message_from_bytes(b"".join(lines), policy=policy.default)
            part = message.get_body(("plain", "html"))
            box.titles.append(str(message["Subject"]))
            box.bodies.append(part.get_content() if part else "")

        def say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    yield from _served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler), box)


def _served(server: socketserver.TCPServer, box: Postbox) -> Iterator[Postbox]:
    box.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
