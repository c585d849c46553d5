"""Dagster's own storage, for commands that start its runs or remove some."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


class NoDagster(Exception):
    """Dagster's storage cannot be opened."""


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME. Raises NoDagster: it names none, or its dagster.yaml is wrong."""
    try:
        opened = dg.DagsterInstance.get()
    except dg.DagsterError as error:
        words = str(error).strip().partition("\n")[0].rstrip(". ")
        raise NoDagster(
            f"Dagster's storage cannot be opened ({words}). DAGSTER_HOME has to be the absolute path of the "
            "folder with your dagster.yaml (docs/deploy.md); for the demo, load `.mlc/demo/activate`."
        ) from error
    with opened as instance:
        yield instance
