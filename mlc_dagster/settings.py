"""Companies, pairs, schedules and targets: one YAML file plus the environment, checked before any run."""

import os
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from mlc_dagster.problems import Problem, ProblemsFound
from mlc_dagster.yamlfile import YamlFile

REPOSITORY = Path(__file__).resolve().parent.parent
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SecretMissing(Exception):
    """A credential's environment variable is not set."""


class Secret:
    """A credential named in mlc.yaml as `${NAME}` and looked up only when it is used.

    Neither `repr` nor `str` shows the value, so no log, event or traceback can.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"Secret({', '.join(self.variables) or '***'})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables it is made of."""
        return tuple(VARIABLE.findall(self._text))

    def reveal(self) -> str:
        """The value.

        Raises:
            SecretMissing: an environment variable it names is not set.
        """
        missing = [name for name in self.variables if not os.environ.get(name)]
        if missing:
            raise SecretMissing(
                f"{', '.join(missing)} is not set. Set it in the environment of this process, then try again."
            )
        return VARIABLE.sub(lambda match: os.environ[match[1]], self._text)


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not VARIABLE.search(value):
        raise ValueError(
            "a credential is given as ${NAME}, the name of an environment variable, never in clear"
        )
    return Secret(value)


def _exact_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError("an http(s) URL is needed, such as https://api.example.com")
    if value.startswith("http://") and not re.match(
        r"http://(127\.0\.0\.1|localhost|\[::1\])[:/]", value + "/"
    ):
        raise ValueError("http without TLS is for this machine only; use https")
    return value


def _base_url(value: str) -> str:
    return _exact_url(value).rstrip("/")


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("no such time zone; use a name such as Europe/Oslo") from None
    return value


def _cron(value: str) -> str:
    if not re.fullmatch(r"\S+( \S+){4}", value) or re.search(r"[^0-9A-Za-z*/,\- #?L]", value):
        raise ValueError("a cron line has five fields: minute hour day month weekday, such as `0 6 * * *`")
    return value


def _company_code(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", value):
        raise ValueError(f"{value!r} cannot be a company code; use up to 20 letters, digits, `_` or `-`")
    return value


SecretValue = Annotated[Secret, BeforeValidator(_secret)]
Url = Annotated[str, AfterValidator(_base_url)]
ExactUrl = Annotated[str, AfterValidator(_exact_url)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
CompanyCode = Annotated[str, AfterValidator(_company_code)]


class Section(BaseModel):
    """A part of mlc.yaml: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class VismaSettings(Section):
    """How to reach Visma.net ERP (vendors/visma.md sections 1 to 3 and 11)."""

    base_url: Url = "https://api.finance.visma.net"
    token_url: Url = "https://connect.visma.com/connect/token"  # noqa: S105 - an address
    client_id: SecretValue
    client_secret: SecretValue
    send_company_header: bool = True
    headroom_percent: int = Field(default=80, ge=1, le=100)
    patience_seconds: int = Field(default=60, ge=0, le=3600)


class CompanySettings(Section):
    """One company of the ERP."""

    name: str
    tenant_id: str = Field(min_length=1)
    company_id: str = Field(min_length=1)


class PairSettings(Section):
    """What every pair has: when it runs and for whom."""

    schedule: Cron = "0 6 * * *"
    timezone: TimeZone = "Europe/Oslo"
    poll_seconds: int = Field(default=900, ge=5)
    stale_after_hours: int = Field(default=36, ge=1)
    companies: tuple[CompanyCode, ...] | None = None

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return []

    def proven(self) -> list[str]:
        """Those of them that are read back after a delivery."""
        return []


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

    `list` and `module` are names or ids. `name_property` is the display name's property of a numbered list.
    """

    up_to: int = Field(ge=1, le=5000)
    list: str = Field(min_length=1)
    module: str = Field(min_length=1)
    name_property: str | None = None


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
        if self.small_changes and not (self.process or self.list_import):
            raise ValueError(
                "`small_changes` adds items to a list, and without `list_import` no row is an item"
            )
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
    workspace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    model_id: str = Field(pattern=r"^[0-9A-F]{32}$")
    upload: Literal["complete", "counted"] = "complete"
    calls_per_minute: int = Field(default=600, ge=1)
    headroom_percent: int = Field(default=80, ge=1, le=100)
    patience_seconds: int = Field(default=60, ge=0, le=3600)
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
    workspace_id: str = Field(pattern=r"^[0-9A-Fa-f-]{36}$")
    dataset: str = Field(default="Visma ERP", min_length=1, max_length=100)
    verify: Literal["auto", "off"] = "auto"
    long_text: Literal["refuse", "cut"] = "refuse"
    slots_up_to: int = Field(default=10_000, ge=1, le=200_000)
    posts_per_minute: int = Field(default=120, ge=1)
    rows_per_hour: int = Field(default=1_000_000, ge=10_000)
    headroom_percent: int = Field(default=80, ge=1, le=100)
    patience_seconds: int = Field(default=60, ge=0, le=3600)
    refresh: tuple[str, ...] = ()
    destinations: dict[str, PowerBiTable] = Field(min_length=1)

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return list(self.destinations)


class Pairs(Section):
    """The pairs that are switched on: those that stand in mlc.yaml."""

    anaplan: AnaplanSettings | None = None
    powerbi: PowerBiSettings | None = None

    def on(self) -> dict[str, PairSettings]:
        """The pairs that are switched on, by the name of their target."""
        return {name: pair for name in type(self).model_fields if (pair := getattr(self, name)) is not None}


class Settings(Section):
    """All of mlc.yaml. `start_day` is the first day of the partition axis: it also holds everything older."""

    start_day: date
    timezone: TimeZone = "Europe/Oslo"
    home: Path = Path(".mlc")
    mappings: Path | None = None
    visma: VismaSettings
    companies: dict[CompanyCode, CompanySettings] = Field(min_length=1)
    pairs: Pairs = Field(default_factory=Pairs)
    _file: Path = PrivateAttr(default=Path("mlc.yaml"))

    @property
    def file(self) -> Path:
        """The file these settings came from."""
        return self._file

    @property
    def folder(self) -> Path:
        """Where state lives unless MLC_DATABASE_URL and MLC_LAKE_URL say otherwise."""
        return (self._file.parent / self.home).resolve()

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the ledger, the audit trail and the budgets."""
        return os.environ.get("MLC_DATABASE_URL") or f"sqlite:///{self.folder / 'mlc.db'}"

    @property
    def vault_key_file(self) -> Path:
        """The key of stored credentials, unless MLC_VAULT_KEY holds it."""
        return self.folder / "vault.key"

    @property
    def lake_url(self) -> str:
        """fsspec URL of the lake."""
        return os.environ.get("MLC_LAKE_URL") or str(self.folder / "lake")

    @property
    def mappings_folder(self) -> Path:
        """The folder of SQL models, contracts and lookups."""
        return (
            (self._file.parent / self.mappings).resolve()
            if self.mappings
            else REPOSITORY / "dbt_like_mappings"
        )

    def companies_of(self, pair: str) -> list[str]:
        """The codes of the companies a pair carries."""
        return list(self.pairs.on()[pair].companies or self.companies)


def config_file() -> Path:
    """The configuration in force: MLC_CONFIG, else mlc.yaml in the working directory or the repository."""
    if named := os.environ.get("MLC_CONFIG"):
        return Path(named)
    here = Path("mlc.yaml")
    return here if here.exists() else REPOSITORY / "mlc.yaml"


def load_settings(path: Path | None = None) -> Settings:
    """Read and check the configuration.

    Raises:
        ProblemsFound: every mistake of the file at once, each with its line and remedy.
    """
    file = YamlFile((path or config_file()).absolute())
    problems = list(file.problems)
    data = _substitute(file, file.data, (), problems)
    settings = None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems += [
            _problem(file, dict(mistake))
            for mistake in error.errors(include_url=False, include_context=False)
        ]
    if settings is not None:
        problems += _unknown_companies(file, settings)
    if problems or settings is None:
        raise ProblemsFound(problems)
    settings._file = file.path
    return settings


def _substitute(file: YamlFile, value: Any, place: tuple[str | int, ...], problems: list[Problem]) -> Any:
    """Put environment variables into plain values; credentials stay names until they are used."""
    if isinstance(value, dict):
        return {key: _substitute(file, child, (*place, key), problems) for key, child in value.items()}
    if isinstance(value, list):
        return [_substitute(file, child, (*place, index), problems) for index, child in enumerate(value)]
    if not isinstance(value, str) or place[-1] in SECRET_KEYS:
        return value
    for name in VARIABLE.findall(value):
        if name not in os.environ:
            problems.append(
                file.problem(
                    place, f"The environment variable {name} is not set.", "Set it, or write the value here."
                )
            )
    return VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)


SECRET_KEYS = {
    name
    for section in (
        VismaSettings,
        AnaplanBasic,
        AnaplanCertificate,
        AnaplanOAuthDevice,
        AnaplanOAuthCode,
        PowerBiSettings,
    )
    for name, field in section.model_fields.items()
    if field.annotation is Secret
}

METHODS = "basic, certificate, oauth_code or oauth_device"
REMEDIES = {
    "extra_forbidden": ("`{key}` is not a setting here.", "Check its spelling and its indentation."),
    "missing": ("`{key}` is missing.", "Add it."),
    "union_tag_not_found": ("`method` is missing.", f"Add it: {METHODS}."),
    "union_tag_invalid": ("This method is not known.", f"Use {METHODS}."),
}


def _problem(file: YamlFile, mistake: dict[str, Any]) -> Problem:
    place, key = mistake["loc"], str(mistake["loc"][-1]) if mistake["loc"] else "mlc.yaml"
    if mistake["type"] in REMEDIES:
        message, remedy = REMEDIES[mistake["type"]]
        return file.problem(place, message.format(key=key), remedy)
    return file.problem(
        place, f"`{key}`: {mistake['msg'].removeprefix('Value error, ')}.", "Correct the value."
    )


def _unknown_companies(file: YamlFile, settings: Settings) -> list[Problem]:
    return [
        file.problem(
            ("pairs", name, "companies", index),
            f"There is no company {code}.",
            f"Known: {', '.join(settings.companies)}.",
        )
        for name, pair in settings.pairs.on().items()
        for index, code in enumerate(pair.companies or ())
        if code not in settings.companies
    ]
