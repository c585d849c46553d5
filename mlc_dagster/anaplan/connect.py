"""Builds the Anaplan client and its destinations from the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlc_dagster.anaplan.auth import BasicLogin, CertificateLogin, Login, open_token_service, token_auth
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.grant import StoredGrant, grant_auth
from mlc_dagster.anaplan.oauth import Client, open_oauth_service
from mlc_dagster.anaplan.readback import AnaplanReadBack
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.settings import AnaplanBasic, AnaplanCertificate, AnaplanOAuthCode, AnaplanSettings, Secret
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget, Budgets
from mlc_dagster.transport.clock import Clock
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.vault import Vault


class NoLoginByHand(Exception):
    """The configured way to log in takes nobody at a browser."""


@dataclass(frozen=True)
class Shared:
    """What all processes share, and this one's clock and counter."""

    budgets: Budgets
    vault: Vault
    leases: Leases
    clock: Clock
    counter: CallCounter


def connect(settings: AnaplanSettings, shared: Shared) -> AnaplanClient:
    """The client of the configured model. Its logins take from the same budget: Anaplan counts them too."""
    budget = _budget(settings, shared)
    http = open_http(
        settings.api_url,
        auth=_auth(settings, shared, budget),
        budget=budget,
        counter=shared.counter,
        clock=shared.clock,
    )
    return AnaplanClient(
        http, settings.workspace_id, settings.model_id, exact_chunk_count=settings.upload == "counted"
    )


def destination(
    settings: AnaplanSettings,
    name: str,
    client: AnaplanClient,
    *,
    columns: Sequence[str],
    tombstone: Mapping[str, Any] | None,
) -> AnaplanFeed:
    """The destination of one model of the mappings: `columns` are its contract's, in order."""
    return AnaplanFeed(
        f"anaplan/{name}", client, settings.destinations[name], columns=columns, tombstone=tombstone
    )


def read_back(
    settings: AnaplanSettings,
    name: str,
    client: AnaplanClient,
    *,
    kinds: Mapping[str, str],
    key: Sequence[str],
) -> AnaplanReadBack | None:
    """How to read what the model holds of a destination; None where `read_back` names no view."""
    part = settings.destinations[name]
    if part.read_back is None:
        return None
    removes = part.delete_action is not None
    return AnaplanReadBack(
        client, part.read_back, name=f"anaplan/{name}", kinds=kinds, key=key, removes=removes
    )


def stored_grant(settings: AnaplanSettings, shared: Shared, budget: Budget | None = None) -> StoredGrant:
    """The grant of `mlc anaplan login`.

    Raises:
        NoLoginByHand: another method is configured.
    """
    auth = settings.auth
    if isinstance(auth, AnaplanBasic | AnaplanCertificate):
        raise NoLoginByHand(
            f"`method: {auth.method}` needs no login by hand; `mlc check` tries it. For OAuth set "
            "`method: oauth_code` or `method: oauth_device` in mlc.yaml."
        )
    client = Client(auth.client_id.reveal())
    if isinstance(auth, AnaplanOAuthCode):
        client = replace(client, secret=auth.client_secret.reveal(), redirect_uri=auth.redirect_uri)
    service = open_oauth_service(
        settings.oauth_url,
        client,
        budget=budget or _budget(settings, shared),
        counter=shared.counter,
        clock=shared.clock,
    )
    return StoredGrant(service, shared.vault, shared.leases)


def _auth(settings: AnaplanSettings, shared: Shared, budget: Budget) -> Auth:
    auth = settings.auth
    if isinstance(auth, AnaplanBasic | AnaplanCertificate):
        service = open_token_service(
            settings.auth_url, budget=budget, counter=shared.counter, clock=shared.clock
        )
        return token_auth(service, _login(auth))
    return grant_auth(stored_grant(settings, shared, budget))


def _budget(settings: AnaplanSettings, shared: Shared) -> Budget:
    """Anaplan counts calls per tenant, so the models below one address share a budget fairly."""
    return shared.budgets.token_bucket(
        f"anaplan:{settings.api_url}",
        member=settings.model_id,
        rate=settings.calls_per_minute,
        per_seconds=60,
        headroom=f"{settings.headroom_percent / 100:.2f}",
        patience=settings.patience_seconds,
    )


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
