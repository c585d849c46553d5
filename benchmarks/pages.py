"""`python -m benchmarks.pages`: how long each of the operator's pages takes over so many records.

The records lie in an SQLite file, as they lie there after deliveries; the pages are served and fetched over
HTTP on this machine. The first fetch of a page opens its parts; the median of nine more is shown beside it.
"""

import argparse
import os
import socket
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
import yaml

from mlc_dagster.cli.webhooks import app_of
from mlc_dagster.database.schema import events, quarantine, records
from mlc_dagster.receiver.server import server
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.suite import Suite

TOKEN = "a token for measuring only"
DESTINATIONS = (
    "anaplan/supplier_invoices",
    "anaplan/supplier_invoice_lines",
    "asana/supplier_invoices",
    "cleo/supplier_invoices",
)
PAGES = (
    "/",
    "/search?number=001234",
    "/search?number=1234",
    "/search?number=unknown",
    "/quarantine",
    "/quarantine?pair=anaplan&company=NO01",
    "/reconcile",
    "/replays",
    "/metrics",
)
AT_ONCE = 5_000


def main() -> None:
    """Fill, serve, fetch, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    wanted = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        suite = open_suite(Path(folder))
        fill(suite.engine, wanted)
        listener = socket.create_server(("127.0.0.1", 0))
        running = server(app_of(suite))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        measure(f"http://127.0.0.1:{listener.getsockname()[1]}")
        running.should_exit = True
        thread.join()
        listener.close()


def open_suite(folder: Path) -> Suite:
    """A suite over the repository's own configuration, with state of its own."""
    for name in ("MLC_DATABASE_URL", "MLC_LAKE_URL"):
        os.environ.pop(name, None)
    os.environ["PAGES_TOKEN"] = TOKEN
    settings = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    settings["pairs"] = {name: settings["pairs"][name] for name in ("anaplan", "asana", "cleo")}
    settings |= {"home": "state", "mappings": str(REPOSITORY / "dbt_like_mappings")}
    settings["receiver"] = {"pages": {"token": "${PAGES_TOKEN}", "replay": True}}
    (folder / "mlc.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    return Suite(load_settings(folder / "mlc.yaml"))


def fill(engine: sa.Engine, wanted: int) -> None:
    """Records with an event each, over four destinations; a tenth as many settled entries in quarantine."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for start in range(0, wanted, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, wanted))
            rows = [_place(number) | _identity(number) for number in numbers]
            held = {"state": "delivered", "hash": "h" * 64, "payload": '{"text": "' + "x" * 400 + '"}'}
            held |= {"target_id": "1", "reason": None, "updated_at": now}
            connection.execute(records.insert(), [row | held for row in rows])
            told = {"at": now, "run_id": "run", "kind": "created", "detail": "{}"}
            connection.execute(events.insert(), [row | told for row in rows])
            refused = {"stage": "contract", "place": DESTINATIONS[0], "company": "NO01", "reason": "wrong"}
            refused |= {"raw": "{}", "run_id": "run", "first_at": now, "last_at": now}
            entries = [_identity(number) | refused for number in numbers if number % 10 == 0]
            for index, entry in enumerate(entries):
                entry["resolved_at"] = now if index % 10 else None
                del entry["batch_id"]
            connection.execute(quarantine.insert(), entries)


def _place(number: int) -> dict[str, Any]:
    return {"destination": DESTINATIONS[number % len(DESTINATIONS)], "company": "NO01"}


def _identity(number: int) -> dict[str, Any]:
    key = f"NO01|{number // len(DESTINATIONS)}"
    number_of_people = f"{number // len(DESTINATIONS):06d}"
    return {"key": key, "source_key": key, "number": number_of_people, "batch_id": f"batch {number // 1000}"}


def measure(url: str) -> None:
    """Fetch each page ten times."""
    with requests.Session() as browser:
        browser.post(f"{url}/login", data={"token": TOKEN, "next": "/"}, timeout=60).raise_for_status()
        print("| page | first, ms | median of nine, ms | KB |\n|---|---|---|---|")
        for page in PAGES:
            times = []
            for _ in range(10):
                started = time.perf_counter()
                answer = browser.get(url + page, timeout=60)
                times.append((time.perf_counter() - started) * 1000)
            median = statistics.median(times[1:])
            print(f"| `{page}` | {times[0]:.0f} | {median:.0f} | {len(answer.content) / 1000:.0f} |")


if __name__ == "__main__":
    main()
