"""Writes a ready mlc.yaml and credentials.env for a running sandbox."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mlc_sandbox.core import Vendor

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
    for file, lines in ((credentials, secrets), (folder / "activate", _exports(folder, secrets))):
        file.touch(mode=0o600)
        head = "export " if file.name == "activate" else ""
        file.write_text("".join(f"{head}{name}={value}\n" for name, value in lines.items()), "utf-8")
    with (folder / "activate").open("a") as activate:
        activate.write(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n")
    return config, credentials


def _exports(folder: Path, secrets: dict[str, str]) -> dict[str, str]:
    """What a shell needs to work on this sandbox: `. DIR/activate`."""
    home = folder.resolve() / "dagster"
    home.mkdir(exist_ok=True)
    paths = {"MLC_CONFIG": str(folder.resolve() / "mlc.yaml"), "DAGSTER_HOME": str(home)}
    return {name: shlex.quote(value) for name, value in (secrets | paths).items()}
