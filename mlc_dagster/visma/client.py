"""The Visma.net ERP Service API of one company: lists by page, single reads, writes. Nothing else."""

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from mlc_dagster.clock import Clock
from mlc_dagster.transport import Auth, Budget, CallCounter, CallFailed, Http, Refused, decimal_json
from mlc_dagster.visma.entity import Entity, Filter, Paging
from mlc_dagster.visma.parallel import as_they_come, handed_on, in_parallel
from mlc_dagster.visma.records import record_key
from mlc_dagster.visma.wire import Intake, Listed

# Asked for on every list; the server lowers it to its cap and says so in maxPageSize (section 4).
PAGE_SIZE = 1000
# Answers that are no JSON in spite of status 200, before the vendor is said to break its contract.
READS_OF_BROKEN_JSON = 3
# Seconds to connect, and until the next byte of an answer.
TIMEOUT = (10, 120)
# Before any record: for lists that refuse to answer without a filter (section 13.15).
EVER = "1900-01-01"
# Text that would change the meaning of a path (section 1: b64(...)).
RESERVED = re.compile(r"[^\w .~-]")

REMEDIES = {
    401: "The token is fresh, so it is not expiry: tenant_id must be the company tenant, not the customer "
    "(contract) tenant, and the company must have approved the integration in the Visma App Store.",
    403: "Grant the integration the missing scope or the company in the Visma Developer Portal.",
}

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Company:
    """One company: our code, the tenant its token is for, its number in the ipp-company-id header."""

    code: str
    tenant_id: str
    company_id: str


@dataclass(frozen=True)
class Told:
    """What an answer says of its list: its own length, all there are, the most a page may have."""

    length: int
    total: int | None
    cap: int | None


@dataclass(frozen=True)
class Page:
    """One answer of a list; `alone` when it is known to be the only one."""

    number: int
    listed: Listed
    alone: bool

    @property
    def records(self) -> Sequence[Any]:
        """Return the records as Python objects."""
        return self.listed.parsed  # type: ignore[no-any-return]

    @property
    def told(self) -> Told:
        """Return what the answer says of its list."""
        return Told(len(self.listed), self.listed.total, self.listed.cap)


def visma_http(
    base_url: str,
    *,
    auth: Auth,
    budget: Budget | None = None,
    clock: Clock | None = None,
    counter: CallCounter | None = None,
) -> Http:
    """Return the session of one company, with the remedies an operator needs."""
    return Http(
        "visma",
        base_url,
        auth=auth,
        budget=budget,
        clock=clock,
        timeout=TIMEOUT,
        counter=counter,
        headers={"Accept": "application/json", "User-Agent": "mlc-dagster"},
        remedies=REMEDIES,
    )


class VismaClient:
    """Calls for one company. Thread-safe."""

    def __init__(
        self, http: Http, company: Company, *, send_company_header: bool = True, page_size: int = PAGE_SIZE
    ) -> None:
        self.http, self.company, self.page_size = http, company, page_size
        self._headers = {"ipp-company-id": company.company_id} if send_company_header else {}

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """Make one call with the company's headers. Raises what the transport raises."""
        return self.http.call(method, path, headers={**self._headers, **(headers or {})}, **options)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the parsed JSON of a GET; an answer cut short by a gateway is asked for again."""
        for _ in range(READS_OF_BROKEN_JSON):
            response = self.call("GET", path, params=params)
            try:
                return decimal_json(response.text)
            except ValueError:
                continue
        raise self._contract_broken(path, response.text or "the answer is empty")

    def single(self, entity: Entity, key: str) -> dict[str, Any] | None:
        """Return one record by its key; None when the ERP has none. Raises ValueError when it has no path."""
        found = self.single_with_etag(entity, key)
        return None if found is None else found[0]

    def single_with_etag(self, entity: Entity, key: str) -> tuple[dict[str, Any], str | None] | None:
        """Return one record and its ETag; None when the ERP has none."""
        path = self.single_path(entity, key)
        try:
            response = self.call("GET", path, params=entity.query)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        record = decimal_json(response.text)
        # Some paths take the number without the type, and answer with another type's record.
        return (record, response.headers.get("ETag")) if record_key(entity, record) == key else None

    def single_path(self, entity: Entity, key: str, *, write: bool = False) -> str:
        """Return the path of one record, for reading or for writing."""
        template = entity.written if write and entity.written else entity.single
        if template is None:
            raise ValueError(f"{entity.title} have no path for a single record.")
        return template.format(**{name: segment(value) for name, value in entity.parts(key).items()})

    def page(
        self,
        entity: Entity,
        number: int = 1,
        *,
        since: str | None = None,
        size: int | None = None,
    ) -> Page:
        """Return one page: of all, or of what changed at or after ``since`` (ERP wall time, no zone)."""
        query = _since(entity, since)
        return self._page(Intake(entity), entity, number, query, self._body(entity, number, query, size))

    def pages(
        self,
        entity: Entity,
        take: Callable[[Page], Taken],
        *,
        since: str | None = None,
        extra: Mapping[str, str] | None = None,
        held: Mapping[int, tuple[Taken, Told]] | None = None,
    ) -> list[Taken]:
        """Read a whole list and return what ``take`` makes of each page, in page order.

        The first page tells how many there are; the others are asked for several at once. Two at a time are
        parsed and taken, in threads: Arrow leaves Python to the others. Pages in ``held`` were taken before
        and are not asked for again.
        """
        if entity.paging is Paging.BY_ID:
            return [take(Page(1, Listed.parts(self._by_id(entity)), alone=True))]
        query = {**_since(entity, since), **(extra or {})}
        answers, intake = dict(held or {}), Intake(entity)

        def taken(number: int, body: bytes) -> tuple[Taken, Told]:
            page = self._page(intake, entity, number, query, body)
            return take(page), page.told

        read, known = 0, 1
        while read < known:
            missing = [number for number in range(read + 1, known + 1) if number not in answers]
            bodies = as_they_come(lambda number: self._body(entity, number, query), missing)
            answers.update(handed_on(bodies, taken))
            told = [answers[number][1] for number in range(read + 1, known + 1)]
            read = known
            if entity.paged:
                known = self._page_count(told, read)
        return [answers[number][0] for number in range(1, read + 1)]

    def _body(self, entity: Entity, number: int, query: Mapping[str, str], size: int | None = None) -> bytes:
        params = {**entity.query, **query}
        if entity.paged:
            params |= {"pageNumber": str(number), "pageSize": str(size or self.page_size)}
        return self.call("GET", entity.path, params=params).content

    def _page(
        self, intake: Intake, entity: Entity, number: int, query: Mapping[str, str], body: bytes
    ) -> Page:
        """Return an answer as a page; one cut short by a gateway is asked for again."""
        for attempt in range(READS_OF_BROKEN_JSON):
            try:
                page = Page(number, intake.listed(body), alone=False)
            except TypeError as error:
                raise self._contract_broken(entity.path, str(error)) from None
            except ValueError:
                if attempt + 1 < READS_OF_BROKEN_JSON:
                    body = self._body(entity, number, query)
            else:
                alone = not entity.paged or (number == 1 and self._page_count([page.told], 1) == 1)
                return replace(page, alone=alone)
        raise self._contract_broken(entity.path, body.decode(errors="replace") or "the answer is empty")

    def _page_count(self, told: Sequence[Told], read: int) -> int:
        """Return how many pages there are by the newest totals; without any, one more after a full one."""
        totals = [page.total for page in told if page.total is not None]
        size = min([self.page_size, *(page.cap for page in told if page.cap)])
        if totals:
            return math.ceil(max(totals) / size)
        return read + 1 if told[-1].length >= size else read

    def _by_id(self, entity: Entity) -> list[Any]:
        ids = self.get(entity.path)
        if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
            raise self._contract_broken(entity.path, "the answer is no JSON array of ids")
        return in_parallel(lambda name: self.get(self.single_path(entity, name), entity.query), ids)

    def _contract_broken(self, path: str, said: str) -> CallFailed:
        remedy = "The vendor's answer is not what its contract says; if it stays so, report it to Visma."
        return CallFailed("visma", "GET", path, status=200, excerpt_text=said, remedy=remedy)


def segment(value: str) -> str:
    """Return a key part as a path segment; reserved characters go as b64(...) (section 1)."""
    if not RESERVED.search(value):
        return quote(value, safe="")
    return f"b64({base64.urlsafe_b64encode(value.encode()).decode().rstrip('=')})"


def _since(entity: Entity, since: str | None) -> dict[str, str]:
    if since is None and (entity.demands_filter or entity.filter is Filter.SINCE):
        since = EVER
    if since is None or entity.filter is Filter.NONE:
        return {}
    # ">=": the vendor's pages disagree on whether ">" includes equality (section 5).
    condition = {"lastModifiedDateTimeCondition": ">="} if entity.filter is Filter.WITH_CONDITION else {}
    return {"lastModifiedDateTime": since, **condition}
