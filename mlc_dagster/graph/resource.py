"""The Dagster resource that opens the suite: built when a run starts, never at definition time."""

from pathlib import Path

import dagster as dg

from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


class SuiteResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Database, lake, mappings and clients. Its only configuration is a path, so no secret can show."""

    settings_file: str

    def open(self) -> Suite:
        """A fresh suite from the settings as they are now; call it once a step."""
        return Suite(load_settings(Path(self.settings_file)))
