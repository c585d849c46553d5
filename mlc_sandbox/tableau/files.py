"""The files the site holds, in a folder of their own that goes with the sandbox."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path


class Files:
    """Contents by name. A changed file gets a new name, so that whoever reads the old one reads it whole."""

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        """Made with the first file: most sandboxes never hold one."""
        return tempfile.TemporaryDirectory(prefix="mlc-tableau-")

    def path(self, name: str) -> Path:
        """Where a file is."""
        return Path(self._folder.name) / name

    def name(self) -> str:
        """A name nobody has used."""
        return f"{uuid.uuid4().hex}.hyper"

    def new(self, content: bytes = b"") -> str:
        """Keep content under a new name."""
        name = self.name()
        self.path(name).write_bytes(content)
        return name

    def copy(self, name: str) -> str:
        """The same content under a new name."""
        made = self.name()
        shutil.copyfile(self.path(name), self.path(made))
        return made

    def move(self, name: str) -> str:
        """The same content under a new name only."""
        made = self.name()
        self.path(name).rename(self.path(made))
        return made

    def append(self, name: str, content: bytes) -> int:
        """Add to a file; its size afterwards."""
        with self.path(name).open("ab") as file:
            file.write(content)
            return file.tell()

    def drop(self, name: str | None) -> None:
        """Forget a file."""
        if name is not None:
            self.path(name).unlink(missing_ok=True)

    def dump(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of these files."""
        return {name: self.path(name).read_bytes() for name in names}

    def load(self, contents: dict[str, bytes]) -> None:
        """Hold exactly these files."""
        if "_folder" in self.__dict__:
            self._folder.cleanup()
            del self._folder
        for name, content in contents.items():
            self.path(name).write_bytes(content)
