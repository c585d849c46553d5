"""The step that removes items: a delete action of the model, run once for a batch that marked some."""

from mlc_dagster.anaplan.preflight import named
from mlc_dagster.anaplan.runner import Runner
from mlc_dagster.anaplan.taskrun import Job
from mlc_dagster.delivery.destination import Batch


class Deletion:
    """Runs `Delete from List using Selection` after the data import has marked the items.

    It may run twice, and may find nothing selected: that is a success (vendors/anaplan.md section 7).
    """

    preflight_calls = 1  # the model's actions

    def __init__(self, runner: Runner, action: str) -> None:
        """`action` is a name or an id."""
        self._runner, self._name, self._id = runner, action, ""

    def look_up(self) -> None:
        """Find the action. Raises PreflightFailed when there is none."""
        self._id = named(self._runner.client.catalog.actions(), self._name, "delete action").id

    def carry(self, batch: Batch) -> None:
        """Run it to its end. Raises as Runner.run."""
        self._runner.run(batch, "delete", Job("actions", self._id, self._name))
