"""`mlc init` writes a configuration that works; `mlc schema` describes it to editors."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox

SCHEMA = REPOSITORY / "docs" / "schema" / "mlc.schema.json"
WORKSPACE, MODEL = "8a81b01168d4f7f50169a1b2c3d4e5f6", "5C6E7F8091A2B3C4D5E6F708192A3B4C"
COMPANY = ["2026-11-01", "", "NO01", "Nordlys Handel AS", "6b1c", "1100", ""]
# Each pair's answers in the order of its questions; an empty one takes what is proposed.
ANAPLAN = ["y", "", "", "", WORKSPACE, MODEL, ""]
ASANA = ["y", "", "", "", "1210", "12345", ""]
CLEO = ["y", "", "", "", "https://acme.example.com", "", "MLCNO01"]
CLEO += ["nordlys", "", "NORDLYS", "Nordlys AB", "2026-12-01", "", ""]
POWERBI = ["y", "", "", "fd466017", "c5ea3531-0c9b-5402-b354-f8ac31abd6ac", ""]
TABLEAU = ["y", "", "", "https://10ax.online.tableau.com", "", "", "", "2027-05-01", ""]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as running:
        yield running


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLC_CONFIG", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments: str, answers: list[str] | None = None) -> str:
    """What was printed; the error it ended with is raised."""
    typed = "".join(f"{answer}\n" for answer in answers or [])
    done = CliRunner().invoke(app, ["init", *arguments], input=typed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def answered(folder: Path, **answers: Any) -> str:
    file = folder / "answers.yaml"
    file.write_text(yaml.safe_dump(answers))
    return str(file)


def test_a_person_is_asked_for_what_every_pair_must_have() -> None:
    init(answers=[*COMPANY, *ANAPLAN, *ASANA, *CLEO, *POWERBI, *TABLEAU])
    settings = load_settings(Path("mlc.yaml"))
    assert list(settings.companies) == ["NO01"]
    assert set(settings.pairs.on()) == {"anaplan", "asana", "cleo", "powerbi", "tableau"}
    assert settings.pairs.asana
    assert settings.pairs.asana.names() == ["purchase_orders"]
    assert settings.pairs.cleo
    assert settings.pairs.cleo.partners["nordlys"].id == "NORDLYS"
    assert settings.pairs.tableau
    assert settings.pairs.tableau.auth.model_dump()["ends"] == date(2027, 5, 1)


def test_credentials_are_named_and_never_asked_for_and_the_last_words_say_how_to_keep_them() -> None:
    said = init(answers=[*COMPANY, *ANAPLAN, "n", "n", "n", "n"])
    names = ["VISMA_CLIENT_ID", "VISMA_CLIENT_SECRET", "ANAPLAN_CERTIFICATE", "ANAPLAN_PRIVATE_KEY"]
    assert list(load_settings(Path("mlc.yaml")).credentials()) == names
    assert [line.split()[3] for line in said.splitlines() if "credentials set" in line] == names
    assert "credentials set ANAPLAN_PRIVATE_KEY - < private_key.pem" in said
    assert said.index("credentials set") < said.index("mlc check") < said.index("mlc plan")


def test_what_comes_next_includes_the_login_and_the_setup_of_the_pairs() -> None:
    oauth = ["y", "", "", "oauth", "https://mlc.example.com/back", "1210", "12345", ""]
    said = init("conf.yaml", answers=[*COMPANY, "n", *oauth, "n", "n", "n"])
    steps = ["export MLC_CONFIG=", "mlc asana login", "mlc asana setup", "mlc check"]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


def test_an_answer_that_cannot_be_right_is_asked_for_again() -> None:
    said = init(answers=[*COMPANY, *ANAPLAN[:4], "my workspace", *ANAPLAN[4:], "n", "n", "n", "n"])
    assert "'my workspace' cannot be taken: it has to be 32 characters of 0-9 and a-f" in said
    assert yaml.safe_load(Path("mlc.yaml").read_text())["pairs"]["anaplan"]["workspace_id"] == WORKSPACE


def test_the_file_says_what_its_parts_are_for() -> None:
    init(answers=[*COMPANY, *ANAPLAN, "n", "n", "n", "n"])
    text = Path("mlc.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=mlc.schema.json\n")
    assert "# the first day of the partition axis" in text
    assert "# imports by name" in text


def test_a_file_that_is_there_is_written_over_only_by_a_yes() -> None:
    Path("mlc.yaml").write_text("mine")
    with pytest.raises(Exception, match="Nothing was written"):
        init(answers=["n"])
    assert Path("mlc.yaml").read_text() == "mine"
    init(answers=["y", *COMPANY, *ANAPLAN, "n", "n", "n", "n"])
    assert load_settings(Path("mlc.yaml")).companies


def test_a_file_that_is_there_is_never_written_over_where_nobody_is_asked(tmp_path: Path) -> None:
    Path("mlc.yaml").write_text("mine")
    with pytest.raises(Exception, match="already"):
        init("--answers", answered(tmp_path))
    assert Path("mlc.yaml").read_text() == "mine"


def test_without_anybody_to_answer_it_says_how_to_give_the_answers() -> None:
    with pytest.raises(Exception, match="--answers FILE"):
        init()
    assert not Path("mlc.yaml").exists()


def test_answers_that_lack_something_are_told_all_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    given = answered(tmp_path, companies={"NO01": {"name": "Nordlys"}}, pairs={"anaplan": {}, "cleo": {}})
    with pytest.raises(Exception, match="lacks") as told:
        init("--answers", given)
    lacking = {line.split(":")[0].strip() for line in str(told.value).splitlines()[1:]}
    assert lacking == {
        *("companies.NO01.tenant_id", "companies.NO01.company_id"),
        *("pairs.anaplan.workspace_id", "pairs.anaplan.model_id"),
        *("pairs.cleo.rest.base_url", "pairs.cleo.identities.NO01.id", "pairs.cleo.partners"),
    }
    assert not Path("mlc.yaml").exists()


def test_answers_that_contradict_each_other_are_kept_as_a_draft_with_the_line(tmp_path: Path) -> None:
    twice = {"data_import": "The same"}
    pair = {"workspace_id": WORKSPACE, "model_id": MODEL, "destinations": {"a": twice, "b": twice}}
    company = {"name": "Nordlys", "tenant_id": "6b1c", "company_id": "1100"}
    given = answered(tmp_path, companies={"NO01": company}, pairs={"anaplan": pair})
    with pytest.raises(ProblemsFound, match=r"mlc\.draft\.yaml:\d+: .*named more than once"):
        init("--answers", given)
    assert not Path("mlc.yaml").exists()


def test_what_it_writes_from_a_file_of_answers_is_found_good_by_the_check(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, credentials = write_config(tmp_path / "sandbox", sandbox.url, sandbox.vendors.values())
    ready = yaml.safe_load(file.read_text())
    anaplan, cleo = ready["pairs"]["anaplan"], ready["pairs"]["cleo"]
    places = ("api_url", "auth_url", "workspace_id", "model_id")
    ours = {
        "anaplan": {name: anaplan[name] for name in places} | {"auth": {"method": "basic"}},
        "cleo": {name: cleo[name] for name in ("rest", "identities", "partners")},
    }
    top = {name: ready[name] for name in ("start_day", "companies")}
    visma = {name: ready["visma"][name] for name in ("base_url", "token_url")}
    init("--answers", answered(tmp_path, **top, visma=visma, pairs=ours))
    for line in credentials.read_text().splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 0, done.output
    # Every import has the name that the guide for model builders gives it.
    assert done.output.count("anaplan/") == 10


# The schema


def faults(document: Any) -> list[str]:
    """Where the schema finds mistakes."""
    checker = Draft7Validator(json.loads(SCHEMA.read_text()), format_checker=Draft7Validator.FORMAT_CHECKER)
    found = checker.iter_errors(json.loads(json.dumps(document, default=str)))
    return [".".join(map(str, fault.absolute_path)) for fault in found]


def test_the_schema_in_the_repository_is_the_one_of_the_settings() -> None:
    printed = CliRunner().invoke(app, ["schema"]).output
    assert printed == SCHEMA.read_text(), "run `mlc schema > docs/schema/mlc.schema.json`"
    assert len(printed) < 200_000
    assert "vendors/" not in printed, "it names no file that who writes mlc.yaml does not have"
    Draft7Validator.check_schema(json.loads(printed))


def test_editors_find_nothing_wrong_with_our_own_files(sandbox: Sandbox, tmp_path: Path) -> None:
    written, _ = write_config(tmp_path, sandbox.url, sandbox.vendors.values())
    init("ours.yaml", answers=[*COMPANY, *ANAPLAN, *ASANA, *CLEO, *POWERBI, *TABLEAU])
    files = [str(REPOSITORY / "mlc.yaml"), str(written), "ours.yaml"]
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("pairs", "anaplan", "schedul"), "0 6 * * *"),
        (("pairs", "anaplan", "poll_seconds"), 1),
        (("pairs", "anaplan", "model_id"), "lower case"),
        (("pairs", "asana", "auth", "method"), "password"),
        (("pairs", "asana", "destinations", "purchase_orders", "lines"), "tables"),
        (("pairs", "cleo", "partners", "nordedi", "documents_from"), "soon"),
        (("pairs", "sap"), {}),
        (("visma", "client_secret"), "in clear"),
        (("visma", "base_url"), "http://api.example.com"),
        (("companies", "NO 01"), {"name": "x", "tenant_id": "x", "company_id": "1"}),
        (("retention", "events_days"), 3),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_the_schema_catches_a_mistake(place: tuple[str, ...], value: Any) -> None:
    document = section = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text())
    assert faults(document) == []
    for part in place[:-1]:
        section = section.setdefault(part, {})
    section[place[-1]] = value
    [fault] = faults(document)
    assert ".".join(place).startswith(fault)


def test_what_comes_from_the_environment_is_no_mistake() -> None:
    document = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text())
    document["pairs"]["anaplan"] |= {"model_id": "${MODEL}", "poll_seconds": "${SECONDS}"}
    assert faults(document) == []


def test_editors_show_what_the_settings_say_of_a_field() -> None:
    partner = json.loads(SCHEMA.read_text())["definitions"]["Partner"]["properties"]
    assert "first date whose documents go" in partner["documents_from"]["description"]
