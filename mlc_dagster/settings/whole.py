"""All of mlc.yaml: read, checked as a whole, its mistakes told with line and remedy."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from mlc_dagster.problems import Problem, ProblemsFound
from mlc_dagster.settings.alerts import AlertSettings
from mlc_dagster.settings.anaplan import AnaplanSettings
from mlc_dagster.settings.asana import AsanaSettings
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.settings.powerbi import PowerBiSettings
from mlc_dagster.settings.receiver import ReceiverSettings
from mlc_dagster.settings.retention import RetentionSettings
from mlc_dagster.settings.section import (
    VARIABLE,
    CompanyCode,
    PairSettings,
    Secret,
    Section,
    TimeZone,
    in_words,
    secrets_in,
)
from mlc_dagster.settings.tableau import TableauSettings
from mlc_dagster.settings.visma import CompanySettings, VismaSettings
from mlc_dagster.yamlfile import YamlFile

if TYPE_CHECKING:
    from mlc_dagster.vault import KeyRing

# What people call the targets.
TITLES = {"anaplan": "Anaplan", "asana": "Asana", "cleo": "Cleo", "powerbi": "Power BI", "tableau": "Tableau"}
REPOSITORY = Path(__file__).resolve().parents[2]


def pair_of(destination: str) -> str:
    """The pair a destination belongs to: that of asana/tasks is asana."""
    return destination.partition("/")[0]


class UnknownCompany(Exception):
    """A company that mlc.yaml does not name, or that a pair does not carry."""


class Pairs(Section):
    """The pairs that are switched on: those that stand in mlc.yaml."""

    anaplan: AnaplanSettings | None = None
    powerbi: PowerBiSettings | None = None
    asana: AsanaSettings | None = None
    tableau: TableauSettings | None = None
    cleo: CleoSettings | None = None

    def on(self) -> dict[str, PairSettings]:
        """The pairs that are switched on, by the name of their target."""
        return {name: pair for name in type(self).model_fields if (pair := getattr(self, name)) is not None}


class Settings(Section):
    """All of mlc.yaml. `start_day` is the first day of the partition axis: it also holds everything older.

    `vault_key` is where the vault's key lies unless MLC_VAULT_KEY holds it: `file`, beside the database, or
    `keyring`, the operating system's.
    """

    start_day: date
    timezone: TimeZone = "Europe/Oslo"
    home: Path = Path(".mlc")
    vault_key: Literal["file", "keyring"] = "file"
    mappings: Path | None = None
    visma: VismaSettings
    companies: dict[CompanyCode, CompanySettings] = Field(min_length=1)
    pairs: Pairs = Field(default_factory=Pairs)
    receiver: ReceiverSettings | None = None
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    alerts: AlertSettings = AlertSettings()
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

    def key_ring(self) -> "KeyRing":
        """The vault's keys."""
        # Most commands and steps need no key, and the libraries behind them take time to load.
        from mlc_dagster.vault import KeyFile, KeyRing, OsKeyring  # noqa: PLC0415

        return KeyRing(
            OsKeyring(str(self.folder)) if self.vault_key == "keyring" else KeyFile(self.folder / "vault.key")
        )

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

    def chosen(self, company: str | None, pair: str | None = None) -> list[str]:
        """The companies of mlc.yaml, or those a pair carries; only one where one is named.

        Raises:
            UnknownCompany: the one that is named is none of them.
        """
        known = list(self.companies) if pair is None else self.companies_of(pair)
        if company is not None and company not in known:
            where = "There is" if pair is None else f"The pair {pair} carries"
            raise UnknownCompany(f"{where} no company {company}. Known: {', '.join(known)}.")
        return known if company is None else [company]

    def credentials(self) -> dict[str, list[str]]:
        """Who uses each credential, by its name: `visma`, a pair, or another section of mlc.yaml."""
        users: dict[str, list[str]] = {}
        for place, secret in secrets_in(self):
            user = place[1] if place[0] == "pairs" else place[0]
            for name in secret.variables:
                users.setdefault(name, [])
                if user not in users[name]:
                    users[name].append(user)
        return users

    def secrets_of(self, section: str) -> list[Secret]:
        """The credentials of a top-level section of mlc.yaml."""
        return [secret for _, secret in secrets_in(getattr(self, section))]

    def _stored(self, name: str) -> str | None:
        """A credential that the environment does not have."""
        from mlc_dagster.vault import stored_text  # noqa: PLC0415

        return stored_text(self.database_url, self.key_ring(), name)


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
        problems += [_problem(file, dict(mistake)) for mistake in error.errors(include_url=False)]
    if settings is not None:
        problems += _unknown_companies(file, settings)
    if problems or settings is None:
        raise ProblemsFound(problems)
    settings._file = file.path
    for _, secret in secrets_in(settings):
        secret.kept_by(settings._stored)
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


def _secret_keys(section: type[BaseModel]) -> set[str]:
    """The names of all credentials at and below a section."""
    found: set[str] = set()
    for name, field in section.model_fields.items():
        kinds = set(_kinds(field.annotation))
        found |= {name} if Secret in kinds else set()
        for kind in kinds:
            found |= _secret_keys(kind) if issubclass(kind, BaseModel) else set()
    return found


def _kinds(annotation: Any) -> Iterator[type]:
    """The classes an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


SECRET_KEYS = _secret_keys(Settings)

REMEDIES = {
    "extra_forbidden": ("`{key}` is not a setting here.", "Check its spelling and its indentation."),
    "missing": ("`{key}` is missing.", "Add it."),
    "union_tag_not_found": ("`method` is missing.", "Add it: docs/{place[1]}.md says which there are."),
    "union_tag_invalid": ("This method is not known.", "Use one of: {known}."),
}


def _problem(file: YamlFile, mistake: dict[str, Any]) -> Problem:
    place, key = mistake["loc"], str(mistake["loc"][-1]) if mistake["loc"] else "mlc.yaml"
    if mistake["type"] in REMEDIES:
        message, remedy = REMEDIES[mistake["type"]]
        known = mistake.get("ctx", {}).get("expected_tags", "").replace("'", "")
        return file.problem(place, message.format(key=key), remedy.format(place=place, known=known))
    return file.problem(place, f"`{key}`: {in_words(mistake)}.", "Correct the value.")


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
