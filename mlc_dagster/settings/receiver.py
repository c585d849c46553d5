"""The section of the receiver: where vendors reach us, what signs their calls, and the operator's pages."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mlc_dagster.settings.section import SecretValue, Section, Url


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError(f"{value!r} is no address; write one such as 10.0.0.5 or 10.0.0.0/24") from None


Network = Annotated[str, AfterValidator(_network)]


class VismaHooks(Section):
    """Visma's notifications (vendors/visma.md section 12). `secret`: of the subscription in their portal.

    Two facts are not certain and can be set: the header of the signature, which is a sister product's, and
    what a call that is not Visma's own is answered. The dispatcher repeats everything but a 200.
    `look_seconds`: how often, at most, notifications of a company make us ask the ERP.
    """

    secret: SecretValue
    signature_header: str = Field(default="x-vwd-signature-v1", pattern=r"^[A-Za-z0-9-]+$")
    refused_status: Literal[200, 401] = 200
    look_seconds: int = Field(default=120, ge=30)


class PagesSettings(Section):
    """The operator's pages. `token`: what people log in with. `replay`: whether the pages may ask for one,
    and settle records in quarantine.
    """

    token: SecretValue
    replay: bool = False


class ReceiverSettings(Section):
    """`mlc receiver serve` as vendors see it.

    `url`: the address of the proxy in front of it, without /hooks; vendors we make webhooks at are told it.
    `proxies`: the addresses of proxies whose X-Forwarded-For is believed.
    """

    url: Url | None = None
    proxies: tuple[Network, ...] = ()
    visma: VismaHooks | None = None
    pages: PagesSettings | None = None
