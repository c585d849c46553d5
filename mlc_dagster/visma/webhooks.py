"""Visma's notifications as a source of the receiver (vendors/visma.md section 12).

The body of an event is documented nowhere, so nothing is read from it. The headers name tenant and event, but
only the body is signed: they say where to look first, and the ERP itself says what happened.
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from mlc_dagster.clock import Clock
from mlc_dagster.receiver import Verdict

TENANT, EVENT, DELIVERY = "x-vwd-tenant-id", "x-vwd-event-id", "x-vwd-notification-id"
# The place in the address: one application has one address for all its events.
PLACE = "events"
# A notification without a tenant may be about any company.
EVERYBODY = "*"
LONGEST_ID = 200
# A secret that does not fit is told, but not once a call.
TOLD_EVERY = timedelta(minutes=5)
# How an event's name begins, and the entity it is about. An id that is no name is about all of them.
ENTITIES: Mapping[str, str] = {
    "account ": "gl_accounts",
    "ap invoice ": "supplier_invoices",
    "ar invoice ": "customer_invoices",
    "customer ": "customers",
    "supplier ": "suppliers",
    "purchase order ": "purchase_orders",
    "dimension ": "dimensions",
    "segment ": "dimensions",
    "employee ": "employees",
    "ep employee ": "employees",
}

log = logging.getLogger(__name__)


class VismaHooks:
    """Visma.net ERP as a source of the receiver."""

    def __init__(
        self,
        secret: str,
        tenants: Mapping[str, str],
        clock: Clock,
        *,
        signature_header: str,
        refused_status: int,
    ) -> None:
        """`tenants`: the code of each company by its tenant id."""
        self._secret, self._header = secret.encode(), signature_header.lower()
        self._companies = {tenant.lower(): code for tenant, code in tenants.items()}
        self._clock, self._refused = clock, Verdict(refused_status)
        self._told: datetime | None = None

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Believe what carries the subscription's signature: that something happened at a company of ours."""
        if place != PLACE:
            return Verdict(404)
        if not self._signed(headers.get(self._header, ""), body):
            self._tell()
            return self._refused
        tenant = headers.get(TENANT, "").strip().lower()
        company = self._companies.get(tenant) if tenant else EVERYBODY
        if company is None:
            # Of a company we do not carry. Anything but 200 would be repeated.
            return Verdict(200)
        entity = entity_of(headers.get(EVENT, ""))
        delivery = headers.get(DELIVERY, "")[:LONGEST_ID].encode() or None
        return Verdict(200, news=True, about=f"{company}/{entity or EVERYBODY}", delivery=delivery)

    def _signed(self, signature: str, body: bytes) -> bool:
        expected = base64.b64encode(hmac.digest(self._secret, body, hashlib.sha256))
        return hmac.compare_digest(expected, signature.encode())

    def _tell(self) -> None:
        now = self._clock.now()
        if self._told is None or now - self._told > TOLD_EVERY:
            self._told = now
            log.warning(
                "A call to /hooks/visma carries no valid signature in %s: somebody else's, or the secret of "
                "the subscription is not the one in `receiver: visma: secret:`.",
                self._header,
            )


def entity_of(event: str) -> str | None:
    """The entity an event's name speaks of; None where it is no name we know.

    Also the older form of names is understood, such as `supplier_changed`.
    """
    name = event.strip().lower().replace("_", " ")
    return next((entity for start, entity in ENTITIES.items() if name.startswith(start)), None)
