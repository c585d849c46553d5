"""opt_fields: `a,b.c,this.(x|y).z` as a tree of wanted fields (vendors/asana.md section 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Tree = dict[str, "Tree"]

_GROUP = re.compile(r"\(([^()]*)\)")


def parse(text: str | Iterable[str] | None) -> Tree | None:
    """The tree; None when nothing was selected, which means the standard set."""
    parts = _split(text) if isinstance(text, str) else list(text or ())
    tree: Tree = {}
    for part in parts:
        for path in _expanded(part.strip()):
            node = tree
            for name in path.removeprefix("this.").split("."):
                node = node.setdefault(name, {})
    return tree or None


def _split(text: str) -> list[str]:
    """At commas, which inside brackets are alternatives like `|`."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += "|" if letter == "," else letter
    return [part for part in parts if part.strip()]


def _expanded(path: str) -> Iterator[str]:
    found = _GROUP.search(path)
    if found is None:
        yield path
        return
    for choice in found[1].split("|"):
        yield from _expanded(path[: found.start()] + choice.strip() + path[found.end() :])
