"""The section of the Anaplan pair."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlc_dagster.settings.section import ExactUrl, PairSettings, SecretValue, Section, Shape, Url


class AnaplanBasic(Section):
    """User and password; on tenants with SSO only for an exception user."""

    method: Literal["basic"]
    user: SecretValue
    password: SecretValue


class AnaplanCertificate(Section):
    """A certificate from a CA Anaplan accepts; the advised way for service accounts."""

    method: Literal["certificate"]
    version: Literal["v1", "v2"] = "v2"
    certificate: SecretValue
    private_key: SecretValue


class AnaplanOAuthDevice(Section):
    """OAuth 2.0 after `mlc anaplan login`, device flow: no secret, not on tenants with single sign-on."""

    method: Literal["oauth_device"]
    client_id: SecretValue


class AnaplanOAuthCode(Section):
    """OAuth 2.0 after `mlc anaplan login`, authorization-code flow. `redirect_uri` is the registered one."""

    method: Literal["oauth_code"]
    client_id: SecretValue
    client_secret: SecretValue
    redirect_uri: ExactUrl


AnaplanOAuth = AnaplanOAuthDevice | AnaplanOAuthCode


class AnaplanSmallChanges(Section):
    """When a few changes go through the transactional API, and into what (vendors/anaplan.md section 9).

    `module` is a name or id. Rows that are items name their `list`, and a numbered one's property of the
    display name as `name_property`. Rows that are cells by several dimensions say `by` which: the module's
    dimension for each column of the contract's key.
    """

    up_to: int = Field(ge=1, le=5000)
    module: str = Field(min_length=1)
    list: str | None = Field(default=None, min_length=1)
    name_property: str | None = None
    by: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _items_or_cells(self) -> Self:
        if bool(self.list) == bool(self.by):
            raise ValueError("name the `list` whose items the rows are, or the dimensions they stand `by`")
        if self.name_property and not self.list:
            raise ValueError("`name_property` is a property of a list, and no `list` is named")
        return self


class AnaplanDestination(Section):
    """What the model builder made for one feed: imports, process, action and view, by name or id.

    Either `data_import`, with or without `list_import`, or `process`, which holds both. `item_name` is the
    contract's column that names the list's items; without it their code does. `parameters` answers runtime
    prompts, such as `{Version: Actual}`. `delete_action` removes the items that the data import marked.
    `read_back` is a saved view, `Module.View`, or an export that shows what the model holds.
    """

    list_import: str | None = None
    data_import: str | None = None
    process: str | None = None
    item_name: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    delete_action: str | None = None
    small_changes: AnaplanSmallChanges | None = None
    read_back: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.process and (self.list_import or self.data_import):
            raise ValueError("name either the `process` or its imports, not both")
        if not (self.process or self.data_import):
            raise ValueError("name the feed's `data_import`, or the `process` that holds its imports")
        small = self.small_changes
        if small and small.list and not (self.process or self.list_import):
            raise ValueError(
                "`small_changes` with a `list` adds items to it, and without `list_import` no row is an item"
            )
        if small and small.by and self.list_import:
            raise ValueError("`small_changes` with `by` writes cells only, and `list_import` makes items")
        return self


class AnaplanSettings(PairSettings):
    """Visma to Anaplan (vendors/anaplan.md sections 1, 2, 3, 6 and 11).

    `upload: counted` announces the number of chunks and leaves out `/complete`, which one tenant answered
    with 500.
    """

    api_url: Url = "https://api.anaplan.com/2/0"
    auth_url: Url = "https://auth.anaplan.com"
    oauth_url: Url = "https://us1a.app.anaplan.com"
    auth: Annotated[AnaplanBasic | AnaplanCertificate | AnaplanOAuth, Field(discriminator="method")]
    workspace_id: Annotated[str, Shape(r"^[0-9a-f]{32}$", "32 characters of 0-9 and a-f, in small letters")]
    model_id: Annotated[str, Shape(r"^[0-9A-F]{32}$", "32 characters of 0-9 and A-F, in capital letters")]
    upload: Literal["complete", "counted"] = "complete"
    calls_per_minute: int = Field(default=600, ge=1)
    destinations: dict[str, AnaplanDestination] = Field(min_length=1)

    @model_validator(mode="after")
    def _own_imports(self) -> Self:
        """List files have one header for all, so nothing else would tell of rows in another feed's list."""
        parts = self.destinations.values()
        named = Counter(
            name for part in parts for name in (part.list_import, part.data_import, part.process) if name
        )
        if shared := [name for name, times in named.items() if times > 1]:
            raise ValueError(
                f"{shared[0]!r} is named more than once under `destinations`: each feed has its own imports"
            )
        return self

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return list(self.destinations)

    def proven(self) -> list[str]:
        """Those of them that are read back after a delivery."""
        return [name for name, part in self.destinations.items() if part.read_back]
