"""Custom fields: values by type, options, settings, and the plan that has none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .conftest import Organisation, message

DAY = {"date": "2026-12-01"}


def value(org: Organisation, task: str, field: str) -> dict[str, Any]:
    """The entry of a field on a task."""
    (entry,) = [found for found in org.get(f"/tasks/{task}")["custom_fields"] if found["gid"] == field]
    return entry


def write_raw(org: Organisation, task: str, field: str, number: str) -> int:
    """Write a number by its digits, which json.dumps of a float would change."""
    body = f'{{"data": {{"custom_fields": {{"{field}": {number}}}}}}}'
    headers = {"Authorization": f"Bearer {org.token}"}
    url = f"{org.root}/api/1.0/tasks/{task}"
    return org.http.put(url, data=body, headers=headers, timeout=10).status_code


@pytest.mark.parametrize(
    ("kind", "sent", "name", "shown"),
    [
        ("text", "PO-1", "text_value", "PO-1"),
        ("number", 10, "number_value", Decimal("10")),
        ("date", DAY, "date_value", DAY | {"date_time": None}),
        ("people", ["ap-clerk@nordfjell.example"], "people_value", ["AP Clerk"]),
    ],
)
def test_a_value_comes_back_under_the_name_of_its_type(
    org: Organisation, kind: str, sent: Any, name: str, shown: Any
) -> None:
    field = org.field("F", kind)
    task = org.task(custom_fields={field: sent})
    entry = value(org, task, field)
    if kind == "people":
        entry[name] = [user["name"] for user in entry[name]]
    assert (entry[name], entry["enabled"]) == (shown, True)
    cleared = org.put(f"/tasks/{task}", {"custom_fields": {field: None}})["custom_fields"][0]
    assert (cleared[name], cleared["display_value"]) == ([] if kind == "people" else None, None)


def test_an_enum_is_written_by_the_gid_of_its_option_and_never_by_name(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "Open", "color": "green"}])
    (option,) = org.get(f"/custom_fields/{field}")["enum_options"]
    task = org.task(custom_fields={field: option["gid"]})
    entry = value(org, task, field)
    assert (entry["enum_value"]["name"], entry["display_value"]) == ("Open", "Open")
    refusal = message(org.call("PUT", f"/tasks/{task}", {"custom_fields": {field: "Open"}}))
    assert refusal == (400, f"custom_fields: {field}: Not a recognized ID: Open")


def test_a_multi_enum_is_replaced_as_a_whole(org: Organisation) -> None:
    field = org.field("Tags", "multi_enum", enum_options=[{"name": "a"}, {"name": "b"}])
    first, second = (option["gid"] for option in org.get(f"/custom_fields/{field}")["enum_options"])
    task = org.task(custom_fields={field: [first]})
    org.put(f"/tasks/{task}", {"custom_fields": {field: [second]}})
    assert [option["name"] for option in value(org, task, field)["multi_enum_values"]] == ["b"]


def test_an_option_the_field_does_not_have_is_refused_or_ignored(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "Open"}])
    task = org.task()
    assert org.call("PUT", f"/tasks/{task}", {"custom_fields": {field: "17"}}).status_code == 400
    org.switches["bad_option"] = "ignored"
    org.put(f"/tasks/{task}", {"custom_fields": {field: "17"}})
    assert value(org, task, field)["enum_value"] is None


@pytest.mark.parametrize(
    ("precision", "sent", "stored"),
    [(2, "10.005", "10.01"), (0, "2.5", "3"), (2, "-0.015", "-0.02"), (6, "0.1234567", "0.123457")],
)
def test_numbers_are_rounded_to_the_precision(
    org: Organisation, precision: int, sent: str, stored: str
) -> None:
    field = org.field("Amount", "number", precision=precision)
    task = org.task()
    write_raw(org, task, field, sent)
    assert value(org, task, field)["number_value"] == Decimal(stored)


def test_more_digits_than_a_double_has_are_lost(org: Organisation) -> None:
    field = org.field("Amount", "number", precision=2)
    task = org.task()
    assert write_raw(org, task, field, "12345678901234567.89") == 200
    assert value(org, task, field)["number_value"] == Decimal("12345678901234568.00")
    org.switches["number_digits"] = 15
    assert write_raw(org, task, field, "12345678901234567.89") == 400


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("text", 7),
        ("number", "7"),
        ("number", True),
        ("date", "2026-12-01"),
        ("people", "me"),
        ("text", "x" * 1025),
    ],
)
def test_a_value_of_another_type_is_refused(org: Organisation, kind: str, sent: Any) -> None:
    field = org.field("F", kind)
    status, text = message(org.call("PUT", f"/tasks/{org.task()}", {"custom_fields": {field: sent}}))
    assert (status, text.startswith(f"custom_fields: {field}: ")) == (400, True)


def test_a_bare_date_may_be_accepted(org: Organisation) -> None:
    field = org.field("Ordered", "date")
    org.switches["date_as_text"] = "accepted"
    assert (
        value(org, org.task(custom_fields={field: "2026-12-01"}), field)["date_value"]["date"] == DAY["date"]
    )


def test_an_option_list_holds_five_hundred_disabled_ones_included(org: Organisation) -> None:
    options = [{"name": f"O{number}"} for number in range(500)]
    field = org.field("Cost centre", "enum", enum_options=options)
    first = org.get(f"/custom_fields/{field}")["enum_options"][0]["gid"]
    org.put(f"/enum_options/{first}", {"enabled": False})
    assert org.call("POST", f"/custom_fields/{field}/enum_options", {"name": "one more"}).status_code == 400


def test_one_option_stays_enabled(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "Open"}])
    (option,) = org.get(f"/custom_fields/{field}")["enum_options"]
    assert org.call("PUT", f"/enum_options/{option['gid']}", {"enabled": False}).status_code == 400


def test_an_option_goes_with_its_field(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "Open"}])
    (option,) = org.get(f"/custom_fields/{field}")["enum_options"]
    org.call("DELETE", f"/custom_fields/{field}")
    assert org.call("PUT", f"/enum_options/{option['gid']}", {"name": "x"}).status_code == 404


def test_options_are_added_in_place_and_moved(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "a"}, {"name": "c"}])
    gids = {option["name"]: option["gid"] for option in org.get(f"/custom_fields/{field}")["enum_options"]}
    path = f"/custom_fields/{field}/enum_options"
    added = org.call("POST", path, {"name": "b", "insert_after": gids["a"]})
    assert added.status_code == 201
    move = {"enum_option": gids["c"], "before_enum_option": gids["a"]}
    assert org.call("POST", f"{path}/insert", move).status_code == 200
    names = [option["name"] for option in org.get(f"/custom_fields/{field}")["enum_options"]]
    assert names == ["c", "a", "b"]


def test_two_options_of_one_name_are_allowed_or_refused(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "a"}])
    path = f"/custom_fields/{field}/enum_options"
    assert org.call("POST", path, {"name": "a"}).status_code == 201
    org.switches["duplicate_option_name"] = "refused"
    assert org.call("POST", path, {"name": "a"}).status_code == 400


@pytest.mark.parametrize("name", ["PO number", "po NUMBER", "Assignee"])
def test_field_names_are_unique_and_not_built_in(org: Organisation, name: str) -> None:
    org.field("PO number", "text")
    body = {"workspace": org.workspace, "name": name, "resource_subtype": "text"}
    assert org.call("POST", "/custom_fields", body).status_code == 400


def test_type_and_options_do_not_change_by_put(org: Organisation) -> None:
    field = org.field("Status", "enum", enum_options=[{"name": "a"}])
    for change in ({"resource_subtype": "text"}, {"enum_options": []}):
        assert org.call("PUT", f"/custom_fields/{field}", change).status_code == 400


def test_attaching_twice_is_refused_or_ignored(org: Organisation) -> None:
    field = org.field("PO number", "text")
    path = f"/projects/{org.orders}/addCustomFieldSetting"
    assert org.call("POST", path, {"custom_field": field}).status_code == 400
    org.switches["duplicate_attach"] = "ignored"
    assert org.call("POST", path, {"custom_field": field}).status_code == 200
    assert len(org.get(f"/projects/{org.orders}/custom_field_settings", limit=10)) == 1


def test_settings_are_compact_until_fields_are_asked_for(org: Organisation) -> None:
    field = org.field("Amount", "number", precision=2, format="currency", currency_code="EUR")
    path = f"/projects/{org.orders}/custom_field_settings"
    assert set(org.get(path, limit=10)[0]) == {"gid", "resource_type"}
    (row,) = org.get(path, limit=10, opt_fields="custom_field.name,custom_field.precision")
    assert row["custom_field"] == {"gid": field, "name": "Amount", "precision": 2}


def test_a_local_field_is_made_by_attaching_it(org: Organisation) -> None:
    body = {"custom_field": {"name": "Local", "resource_subtype": "text"}}
    setting = org.post(f"/projects/{org.orders}/addCustomFieldSetting", body)
    assert setting["custom_field"]["is_global_to_workspace"] is False
    assert org.get(f"/workspaces/{org.workspace}/custom_fields", limit=10) == []


def test_a_value_outlives_its_field_on_the_project_and_can_only_be_cleared(org: Organisation) -> None:
    field = org.field("PO number", "text")
    task = org.task(custom_fields={field: "PO-1"})
    org.post(f"/projects/{org.orders}/removeCustomFieldSetting", {"custom_field": field})
    assert value(org, task, field)["enabled"] is False
    assert org.call("PUT", f"/tasks/{task}", {"custom_fields": {field: "PO-2"}}).status_code == 400
    assert org.put(f"/tasks/{task}", {"custom_fields": {field: None}})["custom_fields"] == []


def test_a_locked_field_is_403(org: Organisation) -> None:
    field = org.field("PO number", "text")
    org.people.edit_field("PO number", locked=True)
    assert org.call("PUT", f"/tasks/{org.task()}", {"custom_fields": {field: "x"}}).status_code == 403


def test_a_project_may_have_a_limit_of_fields(org: Organisation) -> None:
    org.field("a", "text")
    org.switches["fields_per_project"] = 1
    body = {"custom_field": {"name": "b", "resource_subtype": "text"}}
    assert org.call("POST", f"/projects/{org.orders}/addCustomFieldSetting", body).status_code == 400


def test_a_free_plan_has_neither_fields_nor_search(org: Organisation) -> None:
    field = org.field("PO number", "text")
    task = org.task()
    org.switches["premium"] = False
    fields = "Custom Fields are not available for free users or guests."
    body = {"workspace": org.workspace, "name": "x", "resource_subtype": "text"}
    assert message(org.call("POST", "/custom_fields", body)) == (402, fields)
    assert message(org.call("PUT", f"/tasks/{task}", {"custom_fields": {field: "x"}})) == (402, fields)
    settings = message(org.call("GET", f"/projects/{org.orders}/custom_field_settings"))
    assert settings == (402, "Custom Field Settings are not available for free users.")
    search = message(org.call("GET", f"/workspaces/{org.workspace}/tasks/search"))
    assert search == (402, "Search is only available to premium users.")
