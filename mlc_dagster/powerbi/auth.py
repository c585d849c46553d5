"""Login of a service principal by msal (vendors/powerbi.md section 1)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msal
import requests

from mlc_dagster.clock import Clock
from mlc_dagster.transport.auth import CachedAuth, Token
from mlc_dagster.transport.errors import Again, Misconfigured
from mlc_dagster.transport.session import answer_ends, no_authorities, read_whole

PUBLIC = "https://login.microsoftonline.com"
TIMEOUT = (10, 60)
# Of a token that does not say it; what msal assumes.
LIFE_SECONDS = 3599
# msal says ValueError of an authority it does not understand, and takes the form of answers for granted.
ODD = (ValueError, LookupError, AttributeError, TypeError, RuntimeError)
PLACE = "Check login_url and tenant_id, and that no proxy answers in its place."
VENDOR, PATH = "Microsoft Entra", "/oauth2/v2.0/token"
REMEDIES = {
    "AADSTS7000215": "The client secret is wrong or its id was given for its value: set the secret's value.",
    "AADSTS7000222": "The client secret has expired: make a new one in the app registration.",
    "AADSTS700016": "This tenant has no such application: check client_id and tenant_id.",
    "AADSTS90002": "There is no such tenant: check tenant_id.",
    "AADSTS70011": "The scope is wrong: it ends in /.default.",
}


class ServicePrincipal:
    """Fetches tokens for one app registration. The app object is made once, with the first token.

    `login_url` is the cloud's login host. A loopback address stands for the public cloud: msal takes https
    authorities only, so its requests are redirected on their way out.
    """

    def __init__(
        self, login_url: str, tenant_id: str, client_id: str, secret: str, *, scope: str, clock: Clock
    ) -> None:
        self._login_url, self._tenant_id, self._client_id = login_url, tenant_id, client_id
        self._secret, self._scope, self._clock = secret, scope, clock
        self._app: msal.ConfidentialClientApplication | None = None

    def fetch(self) -> Token:
        """A new token, with the life the answer states.

        Raises:
            Misconfigured: Entra refuses the application, with its code and what to do, or it is not Entra.
            Again: Entra cannot be reached, or is out of order.
        """
        try:
            answer = self._ask()
        except requests.RequestException as error:
            said = f"{type(error).__name__} at {self._login_url}"
            raise Again(VENDOR, "POST", PATH, excerpt_text=said) from None
        except OSError as error:
            raise no_authorities(error, VENDOR, "POST", PATH) from None
        except msal.exceptions.MsalServiceError as error:  # a 5xx
            raise Again(VENDOR, "POST", PATH, excerpt_text=str(error)) from None
        except ODD as error:
            said = f"{self._login_url} does not answer as Entra does: {type(error).__name__} {error}"
            raise Misconfigured(VENDOR, "GET", PATH, excerpt_text=said, remedy=PLACE) from None
        if "access_token" not in answer:
            raise _refusal(answer)
        expires = self._clock.now() + timedelta(seconds=int(answer.get("expires_in", LIFE_SECONDS)))
        return Token(answer["access_token"], expires)

    def _ask(self) -> Mapping[str, Any]:
        if self._app is None:
            http = self._login_url.startswith("http://")
            self._app = msal.ConfidentialClientApplication(
                self._client_id,
                authority=f"{PUBLIC if http else self._login_url}/{self._tenant_id}",
                client_credential=self._secret,
                instance_discovery=False,
                http_client=_Channel(self._login_url if http else None, self._clock),
            )
        # The cache is ours, so that an expired token is dropped as soon as Power BI says so.
        self._app.remove_tokens_for_client()
        answer: Mapping[str, Any] = self._app.acquire_token_for_client(scopes=[self._scope]) or {}
        return answer


def login(principal: ServicePrincipal, clock: Clock) -> CachedAuth:
    """Signs calls. The scheme's capital matters: a lower-case `bearer` was refused (section 1)."""
    return CachedAuth(principal.fetch, clock=clock, margin=300)


class _Channel(requests.Session):
    """msal's way to Entra, with a timeout, and on this machine with another host."""

    def __init__(self, instead: str | None, clock: Clock) -> None:
        super().__init__()
        self._instead, self._clock = instead, clock
        # What goes to this machine has no TLS: a proxy of the environment would read it.
        self.trust_env = instead is None

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Send one request and read its answer, which has an end."""
        address = url.decode() if isinstance(url, bytes) else url
        if self._instead is not None and address.startswith(PUBLIC):
            address = self._instead + address.removeprefix(PUBLIC)
        until = answer_ends(self._clock, TIMEOUT)
        response = super().request(method, address, *args, **{"timeout": TIMEOUT, **options, "stream": True})
        read_whole(response, self._clock, until)
        return response


def _refusal(answer: Mapping[str, Any]) -> Misconfigured:
    said = str(answer.get("error_description") or answer.get("error") or "no token")
    remedy = next((text for code, text in REMEDIES.items() if code in said), None)
    return Misconfigured(VENDOR, "POST", PATH, excerpt_text=said, remedy=remedy)
