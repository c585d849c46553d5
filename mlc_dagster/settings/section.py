"""What all sections of mlc.yaml are made of: checked kinds of values, credentials by name, pairs."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SecretMissing(Exception):
    """A credential is neither in the environment nor in the vault."""


class Secret:
    """A credential named in mlc.yaml as `${NAME}` and looked up only when it is used.

    The environment of this process goes first, then the vault. Neither `repr` nor `str` shows the value, so
    no log, event or traceback can.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._stored: Callable[[str], str | None] = lambda _: None

    def __repr__(self) -> str:
        return f"Secret({', '.join(self.variables) or '***'})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the credentials it is made of."""
        return tuple(VARIABLE.findall(self._text))

    def kept_by(self, stored: Callable[[str], str | None]) -> None:
        """Say what answers for a name that the environment does not have."""
        self._stored = stored

    def reveal(self) -> str:
        """The value.

        Raises:
            SecretMissing: a name it is made of is neither in the environment nor in the vault.
            VaultLocked: the vault has it, but does not open.
        """
        values = {name: os.environ.get(name) or self._stored(name) for name in self.variables}
        if missing := [name for name, value in values.items() if not value]:
            raise SecretMissing(
                f"{', '.join(missing)} is not set, neither in the environment of this process nor in the "
                f"vault. Run `mlc credentials set {missing[0]}`, or set it in the environment."
            )
        return VARIABLE.sub(lambda match: values[match[1]] or "", self._text)


def secrets_in(value: object, *place: str) -> Iterator[tuple[tuple[str, ...], Secret]]:
    """The credentials at and below a part of the settings, each with its place."""
    if isinstance(value, Secret):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name), *place, name)
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from secrets_in(child, *place, str(name))
    elif isinstance(value, tuple | list):
        for number, child in enumerate(value):
            yield from secrets_in(child, *place, str(number))


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not VARIABLE.search(value):
        raise ValueError(
            "a credential is given as ${NAME}, its name in the environment or in the vault, never in clear"
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
        raise ValueError("a company code has up to 20 letters, digits, `_` or `-`")
    return value


def _written(pattern: str) -> WithJsonSchema:
    """What editors check; the validators beside it say more."""
    return WithJsonSchema({"type": "string", "pattern": pattern})


@dataclass(frozen=True)
class Shape:
    """What a text has to look like: for programs as a pattern of the whole, for people in words."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _checked(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"it has to be {self.words}")
        return value


def in_words(mistake: Mapping[str, Any]) -> str:
    """What is wrong with a value, as pydantic tells it, in the words of who writes mlc.yaml."""
    if mistake["type"] == "string_too_short":
        return "it must not be empty"
    if mistake["type"] in ("date_parsing", "date_from_datetime_parsing"):
        return "a date is needed, such as 2026-01-31"
    words = str(mistake["msg"]).removeprefix("Value error, ")
    return words.replace("Input should be", "it has to be", 1)


GUID = Shape(r"^[0-9A-Fa-f-]{36}$", "36 characters, such as c5ea3531-0c9b-5402-b354-f8ac31abd6ac")
SecretValue = Annotated[Secret, BeforeValidator(_secret), _written(VARIABLE.pattern)]
WEB = _written(r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])")
Url = Annotated[str, AfterValidator(_base_url), WEB]
ExactUrl = Annotated[str, AfterValidator(_exact_url), WEB]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, AfterValidator(_cron), _written(r"^\S+( \S+){4}$")]
CompanyCode = Annotated[str, AfterValidator(_company_code), _written(r"^[A-Za-z0-9_-]{1,20}$")]


class Section(BaseModel):
    """A part of mlc.yaml: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class VendorSettings(Section):
    """How much we take of a vendor's limits.

    `headroom_percent`: our share of the vendor's limits; the rest is for others. `patience_seconds`: how long
    a call waits for its turn; where that takes longer, the run ends, and the rest goes on by itself.
    """

    headroom_percent: int = Field(default=80, ge=1, le=100)
    patience_seconds: int = Field(default=60, ge=0, le=3600)


class PairSettings(VendorSettings):
    """What every pair has: when it runs and for whom.

    `schedule`: when it runs, as a cron line in `timezone`. `reconcile`: when its target is compared without a
    delivery. `poll_seconds`: how often the ERP is asked for changes. `stale_after_hours`: when a pair without
    a finished run is told as stale. `companies`: the codes of those it carries, else all.
    """

    schedule: Cron = "0 6 * * *"
    reconcile: Cron = "0 3 * * 0"
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

    def answered(self) -> list[str]:
        """Those of them whose documents are acknowledged by who receives them."""
        return []
