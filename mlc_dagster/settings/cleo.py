"""The section of the Cleo pair: the mailbox, ourselves, and the partners behind it."""

from base64 import b64decode
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlc_dagster.settings.section import CompanyCode, PairSettings, SecretValue, Section, Shape, Url

InterchangeId = Annotated[
    str,
    Shape(r"^[!-~][ -~]{0,13}[!-~]$", "2 to 15 characters of ASCII, with no space at its begin or end"),
]
Qualifier = Annotated[str, Shape(r"^[0-9A-Z]{2}$", "two characters of 0-9 and A-Z, such as ZZ or 14")]
PartnerName = Annotated[
    str, Shape(r"^[a-z0-9_-]{1,30}$", "up to 30 small letters, digits, `_` or `-`, such as nordlys")
]


class RestCall(Section):
    """One call of the mailbox: its verb and its path, with {folder} and {name}."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str = Field(pattern=r"^/")


class Rest(Section):
    """The mailbox over REST. Only the log-in is public: the rest is assumed, so all of it can be set
    (vendors/cleo.md sections 3, 6 and 10). `form`: how a file is uploaded.
    """

    base_url: Url
    login: str = "/api/authentication"
    upload: RestCall = RestCall(method="POST", path="/api/files/{folder}")
    form: Literal["multipart", "raw"] = "multipart"
    field: str = "file"
    list: RestCall = RestCall(method="GET", path="/api/files/{folder}")
    get: RestCall = RestCall(method="GET", path="/api/files/{folder}/{name}")
    delete: RestCall = RestCall(method="DELETE", path="/api/files/{folder}/{name}")
    start_parameter: str = "startIndex"
    count_parameter: str = "count"


class Sftp(Section):
    """The mailbox over SFTP. `host_key`: the server's public key, in `ssh-keyscan`'s form: type, key."""

    host: str
    port: int = Field(default=22, ge=1, le=65535)
    host_key: str

    @field_validator("host_key")
    @classmethod
    def _a_key(cls, text: str) -> str:
        kind, _, blob = text.partition(" ")
        try:
            key = b64decode(blob.split()[0], validate=True)
        except (IndexError, ValueError):
            key = b""
        # A key names its type itself, after four bytes that tell the name's length.
        if not key[4:].startswith(kind.encode()):
            raise ValueError("no public key; `ssh-keyscan HOST` prints them, without the host: type and key")
        return text


class Folders(Section):
    """The mailbox's folders, by what we do there. Products name them from either side."""

    upload: str = "upload"
    download: str = "download"


class Identity(Section):
    """Who we are, or a partner is, on an envelope. `group_id`: in the GS, where it differs."""

    qualifier: Qualifier = "ZZ"
    id: InterchangeId
    group_id: InterchangeId | None = None


class Partner(Identity):
    """What is agreed with one partner, whose guideline beats the standard (vendors/x12.md).

    `file`: the interchange inside a JSON document with its business fields, or as it is. `acknowledge`: ask
    for a TA1. `sends_997`: whether the partner answers at all; `overdue_hours`: when a missing 997 is told.
    `order_change`, `invoice_change`, `receipt`, `tax_rate`, `credit_sign`, `hash_total`: as the partner wants
    them. `documents_from`: the first date whose documents go; with what is older the partner was served
    otherwise, or not at all.
    """

    name: str
    documents_from: date
    version: Literal["004010", "005010"] = "004010"
    charset: Literal["basic", "latin1", "utf8"] = "basic"
    element: str = Field(default="*", min_length=1, max_length=1)
    component: str = Field(default=">", min_length=1, max_length=1)
    segment: str = Field(default="~", min_length=1, max_length=1)
    file: Literal["json", "raw"] = "json"
    usage: Literal["test", "production"] = "test"
    acknowledge: bool = False
    sends_997: bool = True
    overdue_hours: int = Field(default=24, ge=1)
    order_change: Literal["860", "850-04", "850-05"] = "860"
    invoice_change: Literal["none", "replace"] = "none"
    receipt: Literal["856", "861"] = "856"
    tax_rate: Literal["fraction", "percent"] = "fraction"
    credit_sign: Literal["positive", "negative"] = "positive"
    hash_total: Literal["none", "literal", "plain"] = "none"


SUPPLIER_FIELDS = (
    *("name", "address_line1", "address_line2", "postal_code", "city", "country"),
    "vat_number",
)
Rule = Literal["erp", "cleo", "held"]


class SupplierConnections(Section):
    """Where suppliers stand in Harmony's connections (vendors/cleo.md section 7, form 2); all of it assumed.

    alias: with {number}, and {company} where the pair carries several. type: of a connection that is made.
    fields: the place of each field in the object, names with dots between them.
    """

    path: str = Field(default="/api/connections", pattern=r"^/")
    alias: str = Field(default="{number}", pattern=r"^[^{}]*(\{company\}[^{}]+)?\{number\}[^{}]*$")
    type: str = "sftp"
    fields: dict[str, str] = Field(default_factory=dict, validate_default=True)

    @field_validator("fields")
    @classmethod
    def _every_field(cls, named: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(named.keys() - set(SUPPLIER_FIELDS)):
            raise ValueError(f"a supplier has no {unknown[0]}, but {', '.join(SUPPLIER_FIELDS)}")
        places = {name: f"supplier.{name}" for name in SUPPLIER_FIELDS} | named
        if len(set(places.values())) < len(places):
            raise ValueError("two fields stand in one place")
        return places


class SupplierRules(Section):
    """Who is right where the other side changes a supplier: the ERP, Cleo, or a person is asked (held).

    connections: suppliers are objects of Harmony's instead of files in the mailbox.
    """

    name: Rule = "held"
    address: Rule = "held"
    vat_number: Rule = "held"
    connections: SupplierConnections | None = None


class CleoDestination(Section):
    """Nothing to say yet: what is sent to whom stands in the models and the partners."""


class CleoSettings(PairSettings):
    """Visma to Cleo Integration Cloud, and back. The mailbox is reached by `rest` or by `sftp`.

    `suppliers`: who is right about master data; without it, files of suppliers are not taken in.
    """

    user: SecretValue
    password: SecretValue
    rest: Rest | None = None
    sftp: Sftp | None = None
    folders: Folders = Folders()
    identities: dict[CompanyCode, Identity] = Field(min_length=1)
    partners: dict[PartnerName, Partner] = Field(min_length=1)
    suppliers: SupplierRules | None = None
    calls_per_minute: int = Field(default=300, ge=1)
    destinations: dict[str, CleoDestination] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.rest is None) == (self.sftp is None):
            raise ValueError("name either `rest` or `sftp`: the way to the mailbox")
        connections = self.suppliers.connections if self.suppliers else None
        if connections and self.rest is None:
            raise ValueError("`suppliers.connections` are reached by `rest` only")
        if connections and len(self.identities) > 1 and "{company}" not in connections.alias:
            raise ValueError("`suppliers.connections.alias` needs {company}: companies may share numbers")
        missing = [code for code in self.companies or () if code not in self.identities]
        if missing:
            raise ValueError(f"`identities` lacks {missing[0]}: who it is on an envelope")
        for name, group in (("identities", self.identities), ("partners", self.partners)):
            addresses = [(each.qualifier, each.id) for each in group.values()]
            if len(set(addresses)) < len(addresses):
                raise ValueError(f"two of `{name}` have one qualifier and id: answers would be mixed up")
        return self

    def names(self) -> list[str]:
        """The destinations that are switched on."""
        return list(self.destinations)

    def answered(self) -> list[str]:
        """All that goes as X12; supplier master data is a file nobody acknowledges."""
        return [name for name in self.destinations if name != "suppliers"]
