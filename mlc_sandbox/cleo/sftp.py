"""A real SFTP server on the mailbox's folders (vendors/cleo.md section 6), in a thread of its own.

The port is bound at once; asyncssh, which takes a while to import, is loaded when somebody first connects.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from mlc_sandbox.cleo.world import World

HOST = "127.0.0.1"


class SftpServer:
    """Serves while `serving` lasts. Port and host key are the same after a restart, if the port is free."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._socket: socket.socket | None = None
        self._port = 0
        self._key = ""  # private, OpenSSH; made when first needed
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port it is or will be served on."""
        self._listener()
        return self._port

    @property
    def host_key(self) -> str:
        """The public host key, as in a known_hosts file."""
        return str(_service().public_key(self._private_key()))

    def dump(self) -> tuple[int, str]:
        """Port and private host key, as far as they are known."""
        return self._port, self._key

    def load(self, state: tuple[int, str]) -> None:
        """Take over what `dump` returned, as far as nothing of it is in use already."""
        port, key = state
        if self._socket is None:
            self._port = port
        self._key = self._key or key

    def _private_key(self) -> str:
        with self._lock:
            self._key = self._key or str(_service().make_key())
            return self._key

    def _listener(self) -> socket.socket:
        with self._lock:
            if self._socket is None:
                try:
                    self._socket = socket.create_server((HOST, self._port))
                except OSError:  # the port of before the restart is somebody else's now
                    self._socket = socket.create_server((HOST, 0))
                self._port = int(self._socket.getsockname()[1])
            return self._socket

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread until the block ends."""
        loop, listener = asyncio.new_event_loop(), self._listener()
        stop = asyncio.Event()
        thread = threading.Thread(
            target=loop.run_until_complete, args=[self._serve(listener, stop)], name="sftp", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(timeout=10)
            loop.close()
            listener.close()
            self._socket = None

    async def _serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        loop, knocked = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(listener, knocked.set)
        waits = [asyncio.ensure_future(event.wait()) for event in (knocked, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        loop.remove_reader(listener)
        for wait in waits:
            wait.cancel()
        if stop.is_set():
            return
        service = await _service().start(self.world, listener, self._private_key())
        await stop.wait()
        await service.close()


def _service() -> ModuleType:
    return importlib.import_module("mlc_sandbox.cleo.sftp_service")
