"""The Dagster resource that opens the suite: built when a run starts, never at definition time."""

from pathlib import Path

import dagster as dg

from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite


class SuiteResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Database, lake, mappings and clients. Its only configuration is a path, so no secret can show."""

    settings_file: str

    def open(self) -> Suite:
        """A fresh suite from the settings as they are now; call it once a step.

        Raises:
            dg.Failure: the settings have mistakes; the text lists them all.
        """
        suite = Suite(self._settings())
        run = self.get_resource_context().run
        suite.writer = run.run_id if run else "sensor"
        return suite

    def open_for_a_tick(self) -> Suite:
        """A suite for a sensor's tick, which has 60 seconds: a closed window is told, not waited for."""
        settings, hurried = self._settings(), {"patience_seconds": 0}
        pairs = {name: pair.model_copy(update=hurried) for name, pair in settings.pairs.on().items()}
        vendors = {
            "visma": settings.visma.model_copy(update=hurried),
            "pairs": settings.pairs.model_copy(update=pairs),
        }
        return Suite(settings.model_copy(update=vendors))

    def _settings(self) -> Settings:
        try:
            return load_settings(Path(self.settings_file))
        except ProblemsFound as problems:
            raise dg.Failure(str(problems), allow_retries=False) from problems
