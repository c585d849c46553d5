"""The Jinja part of a model: which relations it uses, on which line, and the SQL it renders to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from mlc_dagster.problems import Problem

FUNCTIONS = ("changed", "latest", "lookup", "var")
ENVIRONMENT = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
)
Value = str | int | bool | Decimal | None


class TemplateProblem(Exception):
    """The template does not parse or render; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Use:
    """One call of changed(), latest(), lookup() or var() in a template."""

    function: str
    name: str
    line: int


@dataclass(frozen=True)
class Template:
    """SQL with Jinja. `first_line` is where the text starts in its file."""

    text: str
    file: str
    first_line: int = 1

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every call of our functions, in order.

        Raises:
            TemplateProblem: the template does not parse, or a call does not name one thing in quotes.
        """
        try:
            tree = ENVIRONMENT.parse(self.text)
        except jinja2.TemplateSyntaxError as error:
            message = f"Jinja: {str(error.message or 'syntax error').rstrip('.')}."
            raise TemplateProblem(
                self.problem(error.lineno, message, "Check the braces and quotes.")
            ) from None
        calls = [call for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)]
        return tuple(self._use(call) for call in calls if getattr(call.node, "name", "") in FUNCTIONS)

    @property
    def broken(self) -> Problem | None:
        """Why the template cannot be used at all, if so."""
        try:
            _ = self.uses
        except TemplateProblem as error:
            return error.problem
        return None

    def names(self, function: str) -> tuple[str, ...]:
        """The distinct names a function is called with, in order."""
        return tuple(dict.fromkeys(use.name for use in self.uses if use.function == function))

    def problem(self, line: int, message: str, remedy: str = "") -> Problem:
        """A problem on a line of the template's text."""
        return Problem(self.file, line + self.first_line - 1, message, remedy)

    def render(
        self,
        company: str,
        variables: Mapping[str, Value],
        *,
        changed: Callable[[str], str] = lambda entity: f"changed_{entity}",
        rows: str | None = None,
    ) -> str:
        """The SQL. Relations become names such as changed_suppliers; company and variables become literals.

        Raises:
            TemplateProblem: it names something unknown.
        """
        names: dict[str, Any] = {
            "changed": changed,
            "latest": lambda entity: f"latest_{entity}",
            "lookup": lambda name: f"lookup_{name}",
            "var": lambda name: literal(variables[name]),
            "company": literal(company),
        }
        if rows is not None:
            names["rows"] = rows
        try:
            return ENVIRONMENT.from_string(self.text).render(names).rstrip().rstrip(";")
        except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError) as error:
            message = f"Jinja: {str(error).rstrip('.')}."
            remedy = f"Known: {', '.join(sorted(names))}."
            raise TemplateProblem(self.problem(_line_of(error), message, remedy)) from None

    def _use(self, call: nodes.Call) -> Use:
        function = getattr(call.node, "name", "")
        arguments = call.args
        if (
            len(arguments) != 1
            or not isinstance(arguments[0], nodes.Const)
            or not isinstance(arguments[0].value, str)
        ):
            remedy = f"Write {{{{ {function}('name') }}}}."
            raise TemplateProblem(
                self.problem(call.lineno, f"{function}() takes one name in quotes.", remedy)
            )
        return Use(function, arguments[0].value, call.lineno)


def literal(value: Value) -> str:
    """The value as an SQL literal, quotes included."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


def _line_of(error: BaseException) -> int:
    line, frame = 1, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return line
