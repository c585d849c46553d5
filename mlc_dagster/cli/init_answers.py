"""What is known of a configuration that is being written: answers of a person or of a file."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from mlc_dagster.settings.section import in_words


class Answers:
    """A document shaped like mlc.yaml. What it lacks is asked for, or told where nobody is to be asked."""

    def __init__(self, data: dict[str, Any], *, person: bool) -> None:
        self.data, self.person = data, person
        self.missing: list[str] = []

    def get(self, *place: str) -> Any:
        """What is known at a place; None where nothing is."""
        found: Any = self.data
        for part in place:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def put(self, value: Any, *place: str) -> None:
        """Write a value to a place that has none."""
        section = self.data
        for part in place[:-1]:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section.setdefault(place[-1], value)

    def need(self, kind: Any, question: str, *place: str, default: str | None = None) -> Any:
        """A value that has to be there: known, answered by a person, or the default."""
        if (known := self.get(*place)) is not None:
            return known
        if not self.person and default is None:
            self.missing.append(f"{'.'.join(place)}: {question}")
            return None
        self.put(self.asked(kind, question, default), *place)
        return self.get(*place)

    def asked(self, kind: Any, question: str, default: str | None) -> Any:
        """What a person answers, asked again until it fits; without a person the default."""
        while True:
            text = default
            if self.person:
                text = typer.prompt(question, default=default, show_default=bool(default)).strip()
            if text == default == "":
                return text
            try:
                return TypeAdapter(kind).validate_python(text)
            except ValidationError as error:
                if not self.person:
                    raise
                typer.echo(f"  {text!r} cannot be taken: {in_words(error.errors()[0])}.")

    def each(self, kind: Any, question: str, *place: str) -> Iterator[str]:
        """The keys of a section. A person names them one by one; an empty answer ends it."""
        known = list(self.get(*place) or ())
        yield from known
        if not known and not self.person:
            self.missing.append(f"{'.'.join(place)}: {question}")
        while self.person:
            more = f"{question}; Enter when there are no more" if known else question
            name = self.asked(kind, more, "" if known else None)
            if not name:
                return
            known.append(name)
            yield name

    def optional(self, kind: Any, question: str, *place: str) -> None:
        """A value that may be left out; nobody is asked twice."""
        if self.person and self.get(*place) is None and (answer := self.asked(kind, question, "")):
            self.put(answer, *place)

    def confirmed(self, question: str, *place: str) -> bool:
        """Whether a section is wanted: it is there, or a person says so."""
        return self.get(*place) is not None or (self.person and typer.confirm(question, default=False))


def field(section: type[BaseModel], name: str) -> Any:
    """What a field of a section takes."""
    info = section.model_fields[name]
    return Annotated[info.annotation, info]


def listed(known: list[str]) -> Any:
    """What a list of names with commas takes: only known ones, or `all`."""

    def read(text: str) -> list[str]:
        names = known if text == "all" else [name.strip() for name in text.split(",")]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return Annotated[str, AfterValidator(read)]
