"""What each destination holds, read through its own API by code that shares nothing with the product.

A reader answers {key: facts}: the key as the contracts write it (company, type and number), the facts as
Decimals and texts. A key that is there twice is told, not merged.
"""

import base64
import csv
import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from tableauhyperapi import Connection, HyperProcess, Telemetry

from tests.prove.world import World

CALL_SECONDS = 60
# Money as it is compared: the contracts have four decimals.
EXACT = Decimal("0.0001")
Facts = dict[str, Any]
Held = dict[str, Facts]


class Twice(Exception):
    """A destination holds a key more than once."""


def money(value: Any) -> Decimal:
    """An amount; nothing is zero."""
    return Decimal(str(value or 0)).quantize(EXACT)


def by_key(rows: Iterable[tuple[str, Facts]]) -> Held:
    """Rows by key. Raises Twice."""
    found = list(rows)
    counts = Counter(key for key, _ in found)
    if twice := sorted(key for key, count in counts.items() if count > 1):
        raise Twice(f"there more than once: {', '.join(twice)}")
    return dict(found)


def _get(url: str, headers: Mapping[str, str], **options: Any) -> requests.Response:
    answer = requests.get(url, headers=dict(headers), timeout=CALL_SECONDS, **options)
    answer.raise_for_status()
    return answer


class Anaplan:
    """Saved views, by a user of the model."""

    def __init__(self, world: World) -> None:
        settings = world.settings["pairs"]["anaplan"]
        user, password = (world.environment[name] for name in ("ANAPLAN_USER", "ANAPLAN_PASSWORD"))
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        answer = requests.post(
            f"{settings['auth_url']}/token/authenticate",
            headers={"Authorization": f"Basic {basic}"},
            timeout=CALL_SECONDS,
        )
        token = answer.json()["tokenInfo"]["tokenValue"]
        self._headers = {"Authorization": f"AnaplanAuthToken {token}", "Accept": "application/json"}
        self._model = f"{settings['api_url']}/models/{settings['model_id']}"
        views = _get(f"{self._model}/views", self._headers).json()["views"]
        self._views = {view["name"]: view["id"] for view in views}

    def rows(self, view: str) -> list[dict[str, str]]:
        """The rows of a saved view over all its dimensions: their items and the line items, by name."""
        asked = f"{self._model}/views/{self._views[view]}/readRequests"
        body = {"exportType": "TABULAR_MULTI_COLUMN"}
        answer = requests.post(asked, json=body, headers=self._headers, timeout=CALL_SECONDS)
        answer.raise_for_status()
        state = answer.json()["viewReadRequest"]
        place = f"{asked}/{state['requestId']}"
        while state["requestState"] != "COMPLETE":
            state = _get(place, self._headers).json()["viewReadRequest"]
        as_text = {**self._headers, "Accept": "text/csv"}
        return [
            row
            for number in range(state["availablePages"])
            for row in csv.DictReader(io.StringIO(_get(f"{place}/pages/{number}", as_text).text))
        ]


class Asana:
    """Tasks of a project with their custom fields."""

    def __init__(self, world: World) -> None:
        self._settings = world.settings["pairs"]["asana"]
        self._headers = {"Authorization": f"Bearer {world.environment['ASANA_TOKEN']}"}

    def tasks(self, destination: str) -> list[dict[str, Any]]:
        """All tasks of a destination's project that are nobody's subtask."""
        project = self._settings["destinations"][destination]["project"]
        fields = "name,completed,parent,custom_fields.name,custom_fields.display_value,custom_fields.type"
        url = f"{self._settings['api_url']}/projects/{project}/tasks?limit=100&opt_fields={fields}"
        found, offset = [], ""
        while True:
            answer = _get(url + offset, self._headers).json()
            found += [task for task in answer["data"] if not task.get("parent")]
            if not answer.get("next_page"):
                return found
            offset = f"&offset={answer['next_page']['offset']}"


class PowerBi:
    """Tables by DAX queries, and the rows of them that count."""

    DIMENSIONS = ("Accounts", "Customers", "Employees", "Segment values", "Suppliers")

    def __init__(self, world: World) -> None:
        settings = world.settings["pairs"]["powerbi"]
        form = {
            "grant_type": "client_credentials",
            "client_id": world.environment["POWERBI_CLIENT_ID"],
            "client_secret": world.environment["POWERBI_CLIENT_SECRET"],
            "scope": "https://analysis.windows.net/powerbi/api/.default",
        }
        answer = requests.post(
            f"{settings['login_url']}/{settings['tenant_id']}/oauth2/v2.0/token",
            data=form,
            timeout=CALL_SECONDS,
        )
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        group = f"{settings['api_url']}/groups/{settings['workspace_id']}/datasets"
        datasets = _get(group, self._headers).json()["value"]
        ours = next(each["id"] for each in datasets if each["addRowsAPIEnabled"])
        self._queries = f"{group}/{ours}/executeQueries"

    def table(self, name: str) -> list[dict[str, Any]]:
        """Every row that a physical table shows, by the name of the column."""
        body = {
            "queries": [{"query": f"EVALUATE '{name}'"}],
            "serializerSettings": {"includeNulls": True},
        }
        answer = requests.post(self._queries, json=body, headers=self._headers, timeout=CALL_SECONDS)
        answer.raise_for_status()
        rows = json_exact(answer.text)["results"][0]["tables"][0]["rows"]
        return [{name.partition("[")[2].rstrip("]"): value for name, value in row.items()} for row in rows]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows that count, of a dimension or a fact."""
        return self.table(name) if name in self.DIMENSIONS else self.fact(name)

    def fact(self, name: str) -> list[dict[str, Any]]:
        """The rows of a fact that count: in the slot of its newest control row, of each key the newest."""
        control = [row for row in self.table("Measures") if row["entity"] == name]
        newest = max(control, key=lambda row: row["seq"], default=None)
        if newest is None:
            return []
        counting: dict[str, dict[str, Any]] = {}
        for row in self.table(f"{name} {newest['slot']}"):
            key = row["Code"] if "Code" in row else row["code"]
            if row["_version"] >= newest["floor"] and (
                key not in counting or row["_version"] > counting[key]["_version"]
            ):
                counting[key] = row
        return [row for row in counting.values() if not row["_deleted"]]


class Tableau:
    """Published data sources: downloaded, and read with the Hyper API."""

    def __init__(self, world: World) -> None:
        settings = world.settings["pairs"]["tableau"]
        self._root = f"{settings['server_url']}/api/3.24"
        names = ("TABLEAU_PAT_NAME", "TABLEAU_PAT_SECRET")
        name, secret = (world.environment[each] for each in names)
        credentials = {"personalAccessTokenName": name, "personalAccessTokenSecret": secret}
        body = {"credentials": {**credentials, "site": {"contentUrl": settings["site"]}}}
        headers = {"Accept": "application/json"}
        answer = requests.post(
            f"{self._root}/auth/signin", json=body, headers=headers, timeout=CALL_SECONDS
        ).json()["credentials"]
        self._site = f"{self._root}/sites/{answer['site']['id']}"
        self._headers = {**headers, "X-Tableau-Auth": answer["token"]}
        found = _get(f"{self._site}/datasources?pageSize=1000", self._headers).json()
        self._ids = {each["name"]: each["id"] for each in found["datasources"].get("datasource", [])}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of a data source, by the name of the column."""
        if name not in self._ids:
            return []
        content = _get(f"{self._site}/datasources/{self._ids[name]}/content", self._headers).content
        with tempfile.TemporaryDirectory(prefix="mlc-prove-") as folder:
            path = Path(folder) / "extract.hyper"
            path.write_bytes(_hyper_in(content))
            settings = {"log_config": ""}
            with (
                HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=settings) as process,
                Connection(process.endpoint, path) as connection,
                connection.execute_query('SELECT * FROM "Extract"."Extract"') as result,
            ):
                columns = [column.name.unescaped for column in result.schema.columns]
                return [dict(zip(columns, row, strict=True)) for row in result]


def json_exact(text: str) -> Any:
    """JSON with numbers as Decimals."""
    return json.loads(text, parse_float=Decimal)


def _hyper_in(content: bytes) -> bytes:
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(next(name for name in package.namelist() if name.endswith(".hyper")))
