"""Tokens to a syntax tree: precedence climbing, one function per construct."""

from __future__ import annotations

from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.lexer import Token, tokens
from mlc_sandbox.powerbi.dax.nodes import (
    Binary,
    Block,
    Call,
    Literal,
    Name,
    Node,
    Query,
    Reference,
    TableLiteral,
    Unary,
)

# Weakest first. NOT stands between && and the comparisons: NOT a = b is NOT (a = b).
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"=", "==", "<>", "<", "<=", ">", ">=", "IN"}),
    frozenset({"&"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)
_COMPARISON = 2


def parse_query(text: str) -> list[Query]:
    """The EVALUATE statements of a query."""
    return Parser(text).query()


def parse_expression(text: str, measure: str | None = None) -> Node:
    """One expression: a measure's."""
    parser = Parser(text, measure)
    node = parser.expression()
    parser.expect("end", "")
    return node


class Parser:
    """Reads one text. Raises DaxError with the position of the first token that does not fit."""

    def __init__(self, text: str, measure: str | None = None) -> None:
        self._tokens = list(tokens(text, measure))
        self._place = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _is(self, *texts: str) -> bool:
        token = self._next
        return (token.kind == "sign" and token.text in texts) or (
            token.kind == "name" and token.word() in texts
        )

    def expect(self, kind: str, text: str) -> Token:
        """The next token, which must be this one."""
        token = self._take()
        if token.kind != kind or (text and token.text.upper() != text):
            shown = token.text or "end of text"
            wanted = f"; {text} was expected" if text else ""
            raise DaxError(f"The syntax for '{shown}' is incorrect{wanted}.", token.at)
        return token

    def query(self) -> list[Query]:
        """EVALUATE ... [ORDER BY ...], once or more."""
        found = [self._evaluate()]
        while self._next.kind != "end":
            found.append(self._evaluate())
        return found

    def _evaluate(self) -> Query:
        at = self.expect("name", "EVALUATE").at
        table = self.expression()
        order: list[tuple[Node, bool]] = []
        if self._is("ORDER"):
            self._take()
            self.expect("name", "BY")
            order.append(self._sort_key())
            while self._is(","):
                self._take()
                order.append(self._sort_key())
        return Query(at, table, tuple(order))

    def _sort_key(self) -> tuple[Node, bool]:
        node = self.expression()
        return node, self._take().word() == "DESC" if self._is("ASC", "DESC") else False

    def expression(self) -> Node:
        """VAR ... RETURN ..., or a plain expression."""
        if not self._is("VAR"):
            return self._binary(0)
        at = self._next.at
        variables: list[tuple[str, Node]] = []
        while self._is("VAR"):
            self._take()
            name = self.expect("name", "").text
            self.expect("sign", "=")
            variables.append((name.lower(), self.expression()))
        self.expect("name", "RETURN")
        return Block(at, tuple(variables), self.expression())

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        if level == _COMPARISON and self._is("NOT"):
            at = self._take().at
            return Unary(at, "NOT", self._binary(level))
        left = self._binary(level + 1)
        while self._is(*_LEVELS[level]):
            token = self._take()
            left = Binary(token.at, token.text.upper(), left, self._binary(level + 1))
        return left

    def _unary(self) -> Node:
        if self._is("-", "+"):
            token = self._take()
            return Unary(token.at, token.text, self._unary())
        return self._primary()

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return Literal(token.at, int(token.text) if token.text.isdigit() else float(token.text))
        if token.kind == "text":
            return Literal(token.at, token.text)
        if token.kind == "column":
            return Reference(token.at, None, token.text)
        if token.kind in ("table", "name"):
            return self._named(token)
        if token.kind == "sign" and token.text == "(":
            node = self.expression()
            self.expect("sign", ")")
            return node
        if token.kind == "sign" and token.text == "{":
            return self._table_literal(token)
        raise DaxError(f"The syntax for '{token.text or 'end of text'}' is incorrect.", token.at)

    def _named(self, token: Token) -> Node:
        if self._next.kind == "column":
            return Reference(token.at, token.text, self._take().text)
        if token.kind == "name" and self._is("("):
            self._take()
            return Call(token.at, token.text.upper(), self._until(")"))
        return Name(token.at, token.text, token.kind == "table")

    def _until(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._is(closing):
            if found:
                self.expect("sign", ",")
            found.append(self.expression())
        self._take()
        return tuple(found)

    def _table_literal(self, token: Token) -> Node:
        rows: list[tuple[Node, ...]] = []
        while not self._is("}"):
            if rows:
                self.expect("sign", ",")
            rows.append(self._row())
        self._take()
        if len({len(row) for row in rows}) > 1:
            raise DaxError("Each row of a table constructor needs as many values as the first.", token.at)
        return TableLiteral(token.at, tuple(rows))

    def _row(self) -> tuple[Node, ...]:
        start = self._place
        if self._is("("):
            self._take()
            row = self._until(")")
            if len(row) > 1 and self._is(",", "}"):
                return row
            self._place = start
        return (self.expression(),)
