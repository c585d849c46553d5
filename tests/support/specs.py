"""Where the vendors' OpenAPI files are: beside the repository, never inside it."""

from pathlib import Path

import pytest

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs"


def needs_specs(vendor: str) -> pytest.MarkDecorator:
    """Skip a module's tests where the vendor's files are not at hand."""
    reason = f"the OpenAPI files of {vendor} are not beside the repository (../shared/specs/{vendor})"
    return pytest.mark.skipif(not (SPECS / vendor).is_dir(), reason=reason)
