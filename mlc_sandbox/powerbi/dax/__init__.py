"""A subset of DAX, really evaluated: lexer, parser, compiler and filter contexts over column stores."""

from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.model import Measure, Model, Relation, Table
from mlc_sandbox.powerbi.dax.query import Result, run

__all__ = ["DaxError", "Measure", "Model", "Relation", "Result", "Table", "run"]
