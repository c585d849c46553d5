"""Characters a partner can read. The ISA says nothing about encoding: it is agreed (vendor sheet x12.md,
section 2).
"""

import string
import unicodedata
from typing import Literal

Charset = Literal["basic", "latin1", "utf8"]

_BASIC = frozenset(string.ascii_uppercase + string.digits + "!\"&'()*+,-./:;?= ")
# The sheet's own table, and the Icelandic letters and signs of typography that do not decompose.
_LETTERS = str.maketrans(
    {
        "å": "aa",
        "Å": "AA",
        "ä": "ae",
        "Ä": "AE",
        "æ": "ae",
        "Æ": "AE",
        "ö": "oe",
        "Ö": "OE",
        "ø": "oe",
        "Ø": "OE",
        "ü": "u",
        "Ü": "U",
        "ß": "ss",
        "þ": "th",
        "Þ": "TH",
        "ð": "d",
        "Ð": "D",
        "ł": "l",
        "Ł": "L",
        "–": "-",
        "—": "-",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
    }
)
_CODECS: dict[Charset, str] = {"basic": "ascii", "latin1": "latin-1", "utf8": "utf-8"}


def encode(text: str, charset: Charset) -> bytes:
    """The bytes of a whole interchange.

    Raises:
        UnicodeEncodeError: a character the charset lacks; `transliterate` leaves none.
    """
    return text.encode(_CODECS[charset])


def decode(content: bytes, charset: Charset | None = None) -> str:
    """Bytes in a charset that is agreed, else UTF-8, with or without a byte order mark, else Latin-1.

    Latin-1 reads anything, so this always succeeds.
    """
    try:
        if charset == "latin1":
            return content.decode("latin-1")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def transliterate(text: str, charset: Charset) -> str:
    """A text in the letters of a charset; `?` where there is none. It may grow, so cut it afterwards."""
    composed = unicodedata.normalize("NFC", text)
    if charset == "utf8":
        return composed
    if charset == "latin1":
        return "".join(letter if ord(letter) < 256 else _latin(letter) for letter in composed)
    return "".join(letter if letter in _BASIC else "?" for letter in _plain(composed).upper())


def _latin(letter: str) -> str:
    plain = _plain(letter)
    return "".join(part if ord(part) < 256 else "?" for part in plain)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def fit(text: str, charset: Charset, delimiters: str) -> str:
    """A text as a partner can read it: cleaned, and in the letters of the charset."""
    return clean(transliterate(clean(text, delimiters), charset), delimiters)


def clean(text: str, delimiters: str) -> str:
    """A text without delimiters, line breaks and control characters, in single blanks, trimmed."""
    kept = (
        " " if letter in delimiters or unicodedata.category(letter) in _CONTROL else letter for letter in text
    )
    return " ".join("".join(kept).split())


_CONTROL = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
