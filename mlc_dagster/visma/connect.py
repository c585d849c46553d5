"""Builds a company's client from the settings."""

from mlc_dagster.clock import Clock
from mlc_dagster.settings import CompanySettings, VismaSettings
from mlc_dagster.transport.budget import Budgets, share
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.transport.windows import FixedWindow
from mlc_dagster.visma.auth import VismaConnect
from mlc_dagster.visma.client import Company, VismaClient, visma_http


def connect(
    settings: VismaSettings,
    code: str,
    company: CompanySettings,
    *,
    budgets: Budgets,
    clock: Clock,
    counter: CallCounter,
) -> VismaClient:
    """The client of one company."""
    budget = company_budget(settings, code, budgets)
    login = VismaConnect(
        settings.token_url,
        client_id=settings.client_id.reveal(),
        client_secret=settings.client_secret.reveal(),
        tenant_id=company.tenant_id,
        clock=clock,
        counter=counter,
    )
    http = visma_http(settings.base_url, auth=login.auth(), budget=budget, clock=clock, counter=counter)
    identity = Company(code, company.tenant_id, company.company_id)
    return VismaClient(http, identity, send_company_header=settings.send_company_header)


def company_budget(settings: VismaSettings, code: str, budgets: Budgets) -> FixedWindow:
    """Visma counts calls per company and client, so each company has a budget of its own.

    The limit is not published; it is learnt from the answers (vendors/visma.md section 11).
    """
    return budgets.fixed_window(
        f"visma:{code}",
        limit=None,
        seconds=3600,
        headroom=share(settings.headroom_percent),
        patience=settings.patience_seconds,
    )
