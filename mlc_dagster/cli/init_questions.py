"""What `mlc init` asks for: what the settings must have, section by section, in the words of who knows it."""

from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel

from mlc_dagster.cli.init_answers import Answers, field, listed
from mlc_dagster.settings import REPOSITORY, TITLES, CompanySettings, Secret, VismaSettings
from mlc_dagster.settings.anaplan import AnaplanOAuthCode, AnaplanSettings
from mlc_dagster.settings.asana import AsanaDestination, AsanaOAuth, AsanaSettings
from mlc_dagster.settings.cleo import CleoSettings, Identity, Partner, PartnerName, Rest, Sftp
from mlc_dagster.settings.powerbi import PowerBiSettings
from mlc_dagster.settings.section import CompanyCode, Cron, PairSettings, TimeZone
from mlc_dagster.settings.tableau import AccessToken, ConnectedApp, TableauSettings
from mlc_dagster.settings.whole import Settings

# The names that the guides use, where the field's own would say less.
NAMES = {"token_name": "PAT_NAME", "token_secret": "PAT_SECRET"}  # pragma: allowlist secret
# The column that names a list's items, where it is not their code (docs/anaplan.md).
ITEM_NAMES = {
    "suppliers": "name",
    **dict.fromkeys(("gl_accounts", "dimensions", "segment_values", "cost_centres"), "description"),
}


def ask_all(answers: Answers) -> None:
    """Ask for everything that mlc.yaml must have."""
    answers.need(
        field(Settings, "start_day"), "First day of the axis", "start_day", default=f"{_today():%Y-%m-01}"
    )
    answers.need(TimeZone, "Time zone of the ERP", "timezone", default="Europe/Oslo")
    _credentials(answers, VismaSettings, "visma")
    for code in answers.each(CompanyCode, "Code of a company, such as NO01", "companies"):
        place = ("companies", code)
        answers.need(field(CompanySettings, "name"), f"{code}: its name", *place, "name")
        answers.need(
            field(CompanySettings, "tenant_id"), f"{code}: its tenant id at Visma", *place, "tenant_id"
        )
        answers.need(
            field(CompanySettings, "company_id"), f"{code}: its company id in the ERP", *place, "company_id"
        )
    for pair, ask in PAIRS.items():
        if answers.confirmed(f"Deliver to {TITLES[pair]}?", "pairs", pair):
            answers.need(Cron, "When, as a cron line", "pairs", pair, "schedule", default="0 6 * * *")
            zone = answers.get("timezone")
            answers.need(TimeZone, "In which time zone", "pairs", pair, "timezone", default=zone)
            ask(answers, "pairs", pair)


def _anaplan(answers: Answers, *place: str) -> None:
    kind = _login(answers, AnaplanSettings, "certificate", *place)
    if kind is AnaplanOAuthCode:
        answers.need(field(kind, "redirect_uri"), "Redirect URI of the app", *place, "auth", "redirect_uri")
    workspace, model = field(AnaplanSettings, "workspace_id"), field(AnaplanSettings, "model_id")
    answers.need(workspace, "Id of the workspace, 32 of 0-9 and a-f", *place, "workspace_id")
    answers.need(model, "Id of the model, 32 of 0-9 and A-F", *place, "model_id")
    # Journal lines are many; who wants them says so.
    _models(answers, *place, but=("journal_lines",), each=_imports)


def _imports(model: str) -> dict[str, Any]:
    """The imports of a feed by the names that docs/anaplan.md gives them."""
    words = " ".join("GL" if word == "gl" else word.capitalize() for word in model.split("_"))
    if model == "gl_actuals":
        return {"data_import": f"{words} data", "parameters": {"Version": "Actual"}}
    found = {"list_import": f"{words} list", "data_import": f"{words} data"}
    return found | ({"item_name": ITEM_NAMES[model]} if model in ITEM_NAMES else {})


def _asana(answers: Answers, *place: str) -> None:
    kind = _login(answers, AsanaSettings, "pat", *place)
    if kind is AsanaOAuth:
        answers.need(field(kind, "redirect_uri"), "Redirect URI of the app", *place, "auth", "redirect_uri")
    answers.need(field(AsanaSettings, "workspace"), "Id of the workspace", *place, "workspace")
    if not answers.person and not answers.get(*place, "destinations"):
        answers.missing.append(".".join((*place, "destinations: a model and the project of its tasks")))
    for model in ("purchase_orders", "supplier_invoices"):
        question = f"Project for {model.replace('_', ' ')}, the number in its address; Enter for none"
        project = field(AsanaDestination, "project")
        answers.optional(project, question, *place, "destinations", model, "project")


def _cleo(answers: Answers, *place: str) -> None:
    way = Literal["rest", "sftp"]
    known = next((name for name in get_args(way) if answers.get(*place, name)), None)
    if (known or answers.asked(way, "The mailbox, by rest or sftp", default="rest")) == "rest":
        base = field(Rest, "base_url")
        answers.need(base, "Address of Cleo, such as https://TENANT.example.com", *place, "rest", "base_url")
    else:
        answers.need(field(Sftp, "host"), "Host of the SFTP server", *place, "sftp", "host")
        key = "Its public key as `ssh-keyscan HOST` prints it, without the host"
        answers.need(field(Sftp, "host_key"), key, *place, "sftp", "host_key")
    _credentials(answers, CleoSettings, *place)
    for code in answers.get("companies") or ():
        _identity(answers, code, *place, "identities", code)
    for partner in answers.each(PartnerName, "Partner, a short name such as nordlys", *place, "partners"):
        own = (*place, "partners", partner)
        _identity(answers, partner, *own)
        answers.need(field(Partner, "name"), f"{partner}: its name", *own, "name")
        since = f"{partner}: the first document date that is sent"
        answers.need(field(Partner, "documents_from"), since, *own, "documents_from", default=f"{_today()}")
    # Supplier master data needs to be agreed upon first: docs/cleo.md, section 7.
    _models(answers, *place, but=("suppliers",))


def _identity(answers: Answers, name: str, *place: str) -> None:
    answers.need(
        field(Identity, "qualifier"), f"{name}: its qualifier on envelopes", *place, "qualifier", default="ZZ"
    )
    answers.need(field(Identity, "id"), f"{name}: its id on envelopes", *place, "id")


def _powerbi(answers: Answers, *place: str) -> None:
    answers.need(
        field(PowerBiSettings, "tenant_id"), "Id of the tenant in Microsoft Entra", *place, "tenant_id"
    )
    _credentials(answers, PowerBiSettings, *place)
    answers.need(field(PowerBiSettings, "workspace_id"), "Id of the workspace", *place, "workspace_id")
    _models(answers, *place)


def _tableau(answers: Answers, *place: str) -> None:
    server = "Address of Tableau, on Cloud with its pod, such as https://10ax.online.tableau.com"
    answers.need(field(TableauSettings, "server_url"), server, *place, "server_url")
    site = "Site, as its address has it; Enter for the default site of a Server"
    answers.optional(field(TableauSettings, "site"), site, *place, "site")
    answers.need(field(TableauSettings, "project"), "Project", *place, "project", default="ERP")
    kind = _login(answers, TableauSettings, "pat", *place)
    if kind is ConnectedApp:
        answers.need(field(kind, "username"), "Whom the app acts for", *place, "auth", "username")
    if kind is AccessToken:
        last = "The token's last day, such as 2027-05-01; Enter, and nobody is warned of it"
        answers.optional(field(kind, "ends"), last, *place, "auth", "ends")
    _models(answers, *place, each=None)


PAIRS = {"anaplan": _anaplan, "asana": _asana, "cleo": _cleo, "powerbi": _powerbi, "tableau": _tableau}


def _login(
    answers: Answers, section: type[PairSettings], default: str, *place: str
) -> type[BaseModel] | None:
    """Ask for the way to log in and name its credentials; the section of that way."""
    ways: dict[str, type[BaseModel]] = {
        get_args(way.model_fields["method"].annotation)[0]: way
        for way in get_args(section.model_fields["auth"].annotation)
    }
    question = f"Way to log in ({', '.join(ways)})"
    method = answers.need(
        Literal[tuple(ways)],
        question,
        *place,
        "auth",
        "method",
        default=default,
    )
    if method not in ways:
        return None  # the check of the whole tells it
    _credentials(answers, ways[method], *place, "auth")
    return ways[method]


def _credentials(answers: Answers, section: type[BaseModel], *place: str) -> None:
    """Name each credential of a section, such as ${ANAPLAN_USER}."""
    owner = place[-2] if place[-1] == "auth" else place[-1]
    for name, info in section.model_fields.items():
        if info.annotation is Secret:
            answers.put(f"${{{owner.upper()}_{NAMES.get(name, name.upper())}}}", *place, name)


def _models(answers: Answers, *place: str, but: tuple[str, ...] = (), each: Any = lambda _: {}) -> None:
    """Ask for the models of a pair; `each`: what a destination says, None where it is a name and no more."""
    if answers.get(*place, "destinations"):
        return
    known = sorted(file.stem for file in (REPOSITORY / "dbt_like_mappings" / place[-1]).glob("*.sql"))
    usual = ", ".join(name for name in known if name not in but) if but else "all"
    names = answers.asked(listed(known), "Models, with commas between", default=usual)
    answers.put(names if each is None else {name: each(name) for name in names}, *place, "destinations")


def _today() -> date:
    return datetime.now(UTC).date()
