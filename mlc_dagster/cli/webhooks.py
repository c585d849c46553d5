"""What `mlc receiver serve` and `mlc asana webhooks` do."""

import socket
from collections.abc import Callable, Mapping

from starlette.applications import Starlette

from mlc_dagster.asana.webhooks import Webhooks
from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.pages import pages
from mlc_dagster.receiver import Signals, Source
from mlc_dagster.receiver.app import receiver
from mlc_dagster.receiver.server import server
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.webhooks import VismaHooks

NO_WAY_BACK = "No project needs one: `pairs: asana` in mlc.yaml names no `way_back` (docs/asana-webhooks.md)."


class NoReceiver(Exception):
    """Vendors cannot reach us: no address is set, or no port can be opened."""


def serve_receiver(host: str, port: int) -> None:
    """Serve until told to stop. Raises NoReceiver: the port cannot be opened."""
    suite = Suite(load_settings())
    app = app_of(suite)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise NoReceiver(
            f"Port {port} of {host} cannot be opened: {error.strerror}. Choose another."
        ) from None
    known = ", ".join(sources_of(suite)) or "no vendor"
    section = suite.settings.receiver
    shown = f"   Pages: http://{host}:{port}/" if section and section.pages else ""
    console.print(f"Receiver: http://{host}:{port}/hooks for {known}{shown}   Ctrl-C stops it.")
    server(app, proxies=section.proxies if section else ()).run(sockets=[listener])


def app_of(suite: Suite) -> Starlette:
    """The receiver of all vendors whose webhooks are switched on, and the operator's pages."""
    return receiver(sources_of(suite), Signals(suite.engine, suite.clock), others=pages(suite))


def sources_of(suite: Suite) -> dict[str, Source]:
    """Who may call, by the name in the path. A new vendor's source is one line in the table below."""
    return {name: source for name, make in SOURCES.items() if (source := make(suite)) is not None}


def _visma(suite: Suite) -> Source | None:
    section = suite.settings.receiver
    if section is None or section.visma is None:
        return None
    return VismaHooks(
        section.visma.secret.reveal(),
        {company.tenant_id: code for code, company in suite.settings.companies.items()},
        suite.clock,
        signature_header=section.visma.signature_header,
        refused_status=section.visma.refused_status,
    )


def _asana(suite: Suite) -> Source | None:
    return suite.asana.hooks if suite.settings.pairs.asana is not None else None


def _tableau(suite: Suite) -> Source | None:
    return suite.tableau.hooks if suite.settings.pairs.tableau is not None else None


# Each makes a vendor's source, or None where it is switched off.
SOURCES: Mapping[str, Callable[[Suite], Source | None]] = {
    "visma": _visma,
    "asana": _asana,
    "tableau": _tableau,
}


def make_webhooks() -> None:
    """Make what is missing."""
    hooks = _webhooks()
    made = hooks.make()
    for project in made:
        console.print(f"made the webhook of project {project}")
    if not made:
        console.print("every project has its webhook" if hooks.state() else NO_WAY_BACK)


def list_webhooks() -> None:
    """Print each project with the state of its webhook."""
    table = table_with(
        "Webhooks of the projects with a way back",
        ("project", "state", "last delivered (UTC)", "last failure (UTC)", "failure"),
    )
    found = _webhooks().state()
    for project, hook in found:
        if hook is None:
            table.add_row(project, "missing: run `mlc asana webhooks create`", "", "", "")
            continue
        told = [str(hook.get(name) or "") for name in ("last_success_at", "last_failure_at")]
        state = "active" if hook.get("active") else "not active"
        table.add_row(project, state, *told, str(hook.get("last_failure_content") or "")[:200])
    console.print(table if found else NO_WAY_BACK)


def delete_webhooks() -> None:
    """Delete all of ours."""
    console.print(f"deleted {counted(_webhooks().delete(), 'webhook')}")


def _webhooks() -> Webhooks:
    suite = Suite(load_settings())
    if suite.settings.receiver is None or suite.settings.receiver.url is None:
        raise NoReceiver("`receiver: url:` is missing in mlc.yaml: the address at which Asana reaches us.")
    return suite.asana.webhooks(suite.settings.receiver.url)
