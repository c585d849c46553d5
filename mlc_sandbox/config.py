"""Writes a ready mlc.yaml and credentials.env for a running sandbox."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mlc_sandbox.core import Vendor

INSTANCE = Path(__file__).parent.parent / "dagster.yaml"
ELSEWHERE = ("MLC_DATABASE_URL", "MLC_LAKE_URL")

_HEAD = (
    "# Written by the sandbox for {url}. Credentials are named here; their values are in credentials.env.\n"
)


def write_config(folder: Path, url: str, vendors: Iterable[Vendor]) -> tuple[Path, Path]:
    """Write both files and `activate`, and return the first two. The ERP's section is the top level, each
    target's a pair. A start day that was written before stays: moving it would hide the first partitions.
    """
    document: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for vendor in vendors:
        (document if vendor.name == "visma" else pairs).update(vendor.config_section(url))
        secrets |= vendor.secrets()
    document["pairs"] = pairs
    folder.mkdir(parents=True, exist_ok=True)
    config, credentials = folder / "mlc.yaml", folder / "credentials.env"
    if config.exists():
        document["start_day"] = yaml.safe_load(config.read_text("utf-8"))["start_day"]
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    config.write_text(_HEAD.format(url=url) + text, encoding="utf-8")
    _write_private(credentials, "".join(f"{name}={value}\n" for name, value in secrets.items()))
    _write_private(folder / "activate", _activation(folder, secrets))
    return config, credentials


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")


def _activation(folder: Path, secrets: dict[str, str]) -> str:
    """What a shell needs to work on this sandbox: `. DIR/activate`.

    A real installation's database and lake are forgotten: what is tried here must not end up there.
    """
    home = folder.resolve() / "dagster"
    home.mkdir(exist_ok=True)
    shutil.copy(INSTANCE, home / INSTANCE.name)
    paths = {"MLC_CONFIG": str(folder.resolve() / "mlc.yaml"), "DAGSTER_HOME": str(home)}
    exports = secrets | paths | {"PYTHONWARNINGS": "ignore::FutureWarning"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    programs = shlex.quote(str(Path(sys.executable).parent))
    return "\n".join([f"unset {' '.join(ELSEWHERE)}", *lines, f"export PATH={programs}:$PATH", ""])
