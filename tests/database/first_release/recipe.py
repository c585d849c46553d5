r"""How sqlite.sql, postgresql.sql and lake/ were made: the first release itself delivered, and was killed.

Unpack that release and run this file in it, with today's virtual environment:

    git archive f826852 | tar -x -C FOLDER
    cp tests/database/first_release/recipe.py FOLDER && cd FOLDER
    PYTHONPATH=. python recipe.py sqlite:////tmp/mlc.db        # or the URL of an empty PostgreSQL database
    sqlite3 /tmp/mlc.db .dump > sqlite.sql && cp -r home/.mlc/lake .
    pg_dump --inserts --no-owner URL | grep -vE '^(--|SET |SELECT .*set_config|\\|$)' > postgresql.sql

f826852 is the last commit before a table was dropped, and has ledger, trail and vault. It knew Anaplan and
the beginning of Power BI. The database knows a company's suppliers and supplier invoices at Anaplan; the lake
is that of the SQLite database. Both begin at BEGIN, a noon of the ERP, and so does the ERP of the test. One
invoice does not parse, and the process died between telling that it starts an import and starting it.
"""

import base64
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

KEY = base64.urlsafe_b64encode(b"a key that keeps no secret at al").decode()
FEEDS = ["suppliers", "supplier_invoices"]
# Long ago, so that it stays the past wherever the test runs.
BEGIN = datetime(2024, 11, 21, 11, tzinfo=UTC)


def main(url: str) -> None:
    """Deliver, change a supplier, and die with its batch in doubt."""
    from mlc_dagster.anaplan.client.tasks import Tasks
    from tests.support.house import open_house, running_sandbox

    os.environ |= {"MLC_DATABASE_URL": url, "MLC_VAULT_KEY": KEY}
    with (
        patch("tests.support.house.SHIFT", datetime.now(UTC) - BEGIN),
        running_sandbox(companies=("NO01",), scale=0.02) as sandbox,
        open_house(sandbox, Path("home"), destinations=FEEDS) as house,
    ):
        erp = sandbox.visma
        invoice = next(
            row for row in erp.truth("NO01", "supplierInvoice") if row["documentType"] == "Invoice"
        )
        erp.change("NO01", "supplierInvoice", f"Invoice|{invoice['referenceNumber']}", {"amount": "abc"})
        house.run()
        suite = house.suite()
        suite.vault.write("anaplan", "what a run received")
        opens_at = suite.clock.now() + timedelta(hours=1)
        suite.deferrals.store(
            pair="anaplan",
            company="NO01",
            first_day=house.today - timedelta(days=1),
            last_day=house.today,
            opens_at=opens_at,
            reason="a lockout",
        )
        number = sorted(str(row["number"]) for row in erp.truth("NO01", "supplier"))[0]
        erp.change("NO01", "supplier", number, {"name": "Renamed at the last moment AS"})
        with patch.object(Tasks, "start", lambda *_: os._exit(0)):
            house.run()
    sys.exit("It was not killed: no import was started.")


if __name__ == "__main__":
    main(sys.argv[1])
