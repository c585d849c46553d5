"""The SCIM-like `filter` parameter: `alias eq "x"` and `sw` are DOC, everything else is a switch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mlc_sandbox.cleo.errors import ApiError

Test = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(r'\s*(\(|\)|"(?:[^"\\]|\\.)*"|[^\s()"]+)')
_DOCUMENTED = {
    "eq": lambda held, wanted: held == wanted,
    "sw": lambda held, wanted: held.startswith(wanted),
}
_SCIM: dict[str, Callable[[str, str], bool]] = _DOCUMENTED | {
    "ne": lambda held, wanted: held != wanted,
    "co": lambda held, wanted: wanted in held,
    "ew": lambda held, wanted: held.endswith(wanted),
    "gt": lambda held, wanted: held > wanted,
    "ge": lambda held, wanted: held >= wanted,
    "lt": lambda held, wanted: held < wanted,
    "le": lambda held, wanted: held <= wanted,
}


def compile_filter(text: str, *, scim: bool) -> Test:
    """A test of one object. Raises ApiError 400 for what cannot be read, or is not known."""
    tokens = _tokens(text)
    parser = _Parser(tokens, _SCIM if scim else _DOCUMENTED, words=scim)
    test = parser.either()
    if parser.left():
        raise ApiError(400, f"The filter cannot be read at {parser.left()[0]!r}.")
    return test


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise ApiError(400, f"The filter cannot be read at {text[position:]!r}.")
        tokens.append(found[1])
        position = found.end()
    return tokens


class _Parser:
    def __init__(
        self, tokens: list[str], operators: dict[str, Callable[[str, str], bool]], *, words: bool
    ) -> None:
        self.tokens, self.operators, self.words, self.at = tokens, operators, words, 0

    def left(self) -> list[str]:
        return self.tokens[self.at :]

    def either(self) -> Test:
        tests = [self.both()]
        while self._word("or"):
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._word("and"):
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self._word("not"):
            test = self.one()
            return lambda row: not test(row)
        if self._word("("):
            test = self.either()
            if not self._word(")"):
                raise ApiError(400, "The filter lacks a closing bracket.")
            return test
        return self._comparison()

    def _word(self, word: str) -> bool:
        if self.words and self.left() and self.left()[0].lower() == word:
            self.at += 1
            return True
        return False

    def _comparison(self) -> Test:
        if len(self.left()) < 3:
            raise ApiError(400, "A filter is: attribute operator value.")
        name, operator, value = self.left()[:3]
        compare = self.operators.get(operator.lower())
        if compare is None:
            raise ApiError(400, f"The filter operator {operator!r} is not supported.")
        self.at += 3
        try:
            wanted = json.loads(value)
        except ValueError as error:
            raise ApiError(400, f"{value} is no value of a filter.") from error
        text = wanted if isinstance(wanted, str) else json.dumps(wanted)
        return lambda row: (held := _held(row, name)) is not None and compare(held, text)


def _held(row: dict[str, Any], name: str) -> str | None:
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) or value is None else json.dumps(value)
