"""Saves and loads everything the sandbox holds, so that ERP and destinations survive its restart together."""

from __future__ import annotations

import pickle
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlc_sandbox.server import Sandbox

VERSION = 1
FILE = "sandbox-state.pickle"


class StateUnusable(Exception):
    """The saved state cannot be taken over; the text says why and what to do."""


def save(sandbox: Sandbox, folder: Path) -> Path:
    """Write the state atomically and return the file. A pickle: load only files this machine wrote itself."""
    folder.mkdir(parents=True, exist_ok=True)
    envelope = {
        "version": VERSION,
        "seed": sandbox.seed,
        "offset_seconds": sandbox.clock.offset.total_seconds(),
        "advanced_seconds": sandbox.clock.advanced.total_seconds(),
        "rng": sandbox.rng.getstate(),
        "vendors": {name: vendor.dump() for name, vendor in sandbox.vendors.items()},
    }
    file = folder / FILE
    temporary = file.with_suffix(".writing")
    temporary.write_bytes(pickle.dumps(envelope, protocol=pickle.HIGHEST_PROTOCOL))
    temporary.replace(file)
    return file


def load(sandbox: Sandbox, folder: Path) -> bool:
    """Take over the state in the folder; False when there is none.

    Raises:
        StateUnusable: written by another version, or for another seed.
    """
    file = folder / FILE
    if not file.exists():
        return False
    remedy = f"Delete {file} to start afresh."
    try:
        envelope: Any = pickle.loads(file.read_bytes())  # noqa: S301 - our own file
        version, seed = envelope["version"], envelope["seed"]
    except (pickle.UnpicklingError, AttributeError, EOFError, ImportError, KeyError, TypeError) as error:
        raise StateUnusable(f"The sandbox state {file} cannot be read: {error}. {remedy}") from error
    if version != VERSION:
        raise StateUnusable(f"The sandbox state {file} is version {version}, not {VERSION}. {remedy}")
    if seed != sandbox.seed:
        raise StateUnusable(
            f"The sandbox state {file} belongs to seed {seed}, not {sandbox.seed}. "
            f"Start with --seed {seed}, or: {remedy}"
        )
    sandbox.clock.offset = timedelta(seconds=envelope["offset_seconds"])
    # Expiries and windows were noted by this time; a state without it had none ahead of the real one.
    sandbox.clock.advanced = timedelta(seconds=envelope.get("advanced_seconds", 0))
    sandbox.rng.setstate(envelope["rng"])
    for name, state in envelope["vendors"].items():
        if name in sandbox.vendors:
            sandbox.vendors[name].load(state)
    return True
