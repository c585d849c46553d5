"""The folder a demo lives in: held by one process at a time, emptied only when a demo made it."""

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlc_dagster.cli.sandbox import read_credentials
from mlc_dagster.settings import REPOSITORY

DEMO_FOLDER = Path(".mlc/demo")
MARK = ".mlc-demo"
ELSEWHERE = ("MLC_DATABASE_URL", "MLC_LAKE_URL")


class FolderBusy(Exception):
    """Another demo or UI works in the folder."""


class NotADemo(Exception):
    """The folder holds something that no demo made."""


class NoFolder(Exception):
    """The folder cannot be made."""


@contextmanager
def hold(folder: Path, what: str) -> Iterator[None]:
    """Keep a demo's folder for this process while the block runs; it is made when it is not there.

    Raises:
        NotADemo: it holds something that no demo made, and is left as it is.
        FolderBusy: another process keeps it; the text says which.
        NoFolder: it cannot be made.
    """
    if folder.exists() and any(folder.iterdir()) and not is_demo(folder):
        raise NotADemo(
            f"{folder} holds something that no demo made; nothing was touched. Choose another --folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoFolder(f"{folder} cannot be made: {error.strerror}. Choose another with --folder.") from None
    with (folder / MARK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderBusy(
                f"{folder} is in use by {lock.read().strip() or 'another process'}. "
                "Wait for it or stop it, or choose another folder with --folder."
            ) from None
        lock.truncate(0)
        lock.write(f"{what} (process {os.getpid()})")
        lock.flush()
        yield


def empty(folder: Path) -> None:
    """Remove what an earlier demo left in a folder that is held."""
    for child in folder.iterdir():
        if child.name != MARK:
            shutil.rmtree(child) if child.is_dir() else child.unlink()


def is_demo(folder: Path) -> bool:
    """Whether a demo made the folder."""
    return (folder / MARK).exists()


def use(folder: Path) -> None:
    """Point this process, and those it starts, at the configuration and the state in the folder.

    A database or lake of the real installation that the environment names is not touched.
    """
    home = (folder / "dagster").resolve()
    home.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ.update(_variables(folder))
    (folder / "activate").write_text(_activation(folder), "utf-8")


def _variables(folder: Path) -> dict[str, str]:
    return {
        **read_credentials(folder),
        "MLC_CONFIG": str((folder / "mlc.yaml").resolve()),
        "DAGSTER_HOME": str((folder / "dagster").resolve()),
        # Dagster's replacement for `dagster asset` is a developer tool we do not ship.
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }


def _activation(folder: Path) -> str:
    """A shell script that points a terminal at the demo, as `use` points this process at it."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in _variables(folder).items()]
    programs = shlex.quote(str(Path(sys.executable).parent))
    return "\n".join([f"unset {' '.join(ELSEWHERE)}", *exports, f"export PATH={programs}:$PATH", ""])
