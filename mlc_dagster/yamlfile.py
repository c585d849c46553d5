"""Reads a YAML file and remembers the line of every key, so that each mistake can be shown where it is."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlc_dagster.problems import Problem, ProblemsFound, decoded

Place = tuple[str | int, ...]
# The parser of libyaml where the wheel brings it, ten times as quick; every command reads these files.
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlFile:
    """The data of one YAML file and the line of each of its places."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {(): 1}
        self.problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")
        self.data: Any = self._read()

    @property
    def name(self) -> str:
        """The file as an operator would name it: relative to the working directory where possible."""
        try:
            return str(self.path.resolve().relative_to(Path.cwd()))
        except ValueError:
            return str(self.path)

    def line(self, place: Sequence[str | int]) -> int:
        """The line of a place, or of the nearest thing around it that is in the file."""
        known: list[str | int] = []
        for part in place:
            if (*known, part) in self.lines:
                known.append(part)
        return self.lines[tuple(known)]

    def problem(self, place: Sequence[str | int], message: str, remedy: str = "") -> Problem:
        """A problem at a place of this file."""
        return Problem(self.name, self.line(place), message, remedy)

    def _read(self) -> Any:
        try:
            node = yaml.compose(decoded(self.path.read_bytes(), self.name), Loader=LOADER)
        except FileNotFoundError:
            raise ProblemsFound(
                [Problem(self.name, 0, "There is no such file.", "Set MLC_CONFIG to your mlc.yaml.")]
            ) from None
        except OSError as error:  # often one that only root may read, in a container that runs without rights
            message = f"It cannot be read: {error.strerror}."
            remedy = f"It must be a file that user id {os.getuid()}, which this process runs as, may read."
            raise ProblemsFound([Problem(self.name, 0, message, remedy)]) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 0
            text = getattr(error, "problem", None) or "it cannot be read"
            raise ProblemsFound(
                [Problem(self.name, line, f"This is not YAML: {text}.", "Mind indentation and quotes.")]
            ) from None
        return self._value(node, ()) if node is not None else {}

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*place, index)) for index, child in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node, deep=True)
        except (
            ValueError
        ):  # such as 2026-13-01: the text goes on, and whoever wants a date refuses it by name
            return node.value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in found:
                self.problems.append(
                    Problem(self.name, line, f"`{key}` stands here twice.", "Keep one of them.")
                )
                continue
            self.lines[(*place, key)] = line
            found[key] = self._value(value_node, (*place, key))
        return found
