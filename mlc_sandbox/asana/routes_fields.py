"""Custom fields, their options, and where they are attached (vendors/asana.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import ApiError, bad, missing, pay
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.store import Field, Option, Project, Setting, Task, Workspace
from mlc_sandbox.asana.task_body import FIELDS_FOR_FREE
from mlc_sandbox.asana.values import ENUMS, KINDS, array, text
from mlc_sandbox.asana.world import World

SETTINGS_FOR_FREE = "Custom Field Settings are not available for free users."
OPTIONS_OF_A_FIELD = 500
FORMATS = ("currency", "identifier", "percentage", "custom", "duration", "none")
# Names that a task has by itself.
BUILT_IN = ("assignee", "completed", "created by", "created on", "due date", "name", "notes", "start date")
_WRITABLE = (
    "name",
    "description",
    "precision",
    "format",
    "currency_code",
    "custom_label",
    "custom_label_position",
    "has_notifications_enabled",
)
_CREATE = (*_WRITABLE, "workspace", "resource_subtype", "type", "enum_options")


class FieldRoutes:
    """/custom_fields, /enum_options and a project's settings."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        gate.add("/custom_fields", POST=self._create)
        gate.add("/custom_fields/{custom_field}", GET=self._get, PUT=self._update, DELETE=self._delete)
        gate.add("/workspaces/{workspace}/custom_fields", GET=self._list)
        gate.add("/custom_fields/{custom_field}/enum_options", POST=self._add_option)
        gate.add("/custom_fields/{custom_field}/enum_options/insert", POST=self._move_option)
        gate.add("/enum_options/{enum_option}", PUT=self._update_option)
        gate.add("/projects/{project}/custom_field_settings", GET=self._settings)
        gate.add("/projects/{project}/addCustomFieldSetting", POST=self._attach)
        gate.add("/projects/{project}/removeCustomFieldSetting", POST=self._detach)

    def _paid(self, text: str) -> None:
        if not self.world.switches["premium"]:
            raise pay(text)

    def _field(self, call: ApiCall) -> Field:
        self._paid(FIELDS_FOR_FREE)
        return self.world.in_path(Field, call.ids["custom_field"], call.actor)

    def _list(self, call: ApiCall) -> Reply:
        self._paid(FIELDS_FOR_FREE)
        self.world.in_path(Workspace, call.ids["workspace"], call.actor)
        return call.listing([field for field in self.world.all(Field) if field.project is None])

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._field(call))

    def _create(self, call: ApiCall) -> Reply:
        self._paid(FIELDS_FOR_FREE)
        self.world.named(Workspace, "workspace", call.need("workspace"), call.actor)
        return call.created(self._new(call, call.data, None), "custom_fields")

    def _new(self, call: ApiCall, data: Mapping[str, Any], project: str | None) -> Field:
        for name in data:
            if name not in _CREATE:
                raise bad(f"{name}: Cannot write this property")
        kind = data.get("resource_subtype") or data.get("type")
        if not data.get("name"):
            raise missing("name")
        options = array("enum_options", data.get("enum_options"))
        if kind not in KINDS:
            raise bad(f"resource_subtype: Not a valid custom field type: {kind}")
        self._free_name(data["name"], None)
        if (kind in ENUMS) != bool(options):
            raise bad("enum_options: An enum field needs options, and no other field has them")
        field = Field(self.world.new_gid(), data["name"], kind, call.actor.user, project=project)
        self._write(field, data)
        for option in options:
            field.options.append(self._new_option(field, option))
        for option in field.options:
            self.world.add(option)
        self.world.record(call.actor, "added", field, parent=self.world.workspace)
        return self.world.add(field)

    def _free_name(self, given: Any, ours: Field | None) -> None:
        name = text("name", given)
        taken = [field.name.lower() for field in self.world.all(Field) if field is not ours]
        if name.lower() in (*taken, *BUILT_IN):
            raise bad(f"name: A custom field with the name {name} already exists")

    def _write(self, field: Field, data: Mapping[str, Any]) -> None:
        precision = data.get("precision", field.precision)
        if field.kind == "number":
            precision = 0 if precision is None else precision
            if not isinstance(precision, int) or not 0 <= precision <= 6:
                raise bad(f"precision: Must be between 0 and 6: {precision}")
        if data.get("format", "none") not in FORMATS:
            raise bad(f"format: Not a valid format: {data['format']}")
        if data.get("format") == "currency" and not data.get("currency_code", field.currency):
            raise missing("currency_code")
        field.precision = precision
        names = {
            "name": "name",
            "description": "description",
            "format": "format",
            "currency_code": "currency",
            "custom_label": "label",
            "custom_label_position": "label_position",
            "has_notifications_enabled": "notifies",
        }
        for given, attribute in names.items():
            if given in data:
                setattr(field, attribute, data[given])

    def _update(self, call: ApiCall) -> Reply:
        call.only(*_WRITABLE)
        field = self._field(call)
        if field.locked:
            raise ApiError(403, "You do not have access to edit this custom field.")
        if "name" in call.data:
            self._free_name(call.data["name"], field)
        self._write(field, call.data)
        self.world.record(call.actor, "changed", field, change={"field": "name", "action": "changed"})
        return call.one(field)

    def _delete(self, call: ApiCall) -> Reply:
        field = self._field(call)
        for setting in [found for found in self.world.all(Setting) if found.field == field.gid]:
            self._remove_setting(setting)
        for task in self.world.all(Task):
            task.values.pop(field.gid, None)
        self.world.record(call.actor, "deleted", field)
        for gone in (*field.options, field):
            self.world.remove(gone)
        return nothing()

    # Options

    def _new_option(self, field: Field, data: Any) -> Option:
        if not isinstance(data, dict) or not data.get("name"):
            raise missing("name")
        if len(field.options) >= OPTIONS_OF_A_FIELD:
            raise bad(f"enum_options: A custom field can have at most {OPTIONS_OF_A_FIELD} options")
        name = text("name", data["name"])
        taken = {option.name for option in field.options}
        if name in taken and self.world.switches["duplicate_option_name"] == "refused":
            raise bad(f"name: An enum option with the name {name} already exists")
        return Option(self.world.new_gid(), name, str(data.get("color") or "none"))

    def _enum(self, call: ApiCall) -> Field:
        field = self._field(call)
        if field.kind not in ENUMS:
            raise bad("Custom field is not an enum")
        return field

    def _option_of(self, field: Field, name: str, value: Any, call: ApiCall) -> Option:
        option = self.world.named(Option, name, value, call.actor)
        if option not in field.options:
            raise bad(f"{name}: Unknown object: {value}")
        return option

    def _add_option(self, call: ApiCall) -> Reply:
        call.only("name", "color", "enabled", "insert_after", "insert_before")
        field = self._enum(call)
        place = len(field.options)
        for name in ("insert_after", "insert_before"):
            if call.data.get(name) is not None:
                beside = self._option_of(field, name, call.data[name], call)
                place = field.options.index(beside) + (name == "insert_after")
        option = self.world.add(self._new_option(field, call.data))
        field.options.insert(place, option)
        return call.created(option, "enum_options")

    def _move_option(self, call: ApiCall) -> Reply:
        call.only("enum_option", "before_enum_option", "after_enum_option")
        field = self._enum(call)
        moved = self._option_of(field, "enum_option", call.need("enum_option"), call)
        given = [name for name in ("before_enum_option", "after_enum_option") if name in call.data]
        if len(given) != 1:
            raise bad("You must provide exactly one of before_enum_option or after_enum_option")
        beside = self._option_of(field, given[0], call.data[given[0]], call)
        field.options.remove(moved)
        after = given[0] == "after_enum_option"
        field.options.insert((field.options.index(beside) if beside in field.options else 0) + after, moved)
        return call.one(moved)

    def _update_option(self, call: ApiCall) -> Reply:
        self._paid(FIELDS_FOR_FREE)
        call.only("name", "color", "enabled")
        option = self.world.in_path(Option, call.ids["enum_option"], call.actor)
        field = next(field for field in self.world.all(Field) if option in field.options)
        others = [found for found in field.options if found is not option and found.enabled]
        if call.data.get("enabled", True) is False and not others:
            raise bad("enabled: At least one enum option must be enabled")
        for name in ("name", "color", "enabled"):
            if name in call.data:
                setattr(option, name, call.data[name])
        return call.one(option)

    # Settings

    def _project(self, call: ApiCall) -> Project:
        self._paid(SETTINGS_FOR_FREE)
        return self.world.in_path(Project, call.ids["project"], call.actor)

    def _settings(self, call: ApiCall) -> Reply:
        return call.listing([self.world.get(Setting, gid) for gid in self._project(call).settings])

    def _attach(self, call: ApiCall) -> Reply:
        call.only("custom_field", "is_important", "insert_after", "insert_before")
        project, wanted = self._project(call), call.need("custom_field")
        most = self.world.switches["fields_per_project"]
        if most and len(project.settings) >= most:
            raise bad(f"custom_field: A project can have at most {most} custom fields")
        place = self._place(call, project)
        if isinstance(wanted, dict):
            field = self._new(call, wanted, project.gid)
        else:
            field = self.world.named(Field, "custom_field", wanted, call.actor)
        there = [self.world.get(Setting, gid) for gid in project.settings]
        same = next((setting for setting in there if setting.field == field.gid), None)
        if same is not None:
            if self.world.switches["duplicate_attach"] == "refused":
                raise bad("custom_field: Custom field is already on the project")
            return call.one(same)
        setting = Setting(
            self.world.new_gid(), project.gid, field.gid, bool(call.data.get("is_important", False))
        )
        project.settings.insert(place, self.world.add(setting).gid)
        self.world.record(call.actor, "added", field, parent=project)
        return call.one(setting)

    def _place(self, call: ApiCall, project: Project) -> int:
        for name in ("insert_after", "insert_before"):
            if call.data.get(name) is not None:
                beside = self.world.named(Setting, name, call.data[name], call.actor)
                if beside.gid not in project.settings:
                    raise bad(f"{name}: Unknown object: {beside.gid}")
                return project.settings.index(beside.gid) + (name == "insert_after")
        return len(project.settings)

    def _detach(self, call: ApiCall) -> Reply:
        """Values stay at the tasks, not enabled."""
        call.only("custom_field")
        project = self._project(call)
        field = self.world.named(Field, "custom_field", call.need("custom_field"), call.actor)
        for gid in list(project.settings):
            setting = self.world.get(Setting, gid)
            if setting.field == field.gid:
                self._remove_setting(setting)
                self.world.record(call.actor, "removed", field, parent=project)
        return nothing()

    def _remove_setting(self, setting: Setting) -> None:
        self.world.get(Project, setting.project).settings.remove(setting.gid)
        self.world.remove(setting)
