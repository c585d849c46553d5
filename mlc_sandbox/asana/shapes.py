"""Which fields each kind of object shows (specs/asana, as vendors/asana.md corrects it)."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.asana.render import ABSENT, Embedded, Getter, Shape, View
from mlc_sandbox.asana.store import (
    Field,
    Job,
    Membership,
    Option,
    Project,
    Section,
    Setting,
    Story,
    Task,
    Team,
    TeamMembership,
    Template,
    User,
    Webhook,
    Workspace,
)
from mlc_sandbox.asana.values import ENUMS, FieldOnTask, display, parts

WEB = "https://app.asana.com/0"


def _name(_: View, entity: Any) -> Any:
    return entity.name


def _value(attribute: str) -> Getter:
    return lambda _, entity: getattr(entity, attribute)


def _fixed(value: Any) -> Getter:
    return lambda _view, _entity: value


def _one(kind: type, attribute: str) -> Getter:
    return lambda view, entity: view.world.get(kind, getattr(entity, attribute))


def _many(kind: type, attribute: str) -> Getter:
    return lambda view, entity: [view.world.get(kind, gid) for gid in getattr(entity, attribute)]


def _workspace(view: View, _: Any) -> Workspace:
    return view.world.workspace


def _link(view: View, entity: Any) -> str:  # noqa: ARG001
    return f"{WEB}/{'0/' if isinstance(entity, Task) else ''}{entity.gid}"


# Tasks


def _external(view: View, task: Task) -> Any:
    held = task.external.get(view.scope)
    return ABSENT if held is None else {"gid": held.gid, "data": held.data}


def _places(view: View, task: Task) -> list[dict[str, Any]]:
    return [
        {"project": view.world.get(Project, project), "section": view.world.get(Section, section)}
        for project, section in task.places.items()
    ]


def _custom_fields(view: View, task: Task) -> list[Embedded]:
    return [Embedded(found) for found in view.world.fields_of(task)]


def _subtasks(view: View, task: Task) -> int:
    return sum(1 for gid in task.subtasks if view.world.get(Task, gid).trashed is None)


def _dependents(view: View, task: Task) -> list[Task]:
    return view.world.dependents(task)


_TASK: dict[str, Getter] = {
    "name": _name,
    "resource_subtype": _value("kind"),
    "created_by": _one(User, "created_by"),
    "assignee": _one(User, "assignee"),
    "assignee_status": _fixed("inbox"),
    "completed": _value("completed"),
    "completed_at": _value("completed_at"),
    "completed_by": _one(User, "completed_by"),
    "created_at": _value("created"),
    "modified_at": _value("modified"),
    "due_on": _value("due_on"),
    "due_at": _value("due_at"),
    "start_on": _value("start_on"),
    "start_at": _fixed(None),
    "custom_fields": _custom_fields,
    "dependencies": _many(Task, "dependencies"),
    "dependents": _dependents,
    "external": _external,
    "followers": _many(User, "followers"),
    "html_notes": lambda _, task: task.html_notes or f"<body>{_escaped(task.notes)}</body>",
    "liked": _value("liked"),
    "memberships": _places,
    "notes": _value("notes"),
    "num_likes": lambda _, task: int(task.liked),
    "num_subtasks": _subtasks,
    "parent": _one(Task, "parent"),
    "permalink_url": _link,
    "projects": lambda view, task: [view.world.get(Project, gid) for gid in task.places],
    "tags": _fixed([]),
    "workspace": _workspace,
}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# Custom fields

_FIELD: dict[str, Getter] = {
    "name": _name,
    "type": _value("kind"),
    "resource_subtype": _value("kind"),
    "representation_type": _value("kind"),
    "description": _value("description"),
    "enum_options": lambda _, field: field.options if field.kind in ENUMS else ABSENT,
    "precision": lambda _, field: field.precision if field.kind == "number" else ABSENT,
    "format": lambda _, field: field.format if field.kind == "number" else ABSENT,
    "currency_code": _value("currency"),
    "custom_label": _value("label"),
    "custom_label_position": _value("label_position"),
    "is_global_to_workspace": lambda _, field: field.project is None,
    "has_notifications_enabled": _value("notifies"),
    "is_formula_field": _fixed(False),
    "is_value_read_only": _fixed(False),
    "created_by": _one(User, "created_by"),
    "id_prefix": _fixed(None),
    "privacy_setting": _fixed("public"),
}


def _on_task(getter: Getter) -> Getter:
    return lambda view, found: getter(view, found.field)


def _part(name: str) -> Getter:
    return lambda _, found: parts(found).get(name, ABSENT)


def _people(view: View, found: FieldOnTask) -> Any:
    if found.field.kind != "people":
        return ABSENT
    return [view.world.get(User, gid) for gid in parts(found)["people_value"]]


_ON_TASK: dict[str, Getter] = {
    **{name: _on_task(getter) for name, getter in _FIELD.items() if name != "privacy_setting"},
    "enabled": _value("enabled"),
    "display_value": lambda view, found: display(found, view.world.name_of),
    "text_value": _part("text_value"),
    "number_value": _part("number_value"),
    "enum_value": _part("enum_value"),
    "multi_enum_values": _part("multi_enum_values"),
    "date_value": _part("date_value"),
    "people_value": _people,
}

# Everything else

_PROJECT: dict[str, Getter] = {
    "name": _name,
    "archived": _value("archived"),
    "color": _value("color"),
    "completed": _value("completed"),
    "created_at": _value("created"),
    "modified_at": _value("modified"),
    "created_from_template": _one(Template, "template"),
    "custom_field_settings": lambda view, project: [
        Embedded(view.world.get(Setting, gid)) for gid in project.settings
    ],
    "default_view": _value("view"),
    "due_on": _value("due_on"),
    "due_date": _value("due_on"),
    "start_on": _value("start_on"),
    "followers": _many(User, "followers"),
    "members": lambda view, project: view.world.members_of(project),
    "notes": _value("notes"),
    "owner": _one(User, "owner"),
    "permalink_url": _link,
    "privacy_setting": _value("privacy"),
    "public": lambda _, project: project.privacy == "public_to_workspace",
    "team": _one(Team, "team"),
    "workspace": _workspace,
}

_STORY: dict[str, Getter] = {
    "created_at": _value("created"),
    "created_by": _one(User, "created_by"),
    "resource_subtype": _value("kind"),
    "text": _value("text"),
    "type": lambda _, story: "comment" if story.is_comment else "system",
    "html_text": lambda _, story: story.html or f"<body>{_escaped(story.text)}</body>",
    "is_editable": lambda _, story: story.is_comment,
    "is_edited": _value("edited"),
    "is_pinned": _value("pinned"),
    "source": _value("source"),
    "target": _one(Task, "task"),
    "num_likes": _fixed(0),
}


def _variables(attribute: str) -> Getter:
    return lambda _, template: [
        {"gid": found.gid, "name": found.name, "description": found.description}
        for found in getattr(template, attribute)
    ]


def _roles(_: View, template: Template) -> list[dict[str, Any]]:
    return [{"gid": found.gid, "name": found.name} for found in template.roles]


_WEBHOOK: dict[str, Getter] = {
    "active": _value("active"),
    "resource": lambda view, webhook: view.world.any(webhook.resource),
    "target": _value("target"),
    "created_at": _value("created"),
    "filters": _value("filters"),
    "last_success_at": _value("last_success"),
    "last_failure_at": _value("last_failure"),
    "last_failure_content": _value("last_failure_content"),
    "delivery_retry_count": _value("retries"),
    "next_attempt_after": lambda _, hook: hook.queue[0].due if hook.retries and hook.queue else None,
    "failure_deletion_timestamp": lambda view, hook: view.world.deletion_of(hook),
}

_TEAM_MEMBERSHIP: dict[str, Getter] = {
    "user": _one(User, "user"),
    "team": _one(Team, "team"),
    "is_guest": _fixed(False),
    "is_limited_access": _fixed(False),
    "is_admin": _fixed(False),
}

SHAPES: dict[type, Shape] = {
    Workspace: Shape(
        {
            "name": _name,
            "email_domains": lambda _, found: list(found.domains),
            "is_organization": _fixed(True),
        }
    ),
    User: Shape(
        {
            "name": _name,
            "email": _value("email"),
            "photo": _fixed(None),
            "workspaces": lambda view, _: [view.world.workspace],
        }
    ),
    Team: Shape({"name": _name, "organization": _workspace, "permalink_url": _link}),
    TeamMembership: Shape(_TEAM_MEMBERSHIP, tuple(_TEAM_MEMBERSHIP)),
    Membership: Shape(
        {
            "resource_subtype": _fixed("project_membership"),
            "parent": _one(Project, "project"),
            "member": lambda view, found: view.world.any(found.member),
            "access_level": _value("level"),
        },
        ("resource_subtype", "parent", "member", "access_level"),
    ),
    Project: Shape(_PROJECT),
    Section: Shape({"name": _name, "created_at": _value("created"), "project": _one(Project, "project")}),
    Task: Shape(
        _TASK,
        ("name", "resource_subtype"),
        frozenset({"created_by", "dependencies", "dependents", "external", "html_notes", "num_subtasks"}),
    ),
    Story: Shape(
        _STORY,
        ("created_at", "created_by", "resource_subtype", "text"),
        frozenset({"html_text"}),
    ),
    Field: Shape(_FIELD, ("name", "type", "resource_subtype"), frozenset({"description"})),
    FieldOnTask: Shape(_ON_TASK, ("name",), frozenset({"description"})),
    Option: Shape(
        {"name": _name, "enabled": _value("enabled"), "color": _value("color")}, ("name", "enabled", "color")
    ),
    Setting: Shape(
        {
            "project": _one(Project, "project"),
            "parent": _one(Project, "project"),
            "is_important": _value("important"),
            "custom_field": lambda view, found: Embedded(view.world.get(Field, found.field)),
        },
        (),
    ),
    Template: Shape(
        {
            "name": _name,
            "description": _fixed(""),
            "public": _fixed(True),
            "owner": _one(User, "owner"),
            "team": _one(Team, "team"),
            "requested_dates": _variables("dates"),
            "requested_roles": _roles,
        }
    ),
    Job: Shape(
        {
            "resource_subtype": _value("kind"),
            "status": _value("status"),
            "new_project": _one(Project, "project"),
        },
        ("resource_subtype", "status", "new_project"),
    ),
    Webhook: Shape(_WEBHOOK, ("active", "resource", "target")),
}
