"""What goes wrong with mappings: in the files people edit, and while a model runs."""

from mlc_dagster.problems import Problem, ProblemsFound


class MappingErrors(ProblemsFound):
    """The mapping files have mistakes; all of them are listed, each with file, line and remedy."""


class MappingFailed(ProblemsFound):
    """A model compiled, but could not run over the records of the lake."""

    def __init__(self, problem: Problem) -> None:
        super().__init__([problem])
