"""`mlc init`: asks for what is needed and writes a commented mlc.yaml."""

import sys
from pathlib import Path

import typer

from mlc_dagster.cli.init_answers import Answers
from mlc_dagster.cli.init_file import text
from mlc_dagster.cli.init_questions import ask_all
from mlc_dagster.cli.schema import schema_text
from mlc_dagster.settings import Settings, config_file, load_settings
from mlc_dagster.yamlfile import YamlFile

SCHEMA = "mlc.schema.json"


class NothingWritten(Exception):
    """There is no configuration now that was not there before; the text says why."""


def write_configuration(file: Path, given: Path | None) -> None:
    """Write the configuration and, for editors, its schema beside it; tell what comes next.

    `given`: a file of answers, shaped like mlc.yaml. Without it a person is asked.

    Raises:
        NothingWritten: the file is there already, answers are missing, or nobody answers.
        ProblemsFound: the whole does not hold together; it is kept as a draft to be corrected.
    """
    _make_room(file, ask=given is None)
    try:
        answers = Answers(dict(YamlFile(given).data) if given else {}, person=given is None)
        ask_all(answers)
    except typer.Abort:
        how = "Where nobody can be asked, `--answers FILE` gives the answers: a file shaped like mlc.yaml."
        raise NothingWritten(
            "Nothing was written." if sys.stdin.isatty() else f"Nothing was written. {how}"
        ) from None
    if answers.missing:
        lacking = "\n".join(f"  {each}" for each in answers.missing)
        raise NothingWritten(f"Nothing was written: {given} lacks\n{lacking}")
    draft = file.with_suffix(".draft.yaml")
    draft.write_text(text(answers.data, SCHEMA), "utf-8")
    settings = load_settings(draft)
    draft.replace(file)
    file.with_name(SCHEMA).write_text(schema_text(), "utf-8")
    typer.echo(
        f"\n{file} is written, and {SCHEMA} beside it for your editor.\n\n{_next_steps(file, settings)}"
    )


def _make_room(file: Path, *, ask: bool) -> None:
    if not file.exists():
        return
    if not ask:
        raise NothingWritten(f"Nothing was written: there is a {file} already. Name another file.")
    try:
        sure = typer.confirm(f"There is a {file} already. Write over it?")
    except typer.Abort:
        sure = False
    if not sure:
        raise NothingWritten(f"Nothing was written. To keep {file}, name another: `mlc init FILE`.")


def _next_steps(file: Path, settings: Settings) -> str:
    steps = [] if config_file().resolve() == file.resolve() else [f"export MLC_CONFIG={file.resolve()}"]
    steps += [f"mlc credentials set {name}{_from_file(name)}" for name in settings.credentials()]
    for pair, section in settings.pairs.on().items():
        if getattr(getattr(section, "auth", None), "method", "").startswith("oauth"):
            steps.append(f"mlc {pair} login")
    # What a set-up makes, the check would miss.
    steps += [f"mlc {pair} setup" for pair in ("asana", "powerbi", "tableau") if pair in settings.pairs.on()]
    steps.append("mlc check")
    told = "\n".join(f"  {step}" for step in steps)
    return (
        f"Next, one by one:\n{told}\n"
        "Then load once and look at `mlc plan` before you switch a schedule on: docs/connect-a-company.md."
    )


def _from_file(name: str) -> str:
    """How a value of several lines is given: a terminal takes one."""
    return next(
        (f" - < {end[1:]}.pem" for end in ("_certificate", "_private_key") if name.lower().endswith(end)), ""
    )
