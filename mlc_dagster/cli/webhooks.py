"""What `mlc receiver serve` and `mlc asana webhooks` do."""

import socket

import uvicorn
from rich.table import Table
from starlette.applications import Starlette

from mlc_dagster.asana.webhooks import Webhooks
from mlc_dagster.cli.console import console
from mlc_dagster.receiver import Signals, Source, receiver
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

# Connections, not calls: those beyond are told to come back.
CONNECTIONS = 256


class NoReceiver(Exception):
    """Vendors cannot reach us: no address is set, or no port can be opened."""


def serve_receiver(host: str, port: int) -> None:
    """Serve until told to stop. Raises NoReceiver: the port cannot be opened."""
    app = app_of(Suite(load_settings()))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise NoReceiver(
            f"Port {port} of {host} cannot be opened: {error.strerror}. Choose another."
        ) from None
    console.print(f"Receiver: http://{host}:{port}/hooks   Ctrl-C stops it.")
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        lifespan="off",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        # What proxies add is of no interest: the signature says who calls.
        proxy_headers=False,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def app_of(suite: Suite) -> Starlette:
    """The receiver of all pairs that are switched on and have webhooks."""
    sources: dict[str, Source] = {}
    if suite.settings.pairs.asana is not None:
        sources["asana"] = suite.asana.hooks
    return receiver(sources, Signals(suite.engine, suite.clock))


def make_webhooks() -> None:
    """Make what is missing."""
    made = _webhooks().make()
    for project in made:
        console.print(f"made the webhook of project {project}")
    if not made:
        console.print("every project has its webhook")


def list_webhooks() -> None:
    """Print each project with the state of its webhook."""
    table = Table(title="Webhooks of the projects with a way back", title_justify="left")
    for heading in ("project", "state", "last delivered (UTC)", "last failure (UTC)", "failure"):
        table.add_column(heading, overflow="fold")
    for project, hook in _webhooks().state():
        if hook is None:
            table.add_row(project, "missing: run `mlc asana webhooks create`", "", "", "")
            continue
        told = [str(hook.get(name) or "") for name in ("last_success_at", "last_failure_at")]
        state = "active" if hook.get("active") else "not active"
        table.add_row(project, state, *told, str(hook.get("last_failure_content") or "")[:200])
    console.print(table)


def delete_webhooks() -> None:
    """Delete all of ours."""
    console.print(f"deleted {_webhooks().delete()}")


def _webhooks() -> Webhooks:
    suite = Suite(load_settings())
    if suite.settings.receiver is None:
        raise NoReceiver("`receiver: url:` is missing in mlc.yaml: the address at which Asana reaches us.")
    return suite.asana.webhooks(suite.settings.receiver.url)
