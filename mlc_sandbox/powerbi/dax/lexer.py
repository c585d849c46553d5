"""DAX text to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlc_sandbox.powerbi.dax.errors import DaxError, Position


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is number, text, table (quoted), column (bracketed), name, sign or end; `text` is unquoted."""

    kind: str
    text: str
    at: Position

    def word(self) -> str:
        """The text of a name as keywords and functions are compared: upper case; empty for other kinds."""
        return self.text.upper() if self.kind == "name" else ""


_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | "(?P<text>(?:[^"]|"")*)"
      | '(?P<table>(?:[^']|'')+)'
      | \[(?P<column>(?:[^\]]|\]\])+)\]
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>&&|\|\||<>|<=|>=|==|[-+*/^&=<>(){},])""",
    re.VERBOSE | re.DOTALL,
)
_QUOTES = {"text": '"', "table": "'", "column": "]"}


def tokens(text: str, measure: str | None = None) -> Iterator[Token]:
    """All tokens and one of kind `end`.

    Raises:
        DaxError: a character that starts no token.
    """
    place, line, line_start = 0, 1, 0
    while place < len(text):
        at = Position(line, place - line_start + 1, measure)
        found = _TOKEN.match(text, place)
        if found is None:
            raise DaxError(f"The syntax for '{text[place]}' is incorrect.", at)
        kind = str(found.lastgroup)
        if kind != "blank":
            quote = _QUOTES.get(kind)
            content = found.group(kind)
            yield Token(kind, content.replace(quote * 2, quote) if quote else content, at)
        breaks = found.group().count("\n")
        if breaks:
            line, line_start = line + breaks, place + found.group().rindex("\n") + 1
        place = found.end()
    yield Token("end", "", Position(line, place - line_start + 1, measure))
