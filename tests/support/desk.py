"""An operator's desk: settings and a database, no vendor and no credential."""

from pathlib import Path
from unittest.mock import patch

from mlc_dagster.clock import Clock
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

MLC_YAML = """\
start_day: 2026-11-15
visma: {client_id: "${VISMA_CLIENT_ID}", client_secret: "${VISMA_CLIENT_SECRET}"}
companies:
  NO01: {name: Nordlys Handel AS, tenant_id: t-1, company_id: "1100"}
  SE01: {name: Björk Industri AB, tenant_id: t-2, company_id: "1200"}
pairs:
  anaplan:
    stale_after_hours: 36
    auth: {method: basic, user: "${ANAPLAN_USER}", password: "${ANAPLAN_PASSWORD}"}
    workspace_id: 0123456789abcdef0123456789abcdef
    model_id: 0123456789ABCDEF0123456789ABCDEF
    destinations:
      suppliers: {list_import: Suppliers list, data_import: Suppliers data}
      gl_accounts: {list_import: GL Accounts list, data_import: GL Accounts data}
  powerbi:
    companies: [NO01]
    tenant_id: a-tenant
    client_id: ${POWERBI_CLIENT_ID}
    client_secret: ${POWERBI_CLIENT_SECRET}
    workspace_id: 01234567-89ab-cdef-0123-456789abcdef
    destinations: {suppliers: {}}
"""


def open_desk(folder: Path, database_url: str, clock: Clock, more: str = "") -> Suite:
    """A suite over a database; `more` is added to mlc.yaml."""
    file = folder / "mlc.yaml"
    file.write_text(MLC_YAML + more, "utf-8")
    suite = Suite(load_settings(file), clock)
    with patch.dict("os.environ", {"MLC_DATABASE_URL": database_url}):
        _ = suite.engine
    return suite
