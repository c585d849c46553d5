"""Bytes that need not lie in memory: what is large waits in a file without a name."""

import tempfile
import threading
import weakref
from collections.abc import Iterator

# Up to here they stay in memory: most deliveries never touch the disk.
SMALL_BYTES = 4_000_000


class Spool:
    """Bytes that are added at the end and read anywhere, by any thread.

    On disk they are where temporary files are; no other process can open them, and they go with their last
    holder.
    """

    def __init__(self, first: bytes = b"") -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=SMALL_BYTES)  # noqa: SIM115 - it ends with us
        self._lock = threading.Lock()
        self.size = self._file.write(first)
        weakref.finalize(self, self._file.close)

    def add(self, data: bytes) -> int:
        """Write bytes behind those that are there; returns where they begin."""
        with self._lock:
            begin = self._file.seek(self.size)
            self.size += self._file.write(data)
            return begin

    def read(self, begin: int, size: int) -> bytes:
        """Some bytes; fewer at the end."""
        with self._lock:
            self._file.seek(begin)
            return self._file.read(size)

    def whole(self) -> bytes:
        """All of them, where they are known to be few."""
        return self.read(0, self.size)

    def pieces(self, size: int) -> Iterator[bytes]:
        """All of them in pieces of that size."""
        return (self.read(begin, size) for begin in range(0, self.size, size))
