"""The mailbox behind an interface: put a file into a folder, list a folder, get a file, delete it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing shows it."""

    name: str
    size: int | None = None


class Mailbox(Protocol):
    """One mailbox. Every method may be repeated and raises transport's CallFailed.

    A file that was put may be gone again at once: it is taken up as soon as it is complete (section 6).
    """

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Store a file, whole or not at all as far as anybody who picks files up can see."""
        ...

    def list(self, folder: str) -> list[Listed]:
        """The files of a folder."""
        ...

    def get(self, folder: str, name: str) -> bytes | None:
        """A file's content; None when it is gone."""
        ...

    def delete(self, folder: str, name: str) -> None:
        """Remove a file; it may be gone already."""
        ...
