"""Switches: one per open question about Asana, the limits, and what tests want different."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

# "open" marks what vendors/asana.md says nobody could verify: the default is our assumption.
DEFAULTS: dict[str, Any] = {
    # Login and plan
    "token_seconds": 3600,
    "full_permissions": True,  # False: the app lacks them, `default` is forbidden_scopes
    "premium": True,  # False: 402 for custom fields and search
    # Tasks
    "create_with_bad_field": "refused",  # refused | created: 400, and the task is there all the same; open
    "memberships_on_create": "honoured",  # honoured | ignored; open
    "projects_with_parent": "dropped",  # dropped | honoured; open
    "subtasks_in_project_lists": "listed",  # listed | omitted: subtasks that are in the project; open
    "trashed_task": "not_found",  # not_found | record; open
    "completed_since_now": "incomplete",  # incomplete | refused; open
    "name_length": 1024,  # longer is 400; 0 is no limit; open
    "text_length": 65_535,  # notes and comments; open
    # Custom fields
    "date_as_text": "refused",  # refused | accepted: "2026-12-01" instead of {"date": ...}; open
    "bad_option": "refused",  # refused | ignored: an option that the field does not have; open
    "duplicate_attach": "refused",  # refused | ignored; open
    "duplicate_option_name": "allowed",  # allowed | refused; open
    "fields_per_project": 0,  # 0 is no limit; open
    "number_digits": 0,  # significant digits a number may have, 0 is any; open
    # external
    "external_with_pat": "ignored",  # ignored | allowed | refused; open
    "external_unique": False,  # open
    "external_visible_seconds": 0,  # from a create until external:<id> finds it; open
    "encoded_colon": "accepted",  # accepted | refused: external%3A in a path; open
    # Reading
    "reference_form": "gid",  # gid | compact: a reference named in opt_fields without its fields; open
    "without_limit": "refused",  # refused | cut: more than 1000 rows without `limit`
    "listing_end": 0,  # a listing that comes this far ends in 400; 0 is never
    "offset_seconds": 900,
    "search_lag_least": 10,
    "search_lag_most": 60,
    "workspace_events": "allowed",  # allowed | payment_required; open
    "sync_hours": 24,
    # Projects
    "team_required": True,  # POST /projects without a team; open
    "job_polls": 1,  # reads in each state before the next one
    # Webhooks
    "loopback_targets": "allowed",  # allowed | refused: 403, as Asana refuses localhost
    "heartbeat_hours": 8,
    "webhook_seconds": 10,  # a receiver's time to answer
    "webhook_life_hours": 24,  # without a success
    # Limits by token; 0 switches one off, `limits` all of them
    "limits": True,
    "calls_per_minute": 1500,  # 150 on a free plan
    "quota_seconds": 60,  # the quota is looked at over so many seconds
    "reads_in_flight": 50,
    "writes_in_flight": 15,
    "retry_after": "always",  # always | not_in_flight | never: on which 429 it stands; open
    "searches_per_minute": 60,
    "cost_per_minute": 1_000_000,  # objects touched; Asana publishes no figure
    "jobs_at_once": 5,
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "create_with_bad_field": ("refused", "created"),
    "memberships_on_create": ("honoured", "ignored"),
    "projects_with_parent": ("dropped", "honoured"),
    "subtasks_in_project_lists": ("listed", "omitted"),
    "trashed_task": ("not_found", "record"),
    "completed_since_now": ("incomplete", "refused"),
    "date_as_text": ("refused", "accepted"),
    "bad_option": ("refused", "ignored"),
    "duplicate_attach": ("refused", "ignored"),
    "duplicate_option_name": ("allowed", "refused"),
    "external_with_pat": ("ignored", "allowed", "refused"),
    "encoded_colon": ("accepted", "refused"),
    "reference_form": ("gid", "compact"),
    "without_limit": ("refused", "cut"),
    "workspace_events": ("allowed", "payment_required"),
    "loopback_targets": ("allowed", "refused"),
    "retry_after": ("always", "not_in_flight", "never"),
}


class Switches(BaseSwitches):
    """Asana's switches."""

    defaults, choices = DEFAULTS, CHOICES
