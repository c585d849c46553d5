"""The section that says how long what is not state any more is kept."""

from typing import Annotated

from pydantic import Field

from mlc_dagster.settings.section import Section

# Below a month something that is still looked at could be gone.
Days = Annotated[int, Field(ge=30)]


class RetentionSettings(Section):
    """After how long something may go; what is not named is kept for ever. `mlc retention apply` removes.

    events: of the audit trail. batches: that are closed. quarantine: entries that were released. edi: the
    bytes of interchanges that were answered. deleted_records: rows of the ledger whose object is gone at the
    target. runs: Dagster's own, with their logs.
    """

    events_days: Days | None = None
    batches_days: Days | None = None
    quarantine_days: Days | None = None
    edi_days: Days | None = None
    deleted_records_days: Days | None = None
    runs_days: Days | None = None
