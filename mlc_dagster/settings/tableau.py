"""The section of the Tableau pair."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from mlc_dagster.settings.section import GUID, PairSettings, SecretValue, Section, Shape, Url

Luid = Annotated[str, GUID]


class AccessToken(Section):
    """A personal access token. `ends`: its last day, as Tableau showed it when it was made."""

    method: Literal["pat"]
    token_name: SecretValue
    token_secret: SecretValue
    ends: date | None = None


class ConnectedApp(Section):
    """A Connected App with direct trust (JWT); `username` is whom it acts for, an e-mail address on Cloud."""

    method: Literal["connected_app"]
    client_id: SecretValue
    secret_id: SecretValue
    secret_value: SecretValue
    username: str = Field(min_length=1)


class TableauSettings(PairSettings):
    """Visma to Tableau (vendors/tableau.md sections 1, 2, 8 and 12).

    `server_url` on Cloud includes the pod. `site` is the name in the site's address, empty for the default
    site of a Server. `refresh_tasks` and `run_flows` are started after a run that changed something.
    The limits are those of Cloud.
    """

    server_url: Url
    site: Annotated[str, Shape(r"^[\w-]*$", "letters, digits, `_` or `-`, as its address has it")] = ""
    project: str = Field(default="ERP", min_length=1)
    api_version: str = Field(default="3.19", pattern=r"^3\.[0-9]{1,2}$")
    auth: Annotated[AccessToken | ConnectedApp, Field(discriminator="method")]
    calls_per_hour: int = Field(default=40_000, ge=100)
    content_per_hour: int = Field(default=600, ge=10)
    job_patience_seconds: int = Field(default=600, ge=1, le=7200)
    refresh_tasks: tuple[Luid, ...] = ()
    run_flows: tuple[Luid, ...] = ()
    destinations: tuple[str, ...] = Field(min_length=1)

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return list(self.destinations)

    def proven(self) -> list[str]:
        """All of them are read back after a delivery."""
        return self.names()
