"""The section of the Power BI pair."""

from typing import Annotated, Literal

from pydantic import Field

from mlc_dagster.settings.section import GUID, PairSettings, SecretValue, Section, Url


class PowerBiTable(Section):
    """How a fact is kept. `auto`: by slots while it is small, else as a log. Dimensions are kept in place."""

    mode: Literal["auto", "slots", "log"] = "auto"


class PowerBiSettings(PairSettings):
    """Visma to Power BI (vendors/powerbi.md sections 1, 8, 11 and 12).

    `verify: off` asks no query, for tenants that refuse executeQueries. `long_text: cut` shortens texts of
    more than 4,000 characters, which are refused otherwise. `refresh` lists dataset ids to refresh after a
    change.
    """

    api_url: Url = "https://api.powerbi.com/v1.0/myorg"
    login_url: Url = "https://login.microsoftonline.com"
    scope: str = "https://analysis.windows.net/powerbi/api/.default"
    tenant_id: str = Field(min_length=1)
    client_id: SecretValue
    client_secret: SecretValue
    workspace_id: Annotated[str, GUID]
    dataset: str = Field(default="Visma ERP", min_length=1, max_length=100)
    verify: Literal["auto", "off"] = "auto"
    long_text: Literal["refuse", "cut"] = "refuse"
    slots_up_to: int = Field(default=10_000, ge=1, le=200_000)
    posts_per_minute: int = Field(default=120, ge=1)
    rows_per_hour: int = Field(default=1_000_000, ge=10_000)
    refresh: tuple[str, ...] = ()
    destinations: dict[str, PowerBiTable] = Field(min_length=1)

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return list(self.destinations)

    def proven(self) -> list[str]:
        """Those of them that are read back after a delivery."""
        return self.names() if self.verify == "auto" else []
