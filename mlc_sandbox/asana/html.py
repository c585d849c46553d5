"""Rich text: well-formed XML inside `<body>` (vendors/asana.md section 2)."""

from __future__ import annotations

from xml.parsers import expat

from mlc_sandbox.asana.errors import bad


def plain(field: str, text: object) -> str:
    """The text without its marks. Raises ApiError 400 when it is not well formed or has no body."""
    parts: list[str] = []
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = parts.append
    parser.StartElementHandler = lambda name, _: names.append(name)
    try:
        parser.Parse(text if isinstance(text, str) else "", True)
    except expat.ExpatError:
        names.clear()
    if not names or names[0] != "body":
        raise bad(f"{field}: XML is invalid")
    return "".join(parts)
