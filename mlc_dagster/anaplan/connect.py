"""Builds the Anaplan client and its destinations from the settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlc_dagster.anaplan.auth import BasicLogin, CertificateLogin, Login, token_auth
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.anaplan.destination import AnaplanImport
from mlc_dagster.settings import AnaplanBasic, AnaplanSettings, Secret
from mlc_dagster.transport.budget import Budgets
from mlc_dagster.transport.clock import Clock
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import CallCounter, Http


def connect(
    settings: AnaplanSettings, *, budgets: Budgets, clock: Clock, counter: CallCounter
) -> AnaplanClient:
    """The client of the configured model. Anaplan counts calls per tenant, so one budget serves them all."""
    budget = budgets.token_bucket(
        f"anaplan:{settings.api_url}",
        rate=settings.calls_per_minute,
        per_seconds=60,
        headroom=f"{settings.headroom_percent / 100:.2f}",
        patience=settings.patience_seconds,
    )
    tokens = Http("Anaplan", settings.auth_url, budget=budget, clock=clock, counter=counter)
    auth = token_auth(tokens, _login(settings))
    http = open_http(settings.api_url, auth=auth, budget=budget, counter=counter, clock=clock)
    return AnaplanClient(http, settings.workspace_id, settings.model_id)


def destination(
    settings: AnaplanSettings,
    name: str,
    client: AnaplanClient,
    *,
    columns: Sequence[str],
    tombstone: Mapping[str, Any] | None,
) -> AnaplanImport:
    """The destination of one model of the mappings: `columns` are its contract's, in order."""
    imports = settings.destinations[name]
    return AnaplanImport(
        f"anaplan/{name}",
        client,
        list_import=imports.list_import,
        data_import=imports.data_import,
        columns=columns,
        list_name=imports.item_name,
        tombstone=tombstone,
    )


def _login(settings: AnaplanSettings) -> Login:
    auth = settings.auth
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
