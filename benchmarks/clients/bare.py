"""The least a client of the ERP needs: a token, a query, and pages read eight at once."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any

import requests

PARALLEL_CALLS = 8
PAGE_SIZE = 1000


class Erp:
    """One company of the ERP, from a file with its addresses and credentials."""

    def __init__(self, file: str) -> None:
        told = json.loads(Path(file).read_text())
        self.query: dict[str, str] = told["query"]
        self._url = told["base_url"] + "/v1/supplierInvoice"
        self._session = requests.Session()
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=PARALLEL_CALLS))
        names = ("client_id", "client_secret", "tenant_id")
        form = {"grant_type": "client_credentials", "scope": "vismanet_erp_service_api:read"}
        answer = self._session.post(
            told["token_url"], {**form, **{name: told[name] for name in names}}, timeout=60
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def page(self, number: int, since: str | None) -> str:
        """The JSON text of a page of all invoices, or of those changed at or after a stamp."""
        query = {**self.query, "pageNumber": str(number), "pageSize": str(PAGE_SIZE)}
        if since is not None:
            query |= {"lastModifiedDateTime": since, "lastModifiedDateTimeCondition": ">="}
        answer = self._session.get(self._url, params=query, timeout=300)
        answer.raise_for_status()
        return answer.text

    def pages(
        self, take: Callable[[int, list[Any]], Any], since: str | None = None, **parse: Any
    ) -> Iterator[Any]:
        """What `take` makes of each page's number and records; the first page tells how many there are."""
        records = json.loads(self.page(1, since), **parse)
        if not records:
            return
        count = ceil(records[0]["metadata"]["totalCount"] / PAGE_SIZE)
        yield take(1, records)
        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            yield from pool.map(
                lambda number: take(number, json.loads(self.page(number, since), **parse)),
                range(2, count + 1),
            )


def tell(**facts: Any) -> None:
    """Print what a client did, for the driver."""
    json.dump({"ended_at": time.time(), **facts}, sys.stdout)
