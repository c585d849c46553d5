"""What a text of somebody else's has to lose before a database takes it."""


def storable(text: str) -> str:
    """A text with half surrogate pairs written out, as JSON writes them, and without NUL.

    No database and no log takes the former, and PostgreSQL not the latter.
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\ufffd")
