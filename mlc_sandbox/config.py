"""Writes a ready mlc.yaml and credentials.env for a running sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mlc_sandbox.core import Vendor

_HEAD = (
    "# Written by the sandbox for {url}. Credentials are named here; their values are in credentials.env.\n"
)


def write_config(folder: Path, url: str, vendors: Iterable[Vendor]) -> tuple[Path, Path]:
    """Write both files and return their paths. The ERP's section is the top level, each target's a pair."""
    document: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for vendor in vendors:
        (document if vendor.name == "visma" else pairs).update(vendor.config_section(url))
        secrets |= vendor.secrets()
    document["pairs"] = pairs
    folder.mkdir(parents=True, exist_ok=True)
    config, credentials = folder / "mlc.yaml", folder / "credentials.env"
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    config.write_text(_HEAD.format(url=url) + text, encoding="utf-8")
    credentials.touch(mode=0o600)
    credentials.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()), encoding="utf-8")
    return config, credentials
