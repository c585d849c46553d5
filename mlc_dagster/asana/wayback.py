"""What people say at tasks, as lines for the note of the document in the ERP. Reads only.

Ours are left out: what the integration's user wrote, and what carries the mark of our own comments.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mlc_dagster.asana.carry import OURS
from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.asana.events import EVER, Event, Look, Stream
from mlc_dagster.asana.projects import Fields
from mlc_dagster.asana.shape import Shape
from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery.ledger import Known
from mlc_dagster.delivery.memory import Memory, Remembered
from mlc_dagster.delivery.notes import Document
from mlc_dagster.settings.asana import WayBack
from mlc_dagster.target import NotSetUp

TASK = ["custom_fields.gid", "custom_fields.name", "custom_fields.display_value", "custom_fields.text_value"]
STORY = ["text", "created_at", "created_by.gid", "created_by.name", "resource_subtype"]


@dataclass(frozen=True)
class Remark:
    """One line for a note. mark: tells it from every other of its document.

    field: the custom field whose value it is, None for a comment. nth: among the comments of the task that
    make the very same line, counted from 1; the note has to hold the line that often.
    """

    mark: str
    line: str
    field: str | None = None
    nth: int = 1


@dataclass(frozen=True)
class Said:
    """What people said at one task. The document it stands for, and the remarks in the order they came."""

    document: Document
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Channel:
    """One model with a way back. place: its documents in the ERP, such as visma/supplier_invoices."""

    shape: Shape
    place: str
    settings: WayBack
    projects: Sequence[str]

    @property
    def destination(self) -> str:
        """Its name in the ledger."""
        return f"asana/{self.shape.model}"

    @property
    def name(self) -> str:
        """Of what is remembered."""
        return f"way_back:{self.shape.model}"


class WrongField(NotSetUp):
    """The settings let a custom field go back that is not there, or that the ERP writes itself."""


class NotDeliveredYet(Exception):
    """A task carries the key of a document that has no task yet, as far as the ledger knows."""


class WayBackReader:
    """Reads what people said in the projects of some models. Raises transport's CallFailed."""

    def __init__(
        self, client: AsanaClient, memory: Memory, ledger: Ledger, channels: Sequence[Channel], zone: str
    ) -> None:
        """`zone`: the time zone in which a remark has its date.

        Raises WrongField: what comes from the ERP would go back to it.
        """
        self._client, self._memory, self._ledger, self._zone = client, memory, ledger, ZoneInfo(zone)
        self._channels = channels
        for channel in channels:
            _refuse_own_fields(channel)

    @property
    def streams(self) -> list[Stream]:
        """The events of each project once."""
        began = {project: self._began(channel) for channel in self._channels for project in channel.projects}
        return [
            Stream(self._client, self._memory, project, self._wanted, begun)
            for project, begun in began.items()
        ]

    def begin(self, looks: Sequence[Look]) -> None:
        """Remember since when each model has a way back: a project that is made later counts from then on."""
        begun = {look.project: look.begun for look in looks}
        for channel in self._channels:
            if self._began(channel) is None:
                own = min((begun[each] for each in channel.projects if each in begun), default=EVER)
                self._memory.write(channel.name, Remembered({}), {"begun": own.isoformat()})

    def check(self) -> None:
        """Make sure that the fields are there: one call where they are. Raises WrongField."""
        fields = Fields(self._client, self._memory)
        for channel in self._channels:
            missing = set(channel.settings.fields)
            for project in channel.projects:
                if missing:
                    missing -= {str(each["name"]) for each in fields.attached(project).values()}
            if missing and channel.projects:
                raise WrongField(
                    f"{channel.destination}: `way_back` names {', '.join(sorted(missing))}, and no project "
                    "has such a custom field. Correct the name, or attach the field to the project in Asana."
                )

    @property
    def projects(self) -> dict[str, bool]:
        """The gids of the projects, and whether changes of custom fields count there."""
        found: dict[str, bool] = {}
        for channel in self._channels:
            for project in channel.projects:
                found[project] = found.get(project, False) or bool(channel.settings.fields)
        return found

    def read(self, task: str, begun: datetime) -> Said | None:
        """What people have said at a task since `begun`; None when it stands for no document of ours.

        Raises NotDeliveredYet: whether it does is known once a delivery has found the task or made another.
        """
        found = self._client.find(f"/tasks/{task}", TASK)
        owner = self._owner(task, found) if found else None
        if found is None or owner is None:
            return None
        channel, document = owner
        remarks = list(self._comments(task, begun)) if channel.settings.comments else []
        return Said(document, (*remarks, *self._fields(channel, found)))

    def _wanted(self, event: Event) -> bool:
        resource, action = event["resource"], event["action"]
        if (event.get("user") or {}).get("gid") == self._client.me:
            return False
        if resource["resource_type"] == "story":
            return bool(action == "added" and resource.get("resource_subtype") == "comment_added")
        changed = (event.get("change") or {}).get("field")
        return self._any_fields and action == "changed" and changed == "custom_fields"

    def _began(self, channel: Channel) -> datetime | None:
        begun = self._memory.read(channel.name).value.get("begun")
        return datetime.fromisoformat(begun) if begun else None

    @property
    def _any_fields(self) -> bool:
        return any(channel.settings.fields for channel in self._channels)

    def _owner(self, task: str, found: Mapping[str, Any]) -> tuple[Channel, Document] | None:
        """The document whose task this is. A copy that somebody made carries the key too, and is none.

        Raises NotDeliveredYet.
        """
        gids = Fields(self._client, self._memory).gids
        texts = {str(each["gid"]): each.get("text_value") or "" for each in found.get("custom_fields") or ()}
        for channel in self._channels:
            key = str(texts.get(gids.get(channel.shape.section.key_field or "", ""), ""))
            known = dict(self._known(channel, key)) if key else {}
            for company, record in known.items():
                if record.target_id == task:
                    return channel, Document(channel.place, company, record.source_key, record.number)
            if key and not any(record.target_id for record in known.values()):
                raise NotDeliveredYet(f"{channel.destination} {key}: no delivery knows its task {task} yet")
        return None

    def _known(self, channel: Channel, key: str) -> Iterator[tuple[str, Known]]:
        """What the ledger knows of a key, by company."""
        for company in self._ledger.companies(channel.destination):
            known = self._ledger.known(channel.destination, company, keys=[key], source_keys=())
            if key in known:
                yield company, known[key]

    def _comments(self, task: str, since: datetime) -> Iterator[Remark]:
        same: Counter[str] = Counter()
        for story in self._client.pages(f"/tasks/{task}/stories", STORY):
            at, text = datetime.fromisoformat(story["created_at"]), _one_line(story.get("text"))
            author = story.get("created_by") or {}
            ours = author.get("gid") == self._client.me or OURS in text
            if story.get("resource_subtype") != "comment_added" or ours or not text or at < since:
                continue
            line = f"{self._day(at)} {_one_line(author.get('name')) or 'Somebody'}: {text}"
            same[line] += 1
            yield Remark(str(story["gid"]), line, nth=same[line])

    def _fields(self, channel: Channel, found: Mapping[str, Any]) -> Iterator[Remark]:
        values = {each["name"]: _one_line(each.get("display_value")) for each in found["custom_fields"]}
        for name in channel.settings.fields:
            if value := values.get(name):
                today = self._day(self._client.clock.now())
                yield Remark(f"field {name}", f"{today} {name}: {value}", field=name)

    def _day(self, at: datetime) -> str:
        return at.astimezone(self._zone).date().isoformat()


def with_remarks(note: str, remarks: Sequence[Remark]) -> str:
    """A note with the lines that it does not hold yet at its end; what it holds stays as it is."""
    lines = [line.strip() for line in note.splitlines()]
    for remark in remarks:
        if not _holds(lines, remark):
            lines.append(remark.line)
            note = f"{note}\n{remark.line}" if note else remark.line
    return note


def same_remark(remark: Remark, line: str) -> bool:
    """Whether a line says what a remark says; a field's on whatever day."""
    return line == remark.line if remark.field is None else line[_DATE:] == remark.line[_DATE:]


_DATE = len("2026-11-20 ")


def _holds(lines: Sequence[str], remark: Remark) -> bool:
    if remark.field is None:
        return lines.count(remark.line) >= remark.nth
    # Of a field's values the last one counts: it may come back to an earlier one.
    of_field = [line for line in lines if line[_DATE:].startswith(f"{remark.field}: ")]
    return bool(of_field) and same_remark(remark, of_field[-1])


def _refuse_own_fields(channel: Channel) -> None:
    own = {each.name for each in channel.shape.declared()}
    if both := sorted(own.intersection(channel.settings.fields)):
        raise WrongField(
            f"{channel.destination}: `way_back` names {', '.join(both)}, which the ERP itself writes. Name "
            "a custom field that people fill in."
        )


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").split())
