"""The syntax tree of a query or a measure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mlc_sandbox.powerbi.dax.errors import Position


@dataclass(frozen=True, slots=True)
class Node:
    """`at` is where its text starts."""

    at: Position


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number or a text."""

    value: int | Decimal | float | str


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """`Table[name]`, or `[name]` with table None: a column or a measure."""

    table: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A table or a variable. A quoted name is always a table."""

    name: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function` is upper case."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-`, `+` or NOT."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, `&`, comparison, `&&`, `||` or IN."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class TableLiteral(Node):
    """`{ 1, 2 }` or `{ (1, "a"), (2, "b") }`."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Block(Node):
    """VAR ... RETURN ..."""

    variables: tuple[tuple[str, Node], ...]
    result: Node


@dataclass(frozen=True, slots=True)
class Query(Node):
    """EVALUATE with its ORDER BY: (expression, descending)."""

    table: Node
    order: tuple[tuple[Node, bool], ...]
