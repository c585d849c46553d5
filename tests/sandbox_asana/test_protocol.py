"""Envelope, errors, pages, limits, batch: what every call has."""

from __future__ import annotations

from collections import Counter

import pytest

from mlc_sandbox.asana.errors import HELP
from mlc_sandbox.asana.limits import WRITE

from .conftest import Organisation, exact, message

TOO_LARGE = "The result is too large. You should use pagination (may require specifying a workspace)!"


def test_an_error_has_a_message_and_a_help_text(org: Organisation) -> None:
    reply = org.call("GET", "/tasks/17")
    assert reply.status_code == 404
    assert reply.json() == {"errors": [{"message": "task: Unknown object: 17", "help": HELP}]}


def test_a_gid_that_is_none_is_400(org: Organisation) -> None:
    assert message(org.call("GET", "/projects/abc")) == (400, "project: Not a recognized ID: abc")


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/tasks/17"), ("GET", "/nothing"), ("DELETE", "/tasks")]
)
def test_a_wrong_path_or_method_is_no_route_even_without_a_token(
    org: Organisation, method: str, path: str
) -> None:
    org.token = "wrong"
    assert message(org.call(method, path)) == (404, "No matching route for request")


def test_a_missing_or_bad_token_is_401(org: Organisation) -> None:
    org.token = "wrong"
    assert message(org.call("GET", "/users/me")) == (401, "Not Authorized")


@pytest.mark.parametrize("body", ["{", "[]"])
def test_a_body_that_is_no_json_object_is_400(org: Organisation, body: str) -> None:
    url, headers = f"{org.root}/api/1.0/tasks", {"Authorization": f"Bearer {org.token}"}
    reply = org.http.post(url, data=body, headers=headers, timeout=10)
    assert message(reply) == (400, "Could not parse request data, invalid JSON")


def test_a_stray_key_beside_data_is_named(org: Organisation) -> None:
    status, text = message(org.call("POST", "/tasks", json={"name": "x"}))
    assert status == 400
    assert all(word in text for word in ("name", "data", "options"))


def test_opt_fields_stand_in_the_query_or_in_the_options(org: Organisation) -> None:
    body = {"data": {"name": "x", "projects": [org.orders]}, "options": {"fields": ["name"]}}
    assert set(org.call("POST", "/tasks", json=body).json()["data"]) == {"gid", "name"}
    reply = org.call("POST", "/tasks", body["data"], params={"opt_fields": "notes"})
    assert set(reply.json()["data"]) == {"gid", "notes"}


def test_a_private_project_is_403_to_others(org: Organisation) -> None:
    (board,) = [found for found in org.world.all(_kind(org)) if found.name == "Board papers"]
    assert message(org.call("GET", f"/projects/{board.gid}")) == (
        403,
        "You do not have access to this project.",
    )
    assert "Board papers" not in [row["name"] for row in org.get("/projects", workspace=org.workspace)]


def _kind(org: Organisation) -> type:
    return type(org.world.any(org.orders))


# Pages


def test_pages_follow_their_offsets_to_null(org: Organisation) -> None:
    for number in range(5):
        org.task(str(number))
    query, names = {"project": org.orders, "limit": 2}, []
    while True:
        page = org.call("GET", "/tasks", params=query).json()
        names += [row["name"] for row in page["data"]]
        if page["next_page"] is None:
            break
        assert page["next_page"]["uri"] == f"{org.root}/api/1.0{page['next_page']['path']}"
        query["offset"] = page["next_page"]["offset"]
    assert names == ["0", "1", "2", "3", "4"]


def test_without_a_limit_there_is_no_next_page(org: Organisation) -> None:
    assert set(org.call("GET", "/tasks", params={"project": org.orders}).json()) == {"data"}


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_is_one_to_a_hundred(org: Organisation, limit: str) -> None:
    assert org.call("GET", "/tasks", params={"project": org.orders, "limit": limit}).status_code == 400


def test_an_offset_dies_after_a_quarter_of_an_hour_and_fits_its_own_list_only(org: Organisation) -> None:
    invalid = (400, "offset: Your pagination token is invalid.")
    for number in range(3):
        org.task(str(number))
    query = {"project": org.orders, "limit": 2}
    offset = org.call("GET", "/tasks", params=query).json()["next_page"]["offset"]
    other = {"project": org.invoices, "limit": 2, "offset": offset}
    assert message(org.call("GET", "/tasks", params=other)) == invalid
    assert message(org.call("GET", "/tasks", params=query | {"offset": "x" + offset})) == invalid
    org.pass_time(899)
    assert org.call("GET", "/tasks", params=query | {"offset": offset}).status_code == 200
    org.pass_time(1)
    assert message(org.call("GET", "/tasks", params=query | {"offset": offset})) == invalid


def test_a_list_is_no_snapshot_a_row_that_moves_up_is_seen_twice(org: Organisation) -> None:
    gids = [org.task(str(number)) for number in range(4)]
    query = {"project": org.orders, "limit": 2}
    first = org.call("GET", "/tasks", params=query).json()
    org.post(f"/tasks/{gids[0]}/addProject", {"project": org.orders})
    second = org.call("GET", "/tasks", params=query | {"offset": first["next_page"]["offset"]}).json()
    third = org.call("GET", "/tasks", params=query | {"offset": second["next_page"]["offset"]}).json()
    seen = [row["name"] for page in (first, second, third) for row in page["data"]]
    assert seen == ["0", "1", "2", "3", "0"]


def test_more_than_a_thousand_rows_need_a_limit(org: Organisation) -> None:
    section = org.world.any(org.orders).sections[0]
    first = org.world.any(org.task("first"))
    for number in range(1000):
        copy = type(first)(str(number), f"T{number}", first.created, first.modified, first.created_by)
        copy.places = dict(first.places)
        org.world.add(copy)
        org.world.any(section).tasks.append(copy.gid)
    assert message(org.call("GET", "/tasks", params={"project": org.orders})) == (400, TOO_LARGE)
    org.switches["without_limit"] = "cut"
    assert len(org.get("/tasks", project=org.orders)) == 1000
    org.switches["listing_end"] = 150
    page = org.call("GET", "/tasks", params={"project": org.orders, "limit": 100}).json()
    query = {"project": org.orders, "limit": 100, "offset": page["next_page"]["offset"]}
    assert message(org.call("GET", "/tasks", params=query)) == (400, TOO_LARGE)


# Limits


def test_the_minute_is_refused_with_a_wait_and_refused_calls_count(org: Organisation) -> None:
    org.switches["calls_per_minute"] = 3
    for _ in range(3):
        org.get("/users/me")
    reply = org.call("GET", "/users/me")
    assert message(reply) == (
        429,
        "You've made too many requests and hit a rate limit. Please retry after the given amount of time.",
    )
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    org.pass_time(30)
    assert org.call("GET", "/users/me").status_code == 429
    org.pass_time(31)
    for expected in (200, 429):  # the two refused calls of half a minute ago still count
        org.switches["calls_per_minute"] = 2
        assert org.call("GET", "/users/me").status_code == expected


def test_the_quota_may_be_looked_at_more_often(org: Organisation) -> None:
    org.switches.update(calls_per_minute=60, quota_seconds=5)
    statuses = [org.call("GET", "/users/me").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    org.pass_time(5)
    assert org.call("GET", "/users/me").status_code == 200


def test_in_flight_reads_and_writes_are_counted_apart(org: Organisation) -> None:
    under_way = Counter({WRITE: 15})
    org.world.limits.enter(org.token, under_way)
    refused = org.call("POST", "/tasks", _order(org, "a"))
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    assert org.call("GET", "/users/me").status_code == 200
    org.world.limits.leave(org.token, under_way)
    assert org.call("POST", "/tasks", _order(org, "a")).status_code == 201
    assert org.names() == ["a"]


@pytest.mark.parametrize(
    ("switch", "in_flight", "minute"),
    [("always", True, True), ("not_in_flight", False, True), ("never", False, False)],
)
def test_a_refusal_may_name_no_wait(org: Organisation, switch: str, in_flight: bool, minute: bool) -> None:
    org.switches.update(writes_in_flight=1, calls_per_minute=1, retry_after=switch)
    org.get("/users/me")
    actions = [_create(org, name) for name in "ab"]
    refused = [org.call("POST", "/batch", {"actions": actions}), org.call("GET", "/users/me")]
    assert [(reply.status_code, "Retry-After" in reply.headers) for reply in refused] == [
        (429, in_flight),
        (429, minute),
    ]


def _order(org: Organisation, name: str) -> dict[str, object]:
    return {"name": name, "projects": [org.orders]}


def test_cost_is_charged_after_the_answer_and_paid_off_with_time(org: Organisation) -> None:
    for number in range(20):
        org.task(str(number))
    org.switches["cost_per_minute"] = 30
    org.world.limits.accounts.clear()
    wide = {"project": org.orders, "limit": 100, "opt_fields": "projects.name,followers.name"}
    statuses = [org.call("GET", "/tasks", params=wide).status_code for _ in range(2)]
    assert statuses == [200, 429]
    org.pass_time(600)
    assert org.call("GET", "/users/me").status_code == 200


# Batch


def _create(org: Organisation, name: str) -> dict[str, object]:
    return {"method": "post", "relative_path": "/tasks", "data": _order(org, name)}


def test_a_batch_answers_in_order_with_a_status_for_each(org: Organisation) -> None:
    actions = [
        {
            "method": "post",
            "relative_path": "/tasks",
            "data": _order(org, "a"),
            "options": {"fields": ["name"]},
        },
        {"method": "get", "relative_path": "/tasks/17"},
        {"method": "get", "relative_path": "/users/me", "options": {"fields": ["email"]}},
    ]
    reply = org.call("POST", "/batch", {"actions": actions})
    first, second, third = exact(reply)["data"]
    assert reply.status_code == 200
    gid = first["body"]["data"]["gid"]
    assert (first["status_code"], first["headers"]) == (201, {"location": f"/tasks/{gid}"})
    assert first["body"]["data"] == {"gid": gid, "name": "a"}
    assert (second["status_code"], second["body"]["errors"][0]["message"]) == (
        404,
        "task: Unknown object: 17",
    )
    assert third["body"]["data"]["email"] == "erp-integration@nordfjell.example"


def test_paging_of_a_batched_list_is_in_its_options(org: Organisation) -> None:
    for name in "abc":
        org.task(name)
    action = {"method": "get", "relative_path": "/tasks", "data": {"project": org.orders}}
    answer = org.post("/batch", {"actions": [action | {"options": {"limit": 2}}]})[0]["body"]
    assert len(answer["data"]) == 2
    more = {"limit": 2, "offset": answer["next_page"]["offset"]}
    assert len(org.post("/batch", {"actions": [action | {"options": more}]})[0]["body"]["data"]) == 1


def test_actions_run_in_no_order(org: Organisation) -> None:
    for _ in range(5):
        actions = [
            {"method": "post", "relative_path": "/tasks", "data": _order(org, name)} for name in "abcd"
        ]
        org.post("/batch", {"actions": actions})
    names = org.names()
    assert sorted(names) == sorted("abcd" * 5)
    assert any("".join(names[start : start + 4]) != "abcd" for start in range(0, 20, 4))


@pytest.mark.parametrize("count", [0, 11])
def test_a_batch_has_one_to_ten_actions(org: Organisation, count: int) -> None:
    actions = [{"method": "get", "relative_path": "/users/me"}] * count
    assert org.call("POST", "/batch", {"actions": actions}).status_code == 400


@pytest.mark.parametrize(
    "action",
    [
        {"method": "GET", "relative_path": "/users/me"},
        {"method": "get", "relative_path": "/users?limit=1"},
        {"method": "post", "relative_path": "/batch"},
    ],
)
def test_an_action_that_no_batch_can_run_is_refused_alone(
    org: Organisation, action: dict[str, object]
) -> None:
    good = {"method": "get", "relative_path": "/users/me"}
    statuses = [answer["status_code"] for answer in org.post("/batch", {"actions": [action, good]})]
    assert statuses == [400, 200]


def test_a_batch_that_would_exceed_a_limit_is_refused_as_a_whole(org: Organisation) -> None:
    actions = [_create(org, str(number)) for number in range(5)]
    for limits in ({"calls_per_minute": 4}, {"calls_per_minute": 1500, "writes_in_flight": 4}):
        org.switches.update(limits)
        assert org.call("POST", "/batch", {"actions": actions}).status_code == 429
    assert org.world.counts()["tasks"] == 0


def test_each_action_counts_and_the_batch_does_not(org: Organisation) -> None:
    org.switches["calls_per_minute"] = 3
    actions = [{"method": "get", "relative_path": "/users/me"}] * 3
    assert org.call("POST", "/batch", {"actions": actions}).status_code == 200
    assert org.call("GET", "/users/me").status_code == 429
