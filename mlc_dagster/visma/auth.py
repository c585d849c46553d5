"""Visma Connect: one token per company by client credentials (vendors/visma.md section 2)."""

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.transport import (
    CachedAuth,
    CallCounter,
    Http,
    Misconfigured,
    Refused,
    Token,
)

SCOPES = " ".join(f"vismanet_erp_service_api:{verb}" for verb in ("read", "create", "update", "delete"))
RENEW_BEFORE_SECONDS = 60
DEFAULT_LIFETIME_SECONDS = 3600

REMEDIES = {
    "invalid_client": "Check visma.client_id and visma.client_secret: Visma Connect does not know the pair.",
    "invalid_tenant": "Check the company's tenant_id, and that the company has approved the integration "
    "in the Visma App Store.",
    "invalid_scope": "Add the four vismanet_erp_service_api scopes in the Visma Developer Portal.",
    "unauthorized_client": "Allow the client credentials grant in the Visma Developer Portal.",
}
OTHERWISE = "Check client id, client secret and tenant id of this company."


class VismaConnect:
    """Fetches the tokens of one company. There is no refresh token in this grant."""

    def __init__(
        self,
        token_url: str,
        *,
        client_id: str,
        client_secret: str,
        tenant_id: str,
        clock: Clock | None = None,
        counter: CallCounter | None = None,
    ) -> None:
        address = urlsplit(token_url)
        self._path = address.path
        self._clock: Clock = clock or SystemClock()
        base = f"{address.scheme}://{address.netloc}"
        self._http = Http("visma connect", base, clock=self._clock, counter=counter, attempts=3)
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "tenant_id": tenant_id,
            "scope": SCOPES,
        }

    def auth(self) -> CachedAuth:
        """Return the token cache for a session: one token for all threads, renewed a minute before expiry."""
        return CachedAuth(self.fetch, clock=self._clock, margin=RENEW_BEFORE_SECONDS)

    def fetch(self) -> Token:
        """Ask for a token. Raises Misconfigured naming the setting, or what the transport raises."""
        asked_at = self._clock.now()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        body = urlencode(self._form).encode()
        try:
            # Asking for a token twice harms nobody, so this POST may be repeated.
            response = self._http.call(
                "POST", self._path, data=body, headers=headers, repeatable=True, overrides={401: Refused}
            )
        except Refused as refused:
            raise self._misconfigured(refused.words, refused.status) from None
        try:
            answer = response.json()
            lifetime = int(answer.get("expires_in", DEFAULT_LIFETIME_SECONDS))
            return Token(str(answer["access_token"]), asked_at + timedelta(seconds=lifetime))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise self._misconfigured("the answer holds no access_token", response.status_code) from None

    def _misconfigured(self, words: str, status: int | None) -> Misconfigured:
        remedy = REMEDIES.get(words.strip(), OTHERWISE)
        return Misconfigured(
            "visma connect", "POST", self._path, status=status, excerpt_text=words, remedy=remedy
        )
