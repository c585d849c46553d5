"""`mlc anaplan login`, `mlc asana login`: a person approves in a browser, the grant goes into the vault."""

import secrets
import sys
from getpass import getpass

from mlc_dagster.anaplan.oauth import OAuthService
from mlc_dagster.asana.oauth import Attempt
from mlc_dagster.cli.console import console
from mlc_dagster.suite import Suite
from mlc_dagster.transport.oauth import Grant

KEPT = "Logged in. The grant is in the vault; runs renew it by themselves."


def log_in_to_anaplan(suite: Suite) -> None:
    """Log in by the configured flow, store the grant, and try it on the model.

    Raises:
        NoLoginByHand: the configured method needs none.
        Misconfigured: the login was refused, declined or came too late; the text says what to do.
        VaultLocked: the grant cannot be stored.
    """
    stored = suite.anaplan.grant
    service = stored.service
    grant = _anaplan_by_code(service) if service.client.secret is not None else _by_device(service)
    stored.keep(grant)
    console.print(KEPT)
    console.print(f"It opens the model {suite.anaplan.client.catalog.model().name}.")


def log_in_to_asana(suite: Suite) -> None:
    """Log in, store the grant, and try it on the workspace. Raises as `log_in_to_anaplan`."""
    stored, attempt = suite.asana.grant, Attempt()
    address = _approved(stored.service.authorize_address(attempt))
    stored.keep(stored.service.by_code(address, attempt))
    console.print(KEPT)
    console.print(f"It opens the {suite.asana.look()}.")


def _anaplan_by_code(service: OAuthService) -> Grant:
    state = secrets.token_urlsafe(24)
    return service.by_code(_approved(service.authorize_address(state)), state)


def _approved(address: str) -> str:
    """The address a browser ends at after somebody has agreed."""
    console.print("Open this address in a browser, log in as the integration's user, and agree:")
    console.print(address)
    console.print(
        "The browser ends at an address that begins with the redirect_uri; the page may well be missing. "
        "Paste that whole address here within a minute. It is not shown."
    )
    return _hidden_line("Address: ")


def _by_device(service: OAuthService) -> Grant:
    device = service.device_code()
    console.print("Open this address in a browser, log in as the integration's user, and approve:")
    console.print(device.address)
    console.print(f"The code is {device.user_code}. Waiting up to {device.seconds / 60:.0f} minutes ...")
    return service.by_device(device)


def _hidden_line(prompt: str) -> str:
    """A line from the terminal without an echo, or from a pipe. Never an argument: others could read it."""
    return getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()
