"""DuckDB's errors as problems in the file the integrator wrote."""

import re

from mlc_dagster.mappings.contract import closest
from mlc_dagster.mappings.template import Template
from mlc_dagster.problems import Problem

LINE = re.compile(r"\nLINE (\d+):")
MISSING_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
MISSING_FIELD = re.compile(r'Could not find key "([^"]+)" in struct')
MISSING_TABLE = re.compile(r"Table with name (\S+) does not exist")
CANDIDATES = re.compile(r"Candidate (?:bindings|Entries)[: ]+(.+)")


def sql_problem(error: Exception, template: Template, sql: str) -> Problem:
    """The problem behind a DuckDB error, on the line of the template where the SQL is wrong."""
    text = str(error)
    if missing := MISSING_COLUMN.search(text) or MISSING_FIELD.search(text):
        name = missing[1]
        message = f"There is no column `{name}`."
        known = _candidates(text)
        remedy = closest(name, known) if known else "Look it up in the entity's columns."
        line = _line(text) or _line_of_word(sql, name)
    elif table := MISSING_TABLE.search(text):
        message, remedy = (
            f"There is no relation `{table[1]}`.",
            "Write {{ latest('...') }} or {{ lookup('...') }}.",
        )
        line = _line(text)
    else:
        first = text.split("\n", maxsplit=1)[0]
        message, remedy = f"{first.rstrip('.')}.", "See the SQL with `mlc mappings compile`."
        line = _line(text)
    if sql.count("\n") != template.text.rstrip().rstrip(";").count("\n"):
        remedy = f"{remedy} The line counts in the rendered SQL (`mlc mappings compile`)."
    return template.problem(line or 1, message, remedy)


def _line(text: str) -> int:
    found = LINE.findall(text)
    return int(found[-1]) if found else 0


def _line_of_word(sql: str, word: str) -> int:
    lines = sql.split("\n")
    return next(
        (number for number, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(word)}\b", line)), 1
    )


def _candidates(text: str) -> list[str]:
    found = CANDIDATES.search(text)
    names = re.findall(r'"([^"]+)"', found[1]) if found else []
    return [name.rsplit(".", maxsplit=1)[-1] for name in names]
