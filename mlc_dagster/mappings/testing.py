"""Tests the contracts over everything in the lake, without delivering anything."""

from collections.abc import Iterator, Sequence

from mlc_dagster.lake import Lake
from mlc_dagster.mappings.mappings import Mappings
from mlc_dagster.mappings.model import Mapped


def test(mappings: Mappings, lake: Lake, companies: Sequence[str]) -> Iterator[Mapped]:
    """Every model over every record of each company, one after the other; see `Mapped.checks`."""
    for key in sorted(mappings.models):
        for company in companies:
            yield mappings.run(key, lake, company, [])


test.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it in every module that imports it
