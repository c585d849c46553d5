"""The section of alerts: who is told of what, and how often."""

from typing import Literal

from pydantic import Field

from mlc_dagster.settings.section import SecretValue, Section, Url

PairName = Literal["anaplan", "asana", "cleo", "powerbi", "tableau"]


class AlertChannel(Section):
    """Where alerts go. `to`: an address of apprise, with its secret in it. `pairs`: only these, else all.

    What concerns no pair, such as a credential that ends, goes to every channel.
    """

    to: SecretValue
    severity: Literal["warning", "error"] = "warning"
    pairs: tuple[PairName, ...] | None = None


class AlertSettings(Section):
    """Alerts and their channels, by a name of your own. `dagster_url`: of Dagster's UI, for links.

    `remind_hours`: how often what is still open is told again. `in_doubt_minutes`: how long a batch may be
    without a judgement.
    """

    channels: dict[str, AlertChannel] = Field(default_factory=dict)
    dagster_url: Url | None = None
    remind_hours: int = Field(default=24, ge=1)
    in_doubt_minutes: int = Field(default=60, ge=1)
