"""The sections of the ERP: how to reach it, and its companies."""

from pydantic import Field

from mlc_dagster.settings.section import Cron, SecretValue, Section, Url, VendorSettings


class KeySweepSettings(Section):
    """The look at all keys that finds deleted records (docs/deletions.md).

    `percent_of_calls` is the share of the company's hourly calls up to which it may run: what others have
    used counts. Where more than `asks_above_percent` of the records are missing, a person is asked;
    up to 20 are believed while half of a list is there, and with 0 none.
    """

    schedule: Cron = "0 22 * * 6"
    percent_of_calls: int = Field(default=20, ge=1, le=100)
    asks_above_percent: int = Field(default=10, ge=0, le=100)


class VismaSettings(VendorSettings):
    """How to reach Visma.net ERP (vendors/visma.md sections 1 to 3 and 11)."""

    base_url: Url = "https://api.finance.visma.net"
    token_url: Url = "https://connect.visma.com/connect/token"  # noqa: S105 - an address
    client_id: SecretValue
    client_secret: SecretValue
    send_company_header: bool = True
    key_sweep: KeySweepSettings = KeySweepSettings()


class CompanySettings(Section):
    """One company of the ERP."""

    name: str
    tenant_id: str = Field(min_length=1)
    company_id: str = Field(min_length=1)
