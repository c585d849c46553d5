"""The sections of the ERP: how to reach it, and its companies."""

from pydantic import Field

from mlc_dagster.settings.section import SecretValue, Section, Url


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
