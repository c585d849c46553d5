"""The Anaplan pair, built from its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from mlc_dagster.anaplan.auth import (
    BasicLogin,
    CertificateLogin,
    Login,
    certificate_end,
    open_token_service,
    token_auth,
)
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.oauth import Client, OAuthService, open_oauth_service
from mlc_dagster.anaplan.readback import AnaplanReadBack
from mlc_dagster.delivery import Report
from mlc_dagster.grant import NoLoginByHand, StoredGrant
from mlc_dagster.settings import Secret
from mlc_dagster.settings.anaplan import (
    AnaplanBasic,
    AnaplanCertificate,
    AnaplanOAuthCode,
    AnaplanSettings,
)
from mlc_dagster.target import Expiry, Parts
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget, share
from mlc_dagster.transport.errors import Misconfigured

# Of the grant in the vault.
GRANT = "anaplan/oauth"


class Anaplan:
    """The configured model with everything that is needed to fill it."""

    def __init__(self, settings: AnaplanSettings, parts: Parts) -> None:
        self.settings, self._parts = settings, parts

    @cached_property
    def client(self) -> AnaplanClient:
        """The client of the model. Its logins take from the same budget: Anaplan counts them too."""
        settings, parts = self.settings, self._parts
        http = open_http(
            settings.api_url,
            auth=self._auth(),
            budget=self._budget,
            counter=parts.counter,
            clock=parts.clock,
        )
        return AnaplanClient(
            http, settings.workspace_id, settings.model_id, exact_chunk_count=settings.upload == "counted"
        )

    @property
    def grant(self) -> StoredGrant[OAuthService]:
        """The grant of `mlc anaplan login`. Raises NoLoginByHand when another method is set."""
        auth, parts = self.settings.auth, self._parts
        if isinstance(auth, AnaplanBasic | AnaplanCertificate):
            raise NoLoginByHand(
                f"`method: {auth.method}` needs no login by hand; `mlc check` tries it. For OAuth set "
                "`method: oauth_code` or `method: oauth_device` in mlc.yaml."
            )
        client = Client(auth.client_id.reveal())
        if isinstance(auth, AnaplanOAuthCode):
            client = replace(client, secret=auth.client_secret.reveal(), redirect_uri=auth.redirect_uri)
        service = open_oauth_service(
            self.settings.oauth_url, client, budget=self._budget, counter=parts.counter, clock=parts.clock
        )
        return StoredGrant(GRANT, service, vault=parts.vault, leases=parts.leases, clock=parts.clock)

    def destination(self, model: str) -> AnaplanFeed:
        """The destination of one model of the mappings."""
        name = f"anaplan/{model}"
        mapped = self._parts.mappings.models[name]
        return AnaplanFeed(
            name,
            self.client,
            self.settings.destinations[model],
            columns=list(mapped.contract.columns),
            key=mapped.contract.key,
            tombstone=mapped.tombstone,
        )

    def read_back(self, model: str) -> AnaplanReadBack | None:
        """How to read what the model holds of a destination; None where `read_back` names no view."""
        name, part = f"anaplan/{model}", self.settings.destinations[model]
        if part.read_back is None:
            return None
        contract = self._parts.mappings.models[name].contract
        return AnaplanReadBack(
            self.client,
            part.read_back,
            name=name,
            kinds={column: spec.column_type.kind for column, spec in contract.columns.items()},
            key=contract.key,
            parameters=part.parameters,
            removes=part.delete_action is not None,
        )

    def delivered(self, report: Report, *, last: bool) -> None:
        """Nothing follows."""

    def look(self) -> str:
        """Log in and look at the configured model: credentials, address, ids and role in one call."""
        return f"model {self.client.catalog.model().name}"

    def calls_left(self) -> Mapping[str, int | None]:
        """The calls left of the tenant's minute."""
        return {"anaplan": self._budget.left()}

    def expiries(self) -> Sequence[Expiry]:
        """The end of the client certificate. Raises SecretMissing and Misconfigured where it is none."""
        auth = self.settings.auth
        if not isinstance(auth, AnaplanCertificate):
            return ()
        return [
            Expiry(
                what=f"Anaplan's client certificate ({', '.join(auth.certificate.variables)})",
                ends_at=certificate_end(_file(auth.certificate)),
                remedy="Order a new one at its certificate authority, register it for the user in Anaplan "
                "(docs/anaplan.md section 3), then give certificate and key together.",
            )
        ]

    @cached_property
    def _budget(self) -> Budget:
        """Anaplan counts calls per tenant, so the models below one address share a budget fairly."""
        settings = self.settings
        return self._parts.budgets.rolling_window(
            f"anaplan:{settings.api_url}",
            member=settings.model_id,
            rate=settings.calls_per_minute,
            per_seconds=60,
            headroom=share(settings.headroom_percent),
            patience=settings.patience_seconds,
        )

    def _auth(self) -> Auth:
        settings, parts = self.settings, self._parts
        if not isinstance(settings.auth, AnaplanBasic | AnaplanCertificate):
            return self.grant.auth()
        service = open_token_service(
            settings.auth_url, budget=self._budget, counter=parts.counter, clock=parts.clock
        )
        return token_auth(service, _login(settings.auth))


def _login(auth: AnaplanBasic | AnaplanCertificate) -> Login:
    if isinstance(auth, AnaplanBasic):
        return BasicLogin(auth.user.reveal(), auth.password.reveal())
    return CertificateLogin(_file(auth.certificate), _file(auth.private_key), version=auth.version)


def _file(secret: Secret) -> str:
    """The PEM text; the variable holds the file's path, as secrets are mounted in containers."""
    value = secret.reveal()
    if value.lstrip().startswith("-----BEGIN"):
        return value
    try:
        return Path(value).read_text("utf-8")
    except OSError as error:
        raise Misconfigured(
            "Anaplan",
            "-",
            "-",
            excerpt_text=f"{', '.join(secret.variables)} names a file that cannot be read: {error.strerror}",
            remedy="Give the path of a PEM file that this process may read, or the PEM text itself.",
        ) from None
